/** What a person gives: a file or an address, options and a key. */

import { make, the } from "./dom.js";
import { readModel } from "./report.js";
import { Trouble } from "./trouble.js";
import { plain, say, seconds, size } from "./words.js";

/** @typedef {import("./report.js").Model} Model */

/** @typedef {{file: File | null, url: string, key: string, start: number, options: [string, string][]}} Given */

/** Models and ensembles that are offered, at most. */
const MOST_MODELS = 200;

export class Form {
  /**
   * @param {object} heard
   * @param {(file: File | null) => void} heard.file Another one was chosen, or none.
   * @param {() => void} heard.start
   * @param {() => void} heard.key A key was entered.
   * @param {() => void} heard.model Another one was chosen.
   */
  constructor(heard) {
    this.heard = heard;
    this.form = the("form", HTMLFormElement);
    this.fields = the("fields", HTMLFieldSetElement);
    this.input = the("file", HTMLInputElement);
    this.drop = the("drop", HTMLElement);
    this.name = the("file-name", HTMLElement);
    this.url = the("url", HTMLInputElement);
    this.from = the("from", HTMLInputElement);
    this.to = the("to", HTMLInputElement);
    this.key = the("key", HTMLInputElement);
    this.model = the("model", HTMLSelectElement);
    this.sampling = the("sampling", HTMLSelectElement);
    this.receipt = the("offer-receipt", HTMLInputElement);
    /** @type {File | null} */
    this.file = null;
    this.keyWanted = false;
    // There the button would lie out of sight.
    if (matchMedia("(max-width: 40rem)").matches) the("options", HTMLDetailsElement).open = false;
    /**
     * By the name that stands for them, the networks that score.
     * @type {Map<string, Model[]>}
     */
    this.models = new Map();
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      heard.start();
    });
    // Else a browser does not tell of a file that is chosen once more.
    this.input.addEventListener("click", () => {
      this.input.value = "";
    });
    this.input.addEventListener("change", () => this.take(this.input.files?.[0] ?? null));
    this.url.addEventListener("input", () => {
      if (this.url.value && this.file) this.take(null);
    });
    this.key.addEventListener("change", () => heard.key());
    this.model.addEventListener("change", () => heard.model());
    this.watchDrops();
    this.show();
  }

  /** Take what is dropped anywhere: a browser would leave the page for it. */
  watchDrops() {
    /** @param {boolean} over */
    const over = (over) => this.drop.classList.toggle("over", over);
    addEventListener("dragover", (event) => {
      event.preventDefault();
      over(!this.fields.disabled);
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) over(false);
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      over(false);
      if (this.fields.disabled) return;
      const file = event.dataTransfer?.files[0];
      const link = event.dataTransfer?.getData("text/uri-list").split(/\r?\n/)[0];
      if (file) this.take(file);
      else if (link && !this.url.closest("[hidden]")) {
        this.take(null);
        this.url.value = link;
      }
    });
  }

  /** @param {File | null} file */
  take(file) {
    this.file = file;
    if (file) this.url.value = "";
    else this.input.value = "";
    this.show();
    this.heard.file(file);
  }

  show() {
    const { file } = this;
    this.name.textContent = file
      ? say("form.chosen", { name: plain(file.name), size: size(file.size) })
      : "";
    this.drop.classList.toggle("chosen", file !== null);
  }

  /**
   * What was given. Raises `Trouble`.
   * @returns {Given}
   */
  given() {
    const url = this.url.value.trim();
    const key = this.key.value.trim();
    if (!this.file && !url) throw new Trouble("no_input");
    if (!this.file && !/^https?:\/\/\S/i.test(url)) throw new Trouble("bad_url");
    if (!/^[\x21-\x7e]{0,1024}$/.test(key)) throw new Trouble("bad_key");
    /** @type {[string, string][]} */
    const options = [["sampling", this.sampling.value]];
    if (this.model.value) options.push(["model", this.model.value]);
    const { start, end } = this.part();
    if (start !== null) options.push(["start", String(start)]);
    if (end !== null) options.push(["end", String(end)]);
    if (this.receipt.checked && !this.receipt.closest("[hidden]")) options.push(["receipt", "true"]);
    return { file: this.file, url: this.file ? "" : url, key, start: start ?? 0, options };
  }

  /**
   * The seconds that are to be looked at, null where nothing bounds them. Raises `Trouble`.
   */
  part() {
    /** @param {HTMLInputElement} field */
    const read = ({ value }) => {
      const time = value.trim() ? seconds(value) : null;
      if (value.trim() && time === null) throw new Trouble("bad_part");
      return time;
    };
    const [start, end] = [read(this.from), read(this.to)];
    if (end !== null && end <= (start ?? 0)) throw new Trouble("bad_part");
    return { start, end };
  }

  /**
   * While a video is scored, nothing is changed.
   * @param {boolean} on
   */
  busy(on) {
    this.fields.disabled = on;
    the("analyse", HTMLButtonElement).disabled = on;
    the("cancel", HTMLButtonElement).hidden = !on;
  }

  /** A key has to be given. */
  wantKey() {
    this.keyWanted = true;
    the("key-row", HTMLElement).hidden = false;
    this.want(this.key);
  }

  /**
   * Something else has to be given there.
   * @param {HTMLInputElement} field
   */
  want(field) {
    the("options", HTMLDetailsElement).open = true;
    field.focus();
  }

  /** The networks that would score now. */
  get chosen() {
    return this.models.get(this.model.value) ?? [];
  }

  /**
   * What `GET /v1/models` says.
   * @param {any} served
   */
  offer(served) {
    /** @type {any[]} */
    const models = Array.isArray(served?.models) ? served.models.slice(0, MOST_MODELS) : [];
    /** @type {any[]} */
    const ensembles = Array.isArray(served?.ensembles)
      ? served.ensembles.slice(0, MOST_MODELS)
      : [];
    const before = this.model.value;
    this.models.clear();
    for (const each of models) {
      if (typeof each?.name === "string") this.models.set(each.name, [readModel(each)]);
    }
    for (const each of ensembles) {
      /** @type {unknown[]} */
      const members = Array.isArray(each?.members) ? each.members : [];
      const known = members.flatMap((name) => this.models.get(String(name)) ?? []);
      if (typeof each?.name === "string") this.models.set(each.name, known);
    }
    const together = new Set(ensembles.map((each) => each?.name));
    const choices = [...this.models.keys()].map((name) => {
      const kind = together.has(name) ? say("form.model-ensemble", { name }) : name;
      const words = name === served?.default ? say("form.model-default", { name: kind }) : kind;
      const choice = make("option", plain(words));
      choice.value = name;
      choice.selected = name === (this.models.has(before) ? before : served?.default);
      return choice;
    });
    if (choices.length) this.model.replaceChildren(...choices);
    this.heard.model();
  }

  /**
   * What else the service has, as `offers.json` says.
   * @param {any} offers
   */
  limit(offers) {
    the("url-row", HTMLElement).hidden = offers?.links === false;
    if (!this.keyWanted) the("key-row", HTMLElement).hidden = offers?.keys === false;
    the("receipt-row", HTMLElement).hidden = offers?.receipts === false;
    this.receipt.checked = offers?.receipts === true;
  }
}
