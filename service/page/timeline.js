/** The timeline: a lane for each face, in which each segment is a button over the video's time. */

import { make } from "./dom.js";
import { Lane, spoken } from "./lane.js";
import { worst } from "./moments.js";
import { clock, exact, say } from "./words.js";

/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").Point} Point */
/** @typedef {import("./report.js").Segment} Segment */
/** @typedef {import("./moments.js").Bar} Bar */

/**
 * @typedef {object} Heard
 * @property {(face: number, segment: Segment) => void} choose A segment was clicked, or entered.
 * @property {(time: number) => void} seek A place without a segment was clicked.
 * @property {(time: number | null) => void} hover The mouse is over a moment, or over none.
 */

/** What is drawn at most, so that no report makes the page slow. */
const MOST_LANES = 40;
const MOST_BARS = 3000;
const MOST_IN_LANE = 240;

/** Lanes that have room on one printed page. */
const PRINTED_LANES = 5;

/** Seconds between two marks on the axis. */
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
const MOST_MARKS = 6;

export class Timeline {
  /**
   * @param {{lanes: HTMLElement, playhead: HTMLElement, axis: HTMLElement, note: HTMLElement, about: HTMLElement, legend: Record<import("./report.js").FaceVerdict, HTMLElement>}} parts
   * @param {Heard} heard
   */
  constructor(parts, heard) {
    this.parts = parts;
    this.heard = heard;
    this.duration = 0;
    /** @type {Map<number, Lane>} */
    this.lanes = new Map();
    /** @type {{face: number, start: number} | null} */
    this.chosen = null;
    const { lanes } = parts;
    lanes.addEventListener("click", (event) => this.click(event));
    lanes.addEventListener("keydown", (event) => this.walk(event));
    lanes.addEventListener("focusin", (event) => {
      const found = this.find(event.target);
      if (found) parts.about.textContent = spoken(found.lane.face, found.bar);
    });
    lanes.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      const found = this.find(event.target);
      const time = this.time(event);
      if (found) parts.about.textContent = spoken(found.lane.face, found.bar);
      else if (time !== null) this.tell(time);
      heard.hover(time);
    });
    lanes.addEventListener("pointerleave", () => heard.hover(null));
  }

  clear() {
    this.lanes.clear();
    this.chosen = null;
    this.duration = 0;
    this.parts.lanes.querySelectorAll(".lane").forEach((lane) => lane.remove());
    this.parts.note.textContent = say("timeline.empty");
    this.parts.axis.replaceChildren();
    this.parts.about.textContent = "";
    this.parts.playhead.hidden = true;
    this.setPoint(null);
  }

  /**
   * Where the lines lie that scores are held against.
   * @param {Point | null} point
   */
  setPoint(point) {
    const { lanes, legend } = this.parts;
    const abstains = point?.abstains ?? false;
    const lines = abstains ? null : point;
    lanes.classList.toggle("lined", lines !== null);
    lanes.style.setProperty("--low", String(lines?.low ?? 0));
    lanes.style.setProperty("--high", String(lines?.high ?? 1));
    const values = { low: exact(lines?.low ?? 0), high: exact(lines?.high ?? 1) };
    for (const verdict of /** @type {const} */ (["fake", "uncertain", "real"])) {
      const words = legend[verdict];
      words.textContent = say(lines ? `timeline.legend-${verdict}` : `word.${verdict}`, values);
      // It says neither of anything.
      const empty = lines !== null && lines.low >= lines.high;
      const never = verdict === "uncertain" ? empty : abstains;
      words.parentElement?.toggleAttribute("hidden", never);
    }
  }

  /**
   * @param {Face[]} faces
   * @param {number} duration Seconds; 0 while that is not known.
   * @param {boolean} over Whether no more will come.
   */
  show(faces, duration, over) {
    const length = duration || last(faces) || 1;
    if (length !== this.duration) this.mark(length);
    this.duration = length;
    const suspicion = new Map(faces.map((face) => [face, suspicious(face)]));
    const foremost = [...faces]
      .sort((one, other) => Number(suspicion.get(other)) - Number(suspicion.get(one)))
      .slice(0, MOST_LANES);
    const printed = new Set(foremost.slice(0, PRINTED_LANES));
    const shown = foremost
      .sort((one, other) => begin(one) - begin(other) || one.id - other.id);
    const most = Math.min(MOST_IN_LANE, Math.floor(MOST_BARS / Math.max(shown.length, 1)));
    const ids = new Set(shown.map((face) => face.id));
    for (const [id, lane] of this.lanes) {
      if (ids.has(id)) continue;
      lane.element.remove();
      this.lanes.delete(id);
    }
    shown.forEach((face, place) => {
      const lane = this.lanes.get(face.id) ?? new Lane(face);
      this.lanes.set(face.id, lane);
      const there = this.parts.lanes.children[place];
      // Moving an element takes the focus from it.
      if (there !== lane.element) this.parts.lanes.insertBefore(lane.element, there ?? null);
      lane.show(face, length, most, over);
      lane.element.classList.toggle("screen-only", !printed.has(face));
    });
    const none = shown.length ? "" : say(over ? "timeline.none" : "timeline.empty");
    const finished = faces.some((face) => face.score !== null);
    this.parts.note.replaceChildren(
      make("span", left(faces.length - shown.length, finished) || none, "screen-only"),
      make("span", left(faces.length - printed.size, finished) || none, "print-only"),
    );
    this.highlight();
  }

  /**
   * The canvases for the faces' pictures, by face.
   * @returns {Map<number, HTMLCanvasElement>}
   */
  get thumbs() {
    return new Map([...this.lanes].map(([id, lane]) => [id, lane.thumb]));
  }

  /**
   * Show which segment is chosen.
   * @param {number} face
   * @param {number} start
   */
  choose(face, start) {
    this.chosen = { face, start };
    this.highlight();
    const lane = this.lanes.get(face);
    const found = lane?.bars[lane.holding(start)];
    if (lane && found) this.parts.about.textContent = spoken(lane.face, found.bar);
  }

  highlight() {
    for (const [id, lane] of this.lanes) {
      const here = this.chosen?.face === id ? lane.holding(this.chosen.start) : -1;
      lane.bars.forEach(({ button }, place) => {
        if (place === here) button.setAttribute("aria-current", "true");
        else button.removeAttribute("aria-current");
      });
      if (here >= 0) lane.enter(here);
    }
  }

  /**
   * The video is at this moment.
   * @param {number} time
   */
  move(time) {
    const { playhead } = this.parts;
    playhead.hidden = this.lanes.size === 0 || this.duration === 0;
    playhead.style.left = `${Math.min(time / (this.duration || 1), 1) * 100}%`;
  }

  /** @param {number} time */
  tell(time) {
    this.parts.about.textContent = say("timeline.here", {
      time: clock(time),
      duration: clock(this.duration),
    });
  }

  /** @param {number} duration */
  mark(duration) {
    const step = STEPS.find((each) => duration / each <= MOST_MARKS) ?? duration;
    const marks = [];
    for (let time = 0; time <= duration && marks.length <= MOST_MARKS; time += step) {
      const mark = document.createElement("span");
      mark.className = "mark";
      mark.style.left = `${(time / duration) * 100}%`;
      mark.classList.toggle("end", time / duration > 0.97);
      mark.textContent = step < 1 ? clock(time) : clock(time).replace(/\.\d$/, "");
      marks.push(mark);
    }
    this.parts.axis.replaceChildren(...marks);
  }

  /**
   * The bar that an event is about.
   * @param {EventTarget | null} target
   */
  find(target) {
    if (!(target instanceof Element)) return null;
    const button = target.closest("button.segment");
    const id = target.closest(".lane")?.getAttribute("data-face");
    const lane = this.lanes.get(Number(id));
    const place = lane ? lane.bars.findIndex((each) => each.button === button) : -1;
    const found = lane?.bars[place];
    return lane && found ? { lane, place, ...found } : null;
  }

  /**
   * The moment under the pointer; null where there is none.
   * @param {PointerEvent | MouseEvent} event
   */
  time(event) {
    const track = event.target instanceof Element ? event.target.closest(".track") : null;
    if (!track) return null;
    const { left, width } = track.getBoundingClientRect();
    const share = (event.clientX - left) / (width || 1);
    return Math.min(Math.max(share, 0), 1) * this.duration;
  }

  /** @param {MouseEvent} event */
  click(event) {
    const found = this.find(event.target);
    const time = this.time(event);
    if (found) this.heard.choose(found.lane.face.id, found.bar.worst);
    else if (time !== null) this.heard.seek(time);
  }

  /** @param {KeyboardEvent} event */
  walk(event) {
    const found = this.find(event.target);
    if (!found || event.altKey || event.ctrlKey || event.metaKey) return;
    const { lane, place } = found;
    const last = lane.bars.length - 1;
    /** @type {Record<string, number>} */
    const along = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last };
    /** @type {Record<string, -1 | 1>} */
    const across = { ArrowUp: -1, ArrowDown: 1 };
    const next = along[event.key];
    const step = across[event.key];
    if (next === undefined && step === undefined) return;
    event.preventDefault();
    if (next !== undefined) {
      lane.enter(Math.min(Math.max(next, 0), last))?.button.focus();
    } else if (step !== undefined) {
      this.neighbour(lane, step, found.bar.start)?.button.focus();
    }
  }

  /**
   * The bar of the lane above or below that is nearest to a moment.
   * @param {Lane} lane
   * @param {-1 | 1} step
   * @param {number} time
   */
  neighbour(lane, step, time) {
    const sibling =
      step < 0 ? lane.element.previousElementSibling : lane.element.nextElementSibling;
    const other = this.lanes.get(Number(sibling?.getAttribute("data-face")));
    if (!other?.bars.length) return null;
    let nearest = 0;
    other.bars.forEach((each, place) => {
      const best = /** @type {{bar: Bar}} */ (other.bars[nearest]).bar.start;
      if (Math.abs(each.bar.start - time) < Math.abs(best - time)) nearest = place;
    });
    return other.enter(nearest);
  }
}

/**
 * How many faces are not to be seen; nothing where that is none.
 * @param {number} count
 * @param {boolean} finished Whether there is a report.
 */
function left(count, finished) {
  return count ? say(finished ? "timeline.more" : "timeline.more-unfinished", { count }) : "";
}

/** @param {Face} face */
function suspicious(face) {
  return face.score ?? worst(face.segments)?.score ?? 0;
}

/** @param {Face} face */
function begin(face) {
  return face.segments[0]?.start ?? 0;
}

/**
 * The end of all that is scored.
 * @param {Face[]} faces
 */
function last(faces) {
  return faces.reduce((most, face) => Math.max(most, face.segments.at(-1)?.end ?? 0), 0);
}
