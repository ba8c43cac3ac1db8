/** What a person takes along: report, receipt, and a command that asks the same again. */

import { address } from "./api.js";
import { say } from "./words.js";

/** @typedef {import("./api.js").Order} Order */

/**
 * What a shell and a terminal take as it stands between single quotes. Control characters may run
 * what is pasted, and those that nobody sees or that turn the direction hide what is run.
 */
const HARMLESS = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

/**
 * Save a text as a file.
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has taken the file over by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/**
 * A word for a POSIX shell.
 * @param {string} text
 */
export function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * JSON that holds nothing but visible ASCII.
 * @param {string} text
 */
function ascii(text) {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * The command that makes the same call.
 * @param {Order} order
 * @returns {{text: string, notes: string[]}} With what must be said of it.
 */
export function command(order) {
  const words = ["curl", "--fail-with-body"];
  const notes = [];
  if (order.file) {
    const harmless = HARMLESS.test(order.file.name);
    // Behind ./ a name can neither be an option nor stand for the standard input.
    const file = harmless ? quoted(`@./${order.file.name}`) : "@VIDEO";
    if (!harmless) notes.push(say("share.curl-file"));
    words.push("-H", quoted("Content-Type: application/octet-stream"), "--data-binary", file);
  } else {
    words.push("--json", quoted(`{"url": ${ascii(order.url)}}`));
  }
  if (order.key) {
    words.push("-H", '"X-API-Key: $DEEPFAKE_KEY"');
    notes.push(say("share.curl-key"));
  }
  words.push(quoted(address(order)));
  return { text: words.join(" "), notes };
}

/**
 * Copy a text; the words that say what came of it. Where a page may not copy, what shows the text
 * is selected.
 * @param {string} text
 * @param {HTMLElement} shown
 */
export async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return say("share.copied");
  } catch {
    // There is no clipboard outside of secure contexts, which plain HTTP to another host is none of.
    getSelection()?.selectAllChildren(shown);
    return say("share.copy-by-hand");
  }
}

/**
 * A member of an object in JSON exactly as it is written there; empty without it.
 * @param {string} json
 * @param {string} name Plain letters.
 */
export function written(json, name) {
  let depth = 0;
  let begin = -1;
  for (let at = 0; at < json.length; at++) {
    const letter = json[at];
    if (letter === '"') {
      const from = at;
      for (at++; at < json.length && json[at] !== '"'; at++) if (json[at] === "\\") at++;
      if (depth !== 1 || begin >= 0 || json.slice(from + 1, at) !== name) continue;
      const colon = /\s*:\s*/y;
      colon.lastIndex = at + 1;
      const matched = colon.exec(json);
      if (!matched) continue;
      begin = colon.lastIndex;
      at = begin - 1;
    } else if (letter === "{" || letter === "[") {
      depth++;
    } else if (letter === "}" || letter === "]") {
      depth--;
      if (begin >= 0 && depth === 0) return json.slice(begin, at).trim();
    } else if (letter === "," && begin >= 0 && depth === 1) {
      return json.slice(begin, at).trim();
    }
  }
  return "";
}
