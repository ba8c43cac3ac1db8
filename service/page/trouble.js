/** What goes wrong: read from an answer, and told to the person with a way on. */

import { known, plain, say } from "./words.js";

/** Answers that ask to be asked again later. */
const LATER = [429, 503];

/** What may go well another time without anything being changed. */
const PASSING = [
  "busy",
  "cut",
  "garbled",
  "internal",
  "lost",
  "not_ready",
  "origin_failed",
  "origin_slow",
  "rate_limited",
  "silent",
  "slow_body",
  "unexpected",
];

/** Seconds, where an answer asks to be asked again and does not say when, and at most: who is told
 * more than eleven days has opened the page anew by then. */
const SOON = 5;
const LATEST = 1e6;

/** What an answer that is no problem document probably means, by its status. */
/** @type {Record<number, string>} */
const BY_STATUS = {
  401: "unauthorized",
  403: "unexpected",
  404: "not_found",
  413: "too_large",
  429: "busy",
  502: "not_ready",
  503: "not_ready",
  504: "not_ready",
};

/** @typedef {{status?: number, title?: string, detail?: string, request?: string, wait?: number}} Told */

export class Trouble extends Error {
  /**
   * @param {string} code One of docs/errors.md, or one of the page's own.
   * @param {Told} [told] What the service said of it; `wait` is in seconds.
   */
  constructor(code, told = {}) {
    super(code);
    this.code = code;
    this.status = told.status ?? 0;
    this.title = told.title ?? "";
    this.detail = told.detail ?? "";
    this.request = told.request ?? "";
    this.wait = told.wait ?? 0;
  }

  /** Whether the same may go well another time. */
  get passing() {
    return this.wait > 0 || PASSING.includes(this.code);
  }
}

/**
 * The trouble in a problem document.
 * @param {unknown} document
 * @param {number} wait Seconds.
 */
export function described(document, wait = 0) {
  const fields = /** @type {Record<string, unknown>} */ (
    typeof document === "object" && document !== null ? document : {}
  );
  /** @param {string} name */
  const text = (name) => (typeof fields[name] === "string" ? plain(String(fields[name])) : "");
  const status = typeof fields["status"] === "number" ? fields["status"] : 0;
  return new Trouble(text("code") || "internal", {
    status,
    title: text("title"),
    detail: text("detail"),
    request: text("request_id"),
    wait: wait || (LATER.includes(status) ? SOON : 0),
  });
}

/**
 * The trouble in an answer that is no success.
 * @param {number} status
 * @param {string} body
 * @param {string | null} retryAfter The header of this name.
 */
export function refused(status, body, retryAfter) {
  const wait = seconds(retryAfter) || (LATER.includes(status) ? SOON : 0);
  try {
    const document = JSON.parse(body);
    if (typeof document?.code === "string") return described({ ...document, status }, wait);
  } catch {
    // Something before the service answered: what it says is not for people.
  }
  return new Trouble(BY_STATUS[status] ?? "unexpected", { status, wait });
}

/**
 * The seconds of a `Retry-After`: a number, or a date (RFC 9110, 10.2.3).
 * @param {string | null} header
 */
export function seconds(header) {
  if (!header) return 0;
  const after = /^\s*\d+\s*$/.test(header)
    ? Number(header)
    : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(after) ? Math.min(Math.max(Math.ceil(after), 1), LATEST) : 0;
}

/** Shows one trouble at a time, and counts down to another try. */
export class TroubleBox {
  /**
   * @param {HTMLElement} box Holds the others; hidden while there is nothing to tell.
   * @param {{sentence: HTMLElement, way: HTMLElement, more: HTMLElement, retry: HTMLButtonElement}} parts
   */
  constructor(box, parts) {
    this.box = box;
    this.parts = parts;
    this.timer = 0;
    /** When the service may be asked again, also where this shows no more: on the page's clock. */
    this.due = 0;
    /**
     * What shows.
     * @type {Trouble | null}
     */
    this.shown = null;
    /** @type {() => void} */
    this.again = () => {};
    parts.retry.addEventListener("click", () => {
      const again = this.again;
      this.hide();
      again();
    });
  }

  /**
   * @param {Trouble} trouble
   * @param {() => void} again What another try does.
   * @param {{sentence?: string}} [better] A sentence that says more than that of the code.
   */
  show(trouble, again, better = {}) {
    this.hide();
    const { sentence, way, more, retry } = this.parts;
    const code = known(`problem.${trouble.code}`) ? trouble.code : "";
    const values = { status: trouble.status };
    sentence.textContent =
      better.sentence ??
      (code
        ? say(/** @type {import("./words.js").TextKey} */ (`problem.${code}`), values)
        : [trouble.title, trouble.detail].filter(Boolean).join(". ") ||
          say("problem.unexpected", values));
    const helps = `way.${code || "unexpected"}`;
    way.textContent = known(helps) ? say(helps) : "";
    const said = [];
    if (code && trouble.detail) {
      const detail = trouble.detail.replace(/[.\s]+$/, "");
      said.push(say("problem.more", { title: trouble.title, detail }));
    }
    if (trouble.request) said.push(say("problem.request", { id: trouble.request }));
    more.textContent = said.join(" ");
    this.again = again;
    this.shown = trouble;
    retry.hidden = !trouble.passing;
    this.box.hidden = false;
    if (trouble.passing) this.count(trouble.wait);
  }

  hide() {
    clearInterval(this.timer);
    this.shown = null;
    this.box.hidden = true;
    for (const part of [this.parts.sentence, this.parts.way, this.parts.more]) {
      part.textContent = "";
    }
  }

  /** Whole seconds until the service may be asked again; 0 or less once it may. */
  get left() {
    return Math.ceil((this.due - Date.now()) / 1000);
  }

  /**
   * Let nobody try again before so many seconds are over.
   * @param {number} wait
   */
  count(wait) {
    const { retry } = this.parts;
    this.due = Date.now() + wait * 1000;
    const tick = () => {
      const { left } = this;
      retry.disabled = left > 0;
      retry.textContent =
        left > 0 ? say("problem.retry-in", { count: left }) : say("problem.retry");
      if (left <= 0) clearInterval(this.timer);
    };
    this.timer = setInterval(tick, 200);
    tick();
  }
}
