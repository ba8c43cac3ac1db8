/** Texts, numbers and times in the language of the page. */

import { lang, texts } from "./texts.en.js";

/** @typedef {keyof typeof texts} TextKey */
/** @typedef {Record<string, string | number>} Values */

/** The longest text from elsewhere that is shown. */
const LONGEST = 1000;

const plurals = new Intl.PluralRules(lang);
const whole = new Intl.NumberFormat(lang, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
const hundredths = new Intl.NumberFormat(lang, {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
const thousandths = new Intl.NumberFormat(lang, { maximumFractionDigits: 3 });
const shares = new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 1 });

export { lang };

/**
 * A text with its values; what has no value stays as it is.
 * @param {TextKey} key
 * @param {Values} [values]
 */
export function say(key, values = {}) {
  /** @type {string | Record<string, string>} */
  const found = texts[key];
  const count = Number(values["count"] ?? 0);
  const text =
    typeof found === "string" ? found : (found[plurals.select(count)] ?? found["other"] ?? "");
  return text.replace(/\{(\w+)\}/g, (all, name) => {
    const value = values[name];
    return typeof value === "number" ? whole.format(value) : (value ?? all);
  });
}

/**
 * Whether there is such a text: for names that come from the service.
 * @param {string} key
 * @returns {key is TextKey}
 */
export function known(key) {
  return Object.hasOwn(texts, key);
}

/**
 * Fill everything below that names its text.
 * @param {ParentNode} root
 */
export function fill(root) {
  for (const element of root.querySelectorAll("[data-text]")) {
    const key = element.getAttribute("data-text") ?? "";
    if (known(key)) element.textContent = say(key);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    const key = element.getAttribute("data-label") ?? "";
    if (known(key)) element.setAttribute("aria-label", say(key));
  }
  for (const element of root.querySelectorAll("[data-hint]")) {
    const key = element.getAttribute("data-hint") ?? "";
    if (known(key)) element.setAttribute("placeholder", say(key));
  }
}

/**
 * Text from elsewhere, made fit to be shown: of bounded length, and without the characters that
 * turn the reading direction around or stand for nothing visible.
 * @param {string} text
 */
export function plain(text) {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return short.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]+/gu, "\uFFFD");
}

/**
 * Seconds as on a clock, with tenths: 1:02.5.
 * @param {number} seconds
 */
export function clock(seconds) {
  const all = Math.round(Math.max(0, seconds) * 10);
  const hours = Math.floor(all / 36000);
  const minutes = Math.floor(all / 600) % 60;
  const rest = `${String(Math.floor(all / 10) % 60).padStart(2, "0")}.${all % 10}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/**
 * The seconds that a person means: 90, 1:30, 1:02:03.5; null where that is no time.
 * @param {string} text
 */
export function seconds(text) {
  const found = /^(?:(?:(\d{1,3}):)?(\d{1,3}):)?(\d{1,6}(?:[.,]\d{1,3})?)$/.exec(text.trim());
  if (!found) return null;
  const [hours, minutes, rest] = found.slice(1).map((part) => Number((part ?? "0").replace(",", ".")));
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}

/**
 * A length of time.
 * @param {number} seconds
 */
export function lasting(seconds) {
  return seconds < 100 ? `${tenths.format(seconds)} s` : clock(seconds);
}

/**
 * P(fake) in brief. None is certain, and none reads as if it were.
 * @param {number} score
 */
export function brief(score) {
  if (score > 0.995) return `>${hundredths.format(0.99)}`;
  return score < 0.005 ? `<${hundredths.format(0.01)}` : hundredths.format(score);
}

/**
 * P(fake) as exactly as the lines that it is held against.
 * @param {number} score
 */
export function precise(score) {
  if (score > 0.9995) return `>${thousandths.format(0.999)}`;
  return score < 0.0005 ? `<${thousandths.format(0.001)}` : thousandths.format(score);
}

/**
 * A number as exactly as reports for people are.
 * @param {number} number
 */
export function exact(number) {
  return thousandths.format(number);
}

/**
 * A share of one in per cent.
 * @param {number} share
 */
export function percent(share) {
  return shares.format(share);
}

/**
 * A number that counts.
 * @param {number} number
 */
export function count(number) {
  return whole.format(number);
}

/**
 * Frames a second.
 * @param {number} number
 */
export function rate(number) {
  return hundredths.format(number);
}

/**
 * A number of bytes.
 * @param {number} bytes
 */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let power = 0;
  let left = bytes;
  while (left >= 1000 && power < units.length - 1) {
    left /= 1000;
    power += 1;
  }
  return `${tenths.format(left)} ${units[power]}`;
}
