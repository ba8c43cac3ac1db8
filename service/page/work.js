/** How far the work is: a bar, and words that screen readers are told now and then. */

import { the } from "./dom.js";
import { clock, percent, say, size } from "./words.js";

export class Work {
  constructor() {
    this.status = the("status", HTMLElement);
    this.box = the("work", HTMLElement);
    this.bar = the("progress", HTMLElement);
    this.fill = the("progress-fill", HTMLElement);
    this.text = the("progress-text", HTMLElement);
  }

  /**
   * Nothing is done.
   * @param {string} words Why, or empty.
   */
  rest(words) {
    this.box.hidden = true;
    this.status.textContent = words;
  }

  begin() {
    this.box.hidden = false;
    this.say("work.begin");
    this.show("send", 0, "");
  }

  /** @param {File | null} file */
  send(file) {
    if (file) this.say("work.send");
    else this.sent(false);
  }

  /**
   * @param {number} sent Bytes.
   * @param {number} all
   */
  sending(sent, all) {
    const words = say("work.sent-of", { sent: size(sent), all: size(all) });
    this.show("send", all ? sent / all : 0, words);
  }

  /**
   * Everything is with the service.
   * @param {boolean} video Or an address.
   */
  sent(video) {
    this.say(video ? "work.sent" : "work.fetch");
    this.show("look", 0, "");
  }

  /**
   * @param {number} position Seconds.
   * @param {number} duration 0 while that is not known.
   * @param {number} clips
   */
  look(position, duration, clips) {
    // It also comes as a sign of life, while nothing is known yet.
    if (!duration && !clips) return;
    this.say("work.look");
    const reached = say("work.position", {
      position: clock(position),
      duration: clock(duration),
    });
    const words = `${reached}, ${say("work.clips", { count: clips })}`;
    this.show("look", duration ? position / duration : 0, words);
  }

  /**
   * Screen readers read what changes: the same is not set again.
   * @param {import("./words.js").TextKey} key
   */
  say(key) {
    const words = say(key);
    if (this.status.textContent !== words) this.status.textContent = words;
  }

  /**
   * @param {"send" | "look"} phase
   * @param {number} share
   * @param {string} words
   */
  show(phase, share, words) {
    const bounded = Math.min(Math.max(share, 0), 1);
    this.bar.dataset["phase"] = phase;
    this.bar.setAttribute("aria-valuenow", String(Math.round(bounded * 100)));
    this.bar.setAttribute("aria-valuetext", words || percent(bounded));
    this.fill.style.width = `${bounded * 100}%`;
    this.text.textContent = words;
  }
}
