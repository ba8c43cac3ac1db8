/** Calls to the service that this page came from. */

import { Trouble, described, refused } from "./trouble.js";

/** Where the service is, under whatever prefix: this lies in page/VERSION/. */
const SERVICE = new URL("../../", import.meta.url);

/** Milliseconds without a byte in either direction after which a connection counts as lost. The
 * service shows a sign of life every ten seconds. */
const SILENCE = 90_000;

/** The longest answer that is taken, in characters. */
const LONGEST = 128 * 2 ** 20;

/** Not `Authorization`, in which a proxy before the service may want a password. */
const KEY = "X-API-Key";

const REPORT_EVENT = '{"event":"report","report":';

/**
 * @typedef {object} Order What is to be scored, and how.
 * @property {File | null} file
 * @property {string} url Where there is no file.
 * @property {string} key Empty where there is none.
 * @property {[string, string][]} options Names and values of the query.
 */

/**
 * @typedef {object} Heard Called as things happen; the last is `report` or `trouble`, or nothing
 * after a cancellation.
 * @property {(sent: number, all: number) => void} sending Bytes.
 * @property {() => void} sent All bytes.
 * @property {(position: number, duration: number, clips: number) => void} progress Seconds.
 * @property {(face: unknown, segment: unknown) => void} segment
 * @property {(text: string) => void} report The report as it came, letter by letter.
 * @property {(trouble: Trouble) => void} trouble
 */

/**
 * The address of a call.
 * @param {Order} order
 */
export function address(order) {
  const url = new URL("v1/detections", SERVICE);
  for (const [name, value] of order.options) url.searchParams.append(name, value);
  return url.href;
}

/** A path of the service, as the page names it to people. */
export function service() {
  return SERVICE.href;
}

/** One video on its way through the service. */
export class Detection {
  /**
   * Begins at once.
   * @param {Order} order
   * @param {Heard} heard
   */
  constructor(order, heard) {
    this.heard = heard;
    this.over = false;
    /** How far the answer has been read. */
    this.read = 0;
    /** Whether all bytes have gone out. */
    this.sent = false;
    this.watch = 0;
    // XMLHttpRequest, since fetch does not tell how much of a body has been sent.
    this.request = new XMLHttpRequest();
    try {
      this.send(order);
    } catch {
      // The key or the address cannot be sent as it is.
      queueMicrotask(() => this.fail(new Trouble("bad_key")));
    }
  }

  /** Stop it: the service ends the work when the connection closes. */
  cancel() {
    this.end();
    this.request.abort();
  }

  /** @param {Order} order */
  send(order) {
    const { request } = this;
    request.open("POST", address(order));
    // Else Firefox reads an answer without a type as XML, and complains.
    request.responseType = "text";
    request.setRequestHeader("Accept", "application/x-ndjson");
    if (order.key) request.setRequestHeader(KEY, order.key);
    const kind = order.file ? "application/octet-stream" : "application/json";
    request.setRequestHeader("Content-Type", kind);
    request.upload.addEventListener("progress", (event) => {
      if (this.over) return;
      this.alive();
      // Firefox tells of the end of an upload only with the head of the answer.
      this.sent = event.loaded === event.total;
      if (this.sent) this.heard.sent();
      else this.heard.sending(event.loaded, event.total);
    });
    request.addEventListener("progress", () => this.listen());
    request.addEventListener("load", () => this.finish());
    request.addEventListener("error", () => {
      this.fail(new Trouble(this.sent || !order.file ? "lost" : "cut"));
    });
    this.alive();
    request.send(order.file ?? JSON.stringify({ url: order.url }));
  }

  /** Read the lines that are whole. */
  listen() {
    if (this.over) return;
    this.alive();
    if (this.request.status !== 200) return;
    const text = this.request.responseText;
    if (text.length > LONGEST) {
      this.request.abort();
      this.fail(new Trouble("too_much"));
      return;
    }
    for (;;) {
      const end = text.indexOf("\n", this.read);
      if (end < 0 || this.over) return;
      const line = text.slice(this.read, end);
      this.read = end + 1;
      if (line.trim()) this.take(line);
    }
  }

  /** @param {string} line */
  take(line) {
    /** @type {any} */
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      this.request.abort();
      this.fail(new Trouble("garbled"));
      return;
    }
    switch (event?.event) {
      case "progress":
        this.heard.progress(event.position, event.duration, event.clips);
        break;
      case "segment":
        this.heard.segment(event.face, event.segment);
        break;
      case "report": {
        this.end();
        // Parsing makes 1 of 1.0, and a receipt's signature is over 1.0.
        const whole = line.startsWith(REPORT_EVENT) && line.trimEnd().endsWith("}");
        const text = whole
          ? line.trimEnd().slice(REPORT_EVENT.length, -1)
          : JSON.stringify(event.report);
        this.heard.report(text ?? "null");
        break;
      }
      case "error":
        this.fail(described(event.problem));
        break;
    }
  }

  finish() {
    if (this.over) return;
    const { request } = this;
    if (request.status === 200) {
      this.listen();
      // A stream that says neither report nor error has been cut off.
      this.fail(new Trouble("lost"));
      return;
    }
    const wait = request.getResponseHeader("Retry-After");
    this.fail(refused(request.status, request.responseText, wait));
  }

  /** @param {Trouble} trouble */
  fail(trouble) {
    if (this.over) return;
    this.end();
    this.heard.trouble(trouble);
  }

  alive() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => {
      if (this.over) return;
      this.end();
      this.request.abort();
      this.heard.trouble(new Trouble("silent"));
    }, SILENCE);
  }

  end() {
    this.over = true;
    clearTimeout(this.watch);
  }
}

/**
 * What the service answers at a path. Raises `Trouble`.
 * @param {string} path
 * @param {string} [key]
 * @returns {Promise<any>}
 */
export async function ask(path, key = "") {
  /** @type {Response} */
  let answer;
  try {
    const headers = new Headers({ Accept: "application/json" });
    if (key) headers.set(KEY, key);
    answer = await fetch(new URL(path, SERVICE), { headers });
  } catch (error) {
    // Headers refuses what no header can hold.
    throw new Trouble(key && !/^[\x21-\x7e]+$/.test(key) ? "bad_key" : "lost");
  }
  const text = await answer.text().catch(() => "");
  if (!answer.ok) throw refused(answer.status, text, answer.headers.get("Retry-After"));
  try {
    return JSON.parse(text);
  } catch {
    throw new Trouble("garbled");
  }
}
