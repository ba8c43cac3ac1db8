/** The page: puts its parts together, and takes one video at a time through the service. */

import { Detection, ask, service } from "./api.js";
import { the, still } from "./dom.js";
import { Form } from "./form.js";
import { number, readId, readReport, readSegment } from "./report.js";
import { Results } from "./results.js";
import { command, copy, download, written } from "./share.js";
import { Trouble, TroubleBox } from "./trouble.js";
import { demonstrates, headline } from "./verdict.js";
import { Work } from "./work.js";
import { fill, lang, plain, say, size } from "./words.js";

/** @typedef {import("./api.js").Order} Order */

/** Milliseconds in which it mostly shows whether the browser can play a file. */
const PATIENCE = 700;

/** Seconds of video up to which every frame's box is asked for: beyond, those are megabytes. */
const EVERY_BOX = 600;

the("unloaded", HTMLElement).remove();
fill(document);
document.title = say("title");
document.documentElement.lang = lang;

const work = new Work();
const results = new Results();
const trouble = new TroubleBox(the("problem-box", HTMLElement), {
  sentence: the("problem", HTMLElement),
  way: the("way", HTMLElement),
  more: the("problem-more", HTMLElement),
  retry: the("retry", HTMLButtonElement),
});
/** @type {Form} */
const form = new Form({
  file: (file) => {
    // Another file is no reason to ask the service before its time.
    if (trouble.left <= 0) trouble.hide();
    work.rest("");
    last = asked = null;
    results.load(file);
    warn();
  },
  start: () => void start(),
  key: () => void meet(),
  model: () => warn(),
});

/**
 * What is asked of the service now; null while it is not.
 * @type {{cancel: () => void} | null}
 */
let running = null;

/**
 * The last report as it came, what it was asked with, and when it came.
 * @type {{text: string, order: Order, time: Date} | null}
 */
let last = null;

/**
 * What was asked for last.
 * @type {import("./form.js").Given | null}
 */
let asked = null;

/** Bytes of a video, at most; 0 while that is not known. */
let largest = 0;

/**
 * Whether receipts are signed here, as far as is known.
 * @type {boolean | undefined}
 */
let receipts;

/** How often the service was asked what it has: the last answer counts. */
let meetings = 0;

/**
 * What that met with.
 * @type {unknown}
 */
let unmet = null;

/** Warn of the demonstration model, where it would score now or where its finding shows. */
function warn() {
  the("caution", HTMLElement).hidden = !demonstrates([...form.chosen, ...results.models]);
}

/** Learn what the service has. */
async function meet() {
  const mine = ++meetings;
  const key = form.key.value.trim();
  try {
    const [models, limits] = await Promise.all([ask("v1/models", key), ask("v1/limits", key)]);
    if (mine !== meetings) return;
    form.offer(models);
    largest = number(limits?.bytes?.value, 1e15) ?? 0;
    const { shown } = trouble;
    if (shown && (shown === unmet || (key && aboutKey(shown)))) trouble.hide();
  } catch (error) {
    if (mine !== meetings || running) return;
    // Without a key that is to be expected.
    if (error instanceof Trouble && error.code === "unauthorized" && !key) return;
    // What another call met with is not to be forgotten over this.
    if (trouble.shown && trouble.shown !== unmet) return;
    show(error, () => {
      // The button that was pressed has gone.
      the("analyse", HTMLElement).focus();
      void meet();
    });
    unmet = trouble.shown;
  }
}

/** @param {Trouble} told */
function aboutKey(told) {
  return told.code === "unauthorized" || told.code === "bad_key";
}

/**
 * @param {unknown} error
 * @param {() => void} again
 * @param {string} [sentence]
 */
function show(error, again, sentence) {
  const told = error instanceof Trouble ? error : new Trouble("internal");
  trouble.show(told, again, sentence ? { sentence } : {});
  if (aboutKey(told)) form.wantKey();
  if (told.code === "bad_part") form.want(form.from);
}

/**
 * The work is over without a report.
 * @param {unknown} error
 * @param {string} [sentence]
 */
function fail(error, sentence) {
  const lost = adrift();
  end(say("work.failed"));
  if (lost) the("analyse", HTMLElement).focus();
  show(error, () => void start(), sentence);
  const retry = the("retry", HTMLButtonElement);
  if (lost && !retry.hidden && !retry.disabled) retry.focus();
}

/** Whether the focus is nowhere, or on what goes away with the work. */
function adrift() {
  const { activeElement, body } = document;
  return !activeElement || activeElement === body || activeElement === the("cancel", HTMLElement);
}

/** @param {string} words */
function end(words) {
  running = null;
  results.stop();
  form.busy(false);
  work.rest(words);
}

async function start() {
  if (running) return;
  if (trouble.left > 0) {
    work.rest(say("work.wait", { count: trouble.left }));
    return;
  }
  trouble.hide();
  let given;
  try {
    given = form.given();
  } catch (error) {
    show(error, () => {});
    return;
  }
  const mine = { cancel: () => {} };
  running = mine;
  last = null;
  asked = given;
  form.busy(true);
  // What had the focus takes none while it is disabled.
  the("cancel", HTMLElement).focus();
  results.clear();
  warn();
  if (!given.file) results.load(null);
  results.open();
  work.begin();
  const { file } = given;
  try {
    if (file) await look(file, given.start);
  } catch (error) {
    if (running !== mine) return;
    const big = error instanceof Trouble && error.code === "too_large";
    const sizes = { size: size(file?.size ?? 0), limit: size(largest) };
    fail(error, big ? say("problem.too_large-known", sizes) : undefined);
    return;
  }
  if (running === mine) send(given, mine);
}

