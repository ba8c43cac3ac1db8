/** What is known of a video so far, and the parts of the page that show it. */

import { make, shorten, the } from "./dom.js";
import { basis, hashes } from "./basis.js";
import { moments, segmentAt, worst, worstFace } from "./moments.js";
import { showRates } from "./rates.js";
import { Timeline } from "./timeline.js";
import { Finding } from "./verdict.js";
import { Viewer } from "./viewer.js";
import { brief, clock, say } from "./words.js";

/** @typedef {import("./moments.js").Moment} Moment */
/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").Model} Model */
/** @typedef {import("./report.js").Point} Point */
/** @typedef {import("./report.js").Report} Report */
/** @typedef {import("./report.js").Segment} Segment */

/** Suspicious moments that are listed, at most. */
const MOST_MOMENTS = 12;
const PRINTED_MOMENTS = 4;

/** Of a stream, at most: more than the service's own limits give. */
const MOST_FACES = 5000;
const MOST_SEGMENTS = 20_000;

/** Milliseconds between two drawings while segments arrive. */
const PAUSE = 150;

/** What there is only once the report is there. */
const LATER = ["moments-box", "basis", "card", "share"];

export class Results {
  constructor() {
    this.box = the("results", HTMLElement);
    this.lines = the("lines-box", HTMLElement);
    this.finding = new Finding();
    this.viewer = new Viewer({
      time: (time) => this.move(time),
      wish: () => this.chooseWorst(),
      picture: () => {
        // A picture that comes late has missed the drawing of the faces, and with another clock
        // they were others.
        this.portraits = new WeakMap();
        if (this.faces.length) this.draw();
      },
    });
    const { player } = this.viewer;
    this.timeline = new Timeline(
      {
        lanes: the("lanes", HTMLElement),
        playhead: the("playhead", HTMLElement),
        axis: the("axis", HTMLElement),
        note: the("timeline-note", HTMLElement),
        about: the("about", HTMLElement),
        legend: {
          fake: the("legend-fake", HTMLElement),
          uncertain: the("legend-uncertain", HTMLElement),
          real: the("legend-real", HTMLElement),
        },
      },
      {
        choose: (face, segment) => this.choose(face, segment),
        seek: (time) => player.seek(time),
        hover: (time) => player.glance(time),
      },
    );
    /** @type {Map<number, Face>} */
    this.streamed = new Map();
    /** @type {Face[]} */
    this.faces = [];
    /** Seconds; 0 while that is not known. */
    this.duration = 0;
    this.over = false;
    /**
     * Those whose finding shows.
     * @type {Model[]}
     */
    this.models = [];
    /**
     * When the pictures of faces that are drawn were taken.
     * @type {WeakMap<HTMLCanvasElement, number>}
     */
    this.portraits = new WeakMap();
    /**
     * Moments that are listed.
     * @type {{button: HTMLButtonElement, face: number, start: number, end: number}[]}
     */
    this.buttons = [];
    this.drawing = 0;
    this.clear();
  }

  /** Forget what was found; the video stays. */
  clear() {
    clearTimeout(this.drawing);
    this.drawing = 0;
    this.streamed.clear();
    this.faces = [];
    this.duration = 0;
    this.over = false;
    this.models = [];
    this.portraits = new WeakMap();
    this.finding.clear();
    this.timeline.clear();
    this.viewer.clear();
    for (const id of LATER) the(id, HTMLElement).hidden = true;
    this.lines.hidden = true;
  }

  /**
   * Another video, or none that can be shown.
   * @param {File | null} file
   */
  load(file) {
    this.clear();
    this.box.hidden = file === null;
    this.viewer.load(file);
  }

  /** Begin to show what comes. */
  open() {
    this.box.hidden = false;
    this.lines.hidden = false;
  }

  /**
   * One more segment of a face.
   * @param {number} id
   * @param {Segment} segment
   */
  add(id, segment) {
    let face = this.streamed.get(id);
    if (!face) {
      if (this.streamed.size >= MOST_FACES) return;
      face = { id, score: null, verdict: null, segments: [], boxes: [], parts: [] };
      this.streamed.set(id, face);
    }
    const { segments } = face;
    if (segments.length >= MOST_SEGMENTS) return;
    const before = segments[segments.length - 1];
    segments.push(segment);
    if (before && before.start > segment.start) segments.sort((one, other) => one.start - other.start);
    this.drawing ||= setTimeout(() => {
      this.drawing = 0;
      this.faces = [...this.streamed.values()];
      this.draw();
      this.viewer.show(this.faces);
    }, PAUSE);
  }

  /** No report will come: show what came until now, as unfinished. */
  stop() {
    if (this.over) return;
    clearTimeout(this.drawing);
    this.drawing = 0;
    this.over = true;
    this.faces = [...this.streamed.values()];
    this.lines.hidden = this.faces.length === 0;
    this.draw();
    this.viewer.show(this.faces);
  }

