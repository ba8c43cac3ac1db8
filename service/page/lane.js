/** One face's row on the timeline: its name and score, and its segments as buttons. */

import { bars } from "./moments.js";
import { brief, clock, say } from "./words.js";

/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./moments.js").Bar} Bar */

export class Lane {
  /** @param {Face} face */
  constructor(face) {
    this.face = face;
    /** @type {{button: HTMLButtonElement, bar: Bar}[]} */
    this.bars = [];
    this.drawn = "";
    this.element = document.createElement("div");
    this.element.className = "lane";
    this.element.dataset["face"] = String(face.id);
    this.element.setAttribute("role", "group");
    const head = document.createElement("div");
    head.className = "lane-head";
    this.thumb = document.createElement("canvas");
    this.thumb.className = "thumb";
    this.thumb.width = this.thumb.height = 96;
    this.thumb.hidden = true;
    this.thumb.setAttribute("aria-hidden", "true");
    const name = document.createElement("p");
    name.className = "lane-name";
    name.textContent = say("timeline.face", { face: String(face.id) });
    this.score = document.createElement("p");
    this.score.className = "lane-score";
    const words = document.createElement("div");
    words.append(name, this.score);
    head.append(this.thumb, words);
    this.track = document.createElement("div");
    this.track.className = "track";
    this.element.append(head, this.track);
  }

  /**
   * @param {Face} face
   * @param {number} duration
   * @param {number} most Bars.
   * @param {boolean} over Whether no more will come.
   */
  show(face, duration, most, over) {
    this.face = face;
    const state = [face.segments.length, duration, most, over, face.score, face.verdict].join();
    if (state === this.drawn) return;
    this.drawn = state;
    const id = String(face.id);
    const { score, verdict } = face;
    const first = face.segments[0];
    const last = face.segments[face.segments.length - 1];
    const done = score !== null && verdict !== null && first && last;
    this.element.dataset["verdict"] = verdict ?? "";
    this.score.textContent = done
      ? say("timeline.score", { score: brief(score), verdict: say(`word.${verdict}`) })
      : say(over ? "timeline.stopped" : "timeline.waiting");
    this.element.setAttribute(
      "aria-label",
      done
        ? say("timeline.face-words", {
            face: id,
            score: brief(score),
            verdict: say(`word.${verdict}`),
            start: clock(first.start),
            end: clock(last.end),
          })
        : say(over ? "timeline.face-stopped" : "timeline.face-waiting", { face: id }),
    );
    this.draw(bars(face.segments, most), duration);
  }

  /**
   * Buttons that are there are used again, so that the focus stays where it is.
   * @param {Bar[]} shown
   * @param {number} duration
   */
  draw(shown, duration) {
    for (const each of this.bars.splice(shown.length)) each.button.remove();
    shown.forEach((bar, place) => {
      let each = this.bars[place];
      if (!each) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "segment";
        button.tabIndex = place ? -1 : 0;
        this.track.append(button);
        each = { button, bar };
        this.bars.push(each);
      }
      each.bar = bar;
      this.place(each.button, bar, duration);
    });
    if (!this.bars.some((each) => each.button.tabIndex === 0)) this.enter(0);
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {Bar} bar
   * @param {number} duration
   */
  place(button, bar, duration) {
    const { score, verdict } = bar.worst;
    const start = Math.min(bar.start / duration, 1);
    const end = Math.min(bar.end / duration, 1);
    button.dataset["start"] = String(bar.start);
    button.dataset["end"] = String(bar.end);
    button.dataset["score"] = String(score);
    button.dataset["verdict"] = verdict;
    button.style.left = `${start * 100}%`;
    button.style.width = `${(end - start) * 100}%`;
    button.style.setProperty("--score", String(score));
    button.setAttribute("aria-label", spoken(this.face, bar));
  }

  /**
   * The place of the bar that a segment with this start is in; -1 without one.
   * @param {number} start
   */
  holding(start) {
    let found = -1;
    this.bars.forEach(({ bar }, place) => {
      if (bar.start <= start && start <= bar.end) found = place;
    });
    return found;
  }

  /**
   * Let the tab key come to this bar.
   * @param {number} place
   */
  enter(place) {
    this.bars.forEach((each, other) => {
      each.button.tabIndex = other === place ? 0 : -1;
    });
    return this.bars[place];
  }
}

/**
 * A bar in words.
 * @param {Face} face
 * @param {Bar} bar
 */
export function spoken(face, bar) {
  return say(bar.many ? "timeline.segment-many" : "timeline.segment", {
    face: String(face.id),
    start: clock(bar.start),
    end: clock(bar.end),
    score: brief(bar.worst.score),
    verdict: say(`word.${bar.worst.verdict}`),
  });
}