/**
 * See whether a file can be sent at all. Raises `Trouble`.
 * @param {File} file
 * @param {number} start Seconds from which on it is to be looked at.
 */
async function look(file, start) {
  if (!file.size) throw new Trouble("empty_body");
  if (largest && file.size > largest) throw new Trouble("too_large");
  await file
    .slice(0, 1)
    .arrayBuffer()
    .catch(() => {
      throw new Trouble("unreadable");
    });
  const { player } = results.viewer;
  await player.settled(PATIENCE);
  if (player.duration && start >= player.duration) throw new Trouble("bad_part");
}

/**
 * @param {import("./form.js").Given} given
 * @param {{cancel: () => void}} mine
 */
function send(given, mine) {
  const { player } = results.viewer;
  const order = { ...given, options: [...given.options] };
  // What could not be shown is not asked for; a slow browser may show it yet.
  if (given.file && player.state !== "unplayable") {
    const { duration } = player;
    order.options.push(["explain", "true"]);
    if (duration > 0 && duration <= EVERY_BOX) order.options.push(["detail", "full"]);
  }
  results.duration = player.duration;
  work.send(order.file);
  const detection = new Detection(order, {
    sending: (sent, all) => work.sending(sent, all),
    sent: () => work.sent(order.file !== null),
    progress: (position, duration, clips) => {
      const length = number(duration) ?? 0;
      if (length) results.duration = length;
      work.look(number(position) ?? 0, length, number(clips, 1e9) ?? 0);
    },
    segment: (face, segment) => {
      const id = readId(face);
      const known = readSegment(segment);
      if (id !== null && known) results.add(id, known);
    },
    report: (text) => take(text, order),
    trouble: (told) => fail(refined(told, order)),
  });
  mine.cancel = () => detection.cancel();
}

/**
 * Trouble that says more than the service does, where the page knows more.
 * @param {Trouble} told
 * @param {Order} order
 */
function refined(told, order) {
  if (told.code !== "malformed_request") return told;
  const asked = new Set(order.options.map(([name]) => name));
  if (asked.has("receipt") && !receipts) {
    form.receipt.checked = false;
    return new Trouble("no_receipts");
  }
  return asked.has("start") || asked.has("end") ? new Trouble("bad_part") : told;
}

/**
 * @param {string} text
 * @param {Order} order
 */
function take(text, order) {
  /** @type {unknown} */
  let content = null;
  try {
    content = JSON.parse(text);
  } catch {
    // Nested more deeply than any report.
  }
  if (typeof content !== "object" || content === null) {
    fail(new Trouble("garbled"));
    return;
  }
  const report = readReport(content);
  last = { text, order, time: new Date() };
  results.finish(report);
  warn();
  offer(order, report.receipt);
  const lost = adrift();
  end(say("work.done", { verdict: headline(report) }));
  if (lost) the("verdict-heading", HTMLElement).focus({ preventScroll: true });
  results.finding.box.scrollIntoView({
    behavior: still() ? "auto" : "smooth",
    block: "nearest",
  });
}

/**
 * What can be taken along.
 * @param {Order} order
 * @param {boolean} receipt
 */
function offer(order, receipt) {
  the("download-receipt", HTMLButtonElement).disabled = !receipt;
  the("receipt-words", HTMLElement).hidden = receipt || receipts === false;
  the("download-receipt", HTMLElement).hidden = receipts === false;
  const { text, notes } = command(order);
  the("curl", HTMLElement).textContent = text;
  the("curl-notes", HTMLElement).textContent = notes.join(" ");
  the("copied", HTMLElement).textContent = "";
}

/** What a printed page must say of itself. */
function sign() {
  const source = the("print-source", HTMLElement);
  if (!asked) source.textContent = "";
  else if (asked.file) source.textContent = say("print.file", { name: plain(asked.file.name) });
  else source.textContent = say("print.url", { url: plain(asked.url) });
  const made = the("print-made", HTMLElement);
  const time = last?.time.toLocaleString(lang, { dateStyle: "long", timeStyle: "long" });
  if (time) made.textContent = say("print.made", { time, address: service() });
  else made.textContent = say(asked ? "print.unfinished" : "print.nothing");
  the("print-short", HTMLElement).hidden = !last;
}

the("cancel", HTMLElement).addEventListener("click", () => {
  running?.cancel();
  end(say("work.cancelled"));
  the("analyse", HTMLElement).focus();
});
the("download-json", HTMLElement).addEventListener("click", () => {
  if (last) download("deepfake-report.json", last.text);
});
the("download-receipt", HTMLElement).addEventListener("click", () => {
  if (last) download("deepfake-receipt.json", written(last.text, "receipt"));
});
the("print", HTMLElement).addEventListener("click", () => print());
the("copy-curl", HTMLElement).addEventListener("click", async () => {
  const shown = the("curl", HTMLElement);
  the("copied", HTMLElement).textContent = await copy(shown.textContent ?? "", shown);
});
addEventListener("beforeprint", sign);

ask("page/offers.json").then(
  (offers) => {
    receipts = offers?.receipts === true;
    form.limit(offers);
    the("api-docs", HTMLElement).hidden = offers?.docs === false;
  },
  // Then it shows when they are asked for.
  () => {},
);
void meet();