  /** @param {Report} report */
  finish(report) {
    clearTimeout(this.drawing);
    this.drawing = 0;
    this.over = true;
    this.faces = report.faces;
    this.models = report.models;
    this.duration = report.media.duration || this.duration;
    this.viewer.know(report);
    this.keep();
    this.timeline.setPoint(report.point);
    this.finding.show(report);
    the("basis-list", HTMLElement).replaceChildren(...basis(report));
    the("hashes", HTMLElement).textContent = hashes(report);
    showRates(report);
    this.draw();
    this.list(report.point);
    for (const id of LATER) the(id, HTMLElement).hidden = false;
  }

  draw() {
    this.timeline.show(this.faces, this.duration, this.over);
    const { thumbs } = this.timeline;
    /** @type {[HTMLCanvasElement | undefined, Face][]} */
    const wanted = this.faces.map((face) => [thumbs.get(face.id), face]);
    const suspect = this.models.length ? worstFace(this.faces) : null;
    // One after another: the finding is read first.
    if (suspect) wanted.unshift([this.finding.portrait, suspect]);
    for (const [canvas, face] of wanted) {
      const before = canvas && this.portraits.get(canvas);
      // While segments arrive, one picture is enough.
      if (!canvas || (before !== undefined && !this.over)) continue;
      const time = this.viewer.portray(canvas, face, before);
      if (time !== null) this.portraits.set(canvas, time);
    }
  }

  /** What was chosen in the stream is chosen in the report. */
  keep() {
    const { chosen } = this.viewer;
    if (!chosen) return;
    const face = this.faces.find((each) => each.id === chosen.face.id);
    const segment = face?.segments.find((each) => each.start === chosen.segment.start);
    this.viewer.choose(face && segment ? { face, segment } : null);
  }

  /**
   * List the moments that deserve a look.
   * @param {Point} point
   */
  list(point) {
    const found = moments(this.faces, point);
    this.buttons = [];
    const items = found.slice(0, MOST_MOMENTS).map((moment) => {
      const item = make("li");
      item.append(this.button(moment));
      return item;
    });
    this.mark();
    // What paper leaves out is counted there.
    const more = found.length - items.length;
    shorten(the("moments", HTMLElement), items, PRINTED_MOMENTS, (count) =>
      say("moments.more", { count: count + more }),
    );
    const decided = point.abstains ? "moments.none-decided" : "moments.none";
    const none = this.faces.length ? decided : "moments.none-scored";
    const note = the("moments-note", HTMLElement);
    note.textContent = more ? say("moments.more", { count: more }) : found.length ? "" : say(none);
    note.classList.toggle("screen-only", more > 0);
  }

  /** @param {Moment} moment */
  button({ face, start, end, worst, verdict }) {
    const button = make("button", "", `moment ${verdict}`);
    button.type = "button";
    const about = {
      face: String(face.id),
      score: brief(worst.score),
      verdict: say(`word.${verdict}`),
    };
    button.append(
      make("strong", say("moments.item", { start: clock(start), end: clock(end) })),
      " ",
      make("span", say("moments.item-more", about)),
    );
    button.addEventListener("click", () => this.choose(face.id, worst));
    this.buttons.push({ button, face: face.id, start, end });
    return button;
  }

  /** Show which of the moments is chosen. */
  mark() {
    const { chosen } = this.viewer;
    for (const { button, face, start, end } of this.buttons) {
      const at = chosen?.face.id === face ? chosen.segment.start : -1;
      if (start <= at && (at < end || at === start)) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  /**
   * Go to a segment, and look closer at it.
   * @param {number} id
   * @param {Segment} segment
   */
  choose(id, segment) {
    const face = this.faces.find((each) => each.id === id);
    if (!face) return;
    this.timeline.choose(id, segment.start);
    if (this.viewer.player.ready) this.viewer.seek(segment);
    else this.timeline.move(segment.start);
    this.viewer.choose({ face, segment });
    this.mark();
  }

  chooseWorst() {
    const face = worstFace(this.faces);
    const segment = face && worst(face.segments);
    if (face && segment) this.choose(face.id, segment);
  }

  /**
   * The video is at a moment. While it plays, the choice goes with it, from segment to segment of
   * one face.
   * @param {number} time
   */
  move(time) {
    this.timeline.move(time);
    const { chosen, player } = this.viewer;
    if (!chosen || player.video.paused) return;
    const { face } = chosen;
    const segment = segmentAt(face, time);
    if (!segment || segment === chosen.segment) return;
    this.timeline.choose(face.id, segment.start);
    this.viewer.choose({ face, segment });
    this.mark();
  }
}
