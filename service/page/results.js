/** What is known of a video so far, and everything that shows it. */

import { make, the } from "./dom.js";
import { heat } from "./heat.js";
import { boxAt, moments, segmentAt, worst, worstFace } from "./moments.js";
import { Overlay } from "./overlay.js";
import { Player } from "./player.js";
import { FACTOR, Stills } from "./stills.js";
import { Timeline } from "./timeline.js";
import { Finding } from "./verdict.js";
import { brief, clock, say } from "./words.js";

/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").Report} Report */
/** @typedef {import("./report.js").Segment} Segment */

/** Suspicious moments that are listed, at most. */
const MOST_MOMENTS = 12;

/** Milliseconds between two drawings while segments arrive, and before a difference is drawn. */
const PAUSE = 150;

/** Of the stream, at most. */
const MOST_FACES = 5000;
const MOST_SEGMENTS = 20_000;

export class Results {
  constructor() {
    this.box = the("results", HTMLElement);
    this.screen = the("screen", HTMLElement);
    this.reason = the("no-video", HTMLElement);
    this.seen = the("seen", HTMLElement);
    this.heat = the("heat", HTMLInputElement);
    this.heatWords = the("heat-words", HTMLElement);
    this.difference = the("difference", HTMLInputElement);
    this.differences = the("differences", HTMLElement);
    this.differenceWords = the("difference-words", HTMLElement);
    const video = the("video", HTMLVideoElement);
    this.finding = new Finding();
    this.overlay = new Overlay(the("overlay", HTMLCanvasElement), video);
    this.stills = new Stills();
    this.player = new Player(video, {
      time: (time) => this.move(time),
      state: () => this.picture(),
    });
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
        seek: (time) => this.player.seek(time),
        hover: (time) => this.player.glance(time),
      },
    );
    /** @type {Map<number, Face>} */
    this.faces = new Map();
    /** @type {Report | null} */
    this.report = null;
    this.duration = 0;
    /** @type {{face: Face, segment: Segment} | null} */
    this.chosen = null;
    /** When the pictures of the faces that are drawn were taken. @type {WeakMap<HTMLCanvasElement, number>} */
    this.taken = new WeakMap();
    this.drawing = 0;
    this.comparing = 0;
    this.watch();
    this.clear();
  }

  watch() {
    const boxes = the("boxes", HTMLInputElement);
    boxes.addEventListener("change", () => {
      this.overlay.boxes = boxes.checked;
      this.redraw();
    });
    this.heat.addEventListener("change", () => {
      if (this.heat.checked && !this.chosen) this.chooseWorst();
      this.showMap();
    });
    this.difference.addEventListener("change", () => {
      if (this.difference.checked && !this.chosen) this.chooseWorst();
      this.compare();
    });
    new ResizeObserver(() => this.redraw()).observe(this.overlay.canvas);
  }

  /** Forget what was found; the video stays. */
  clear() {
    clearTimeout(this.drawing);
    this.drawing = 0;
    this.faces.clear();
    this.report = null;
    this.duration = 0;
    this.chosen = null;
    this.taken = new WeakMap();
    this.finding.clear();
    this.timeline.clear();
    this.overlay.clear();
    this.seen.textContent = "";
    for (const id of ["moments-box", "basis", "card", "share"]) the(id, HTMLElement).hidden = true;
    this.showMap();
    this.compare();
  }

  /**
   * Another video, or none that can be shown.
   * @param {File | null} file
   */
  load(file) {
    this.clear();
    this.box.hidden = file === null;
    if (file) {
      this.player.load(file);
      this.stills.load(this.player.url);
    } else {
      this.player.clear();
      this.stills.clear();
    }
  }

  /** Show the picture, or say why there is none. */
  picture() {
    const { state } = this.player;
    this.screen.hidden = state === "none" || state === "unplayable";
    this.reason.hidden = !this.screen.hidden;
    this.reason.textContent = say(state === "unplayable" ? "viewer.unplayable" : "viewer.url");
    if (state === "ready") this.redraw();
  }

  /** Begin to show what comes. */
  open() {
    this.box.hidden = false;
    this.picture();
  }

  /**
   * @param {number} id
   * @param {Segment} segment
   */
  add(id, segment) {
    let face = this.faces.get(id);
    if (!face) {
      if (this.faces.size >= MOST_FACES) return;
      face = { id, score: null, verdict: null, segments: [], boxes: [] };
      this.faces.set(id, face);
    }
    const { segments } = face;
    if (segments.length >= MOST_SEGMENTS) return;
    segments.push(segment);
    const before = segments[segments.length - 2];
    if (before && before.start > segment.start) segments.sort((one, other) => one.start - other.start);
    this.drawing ||= setTimeout(() => {
      this.drawing = 0;
      this.draw([...this.faces.values()], false);
    }, PAUSE);
  }

  /**
   * @param {Face[]} faces
   * @param {boolean} over
   */
  draw(faces, over) {
    this.overlay.faces = faces;
    this.timeline.show(faces, this.duration, over);
    this.portraits(faces);
    this.redraw();
  }

  /** @param {Report} report */
  finish(report) {
    clearTimeout(this.drawing);
    this.drawing = 0;
    this.report = report;
    this.duration = report.media.duration || this.duration;
    const { overlay } = this;
    overlay.point = report.point;
    [overlay.width, overlay.height] = [report.media.width, report.media.height];
    // Maps are of the member with the longest clips.
    const shown = [...report.models].sort((one, other) => other.length - one.length)[0];
    overlay.margin = shown?.margin ?? 1.3;
    this.timeline.setPoint(report.point);
    this.finding.show(report);
    this.keep(report.faces);
    this.draw(report.faces, true);
    this.list(report.faces);
    for (const id of ["moments-box", "basis", "card", "share"]) the(id, HTMLElement).hidden = false;
    this.showMap();
    this.compare();
  }

  /**
   * What was chosen in the stream is chosen in the report.
   * @param {Face[]} faces
   */
  keep(faces) {
    if (!this.chosen) return;
    const { id } = this.chosen.face;
    const { start } = this.chosen.segment;
    const face = faces.find((each) => each.id === id);
    const segment = face?.segments.find((each) => each.start === start);
    this.chosen = face && segment ? { face, segment } : null;
  }

  /**
   * List the moments that deserve a look.
   * @param {Face[]} faces
   */
  list(faces) {
    const found = moments(faces);
    const items = found.slice(0, MOST_MOMENTS).map((moment) => {
      const button = make("button", "", `moment ${moment.verdict}`);
      button.type = "button";
      const times = { start: clock(moment.start), end: clock(moment.end) };
      const words = {
        face: String(moment.face.id),
        score: brief(moment.worst.score),
        verdict: say(`word.${moment.verdict}`),
      };
      button.append(
        make("strong", say("moments.item", times)),
        " ",
        make("span", say("moments.item-more", words)),
      );
      button.addEventListener("click", () => this.choose(moment.face.id, moment.worst));
      const item = make("li");
      item.append(button);
      return item;
    });
    the("moments", HTMLElement).replaceChildren(...items);
    const more = found.length - items.length;
    the("moments-note", HTMLElement).textContent = more
      ? say("moments.more", { count: more })
      : found.length
        ? ""
        : say(faces.length ? "moments.none" : "moments.none-scored");
  }

  /** The faces as they are shown now. */
  get shown() {
    return this.report?.faces ?? [...this.faces.values()];
  }

  /**
   * Go to a segment.
   * @param {number} id
   * @param {Segment} segment
   */
  choose(id, segment) {
    const face = this.shown.find((each) => each.id === id);
    if (!face) return;
    this.chosen = { face, segment };
    this.timeline.choose(id, segment.start);
    // At its very beginning the frame before may still show.
    const frame = 0.5 / (this.report?.media.fps || 25);
    this.player.seek(Math.min(segment.start + frame, (segment.start + segment.end) / 2));
    this.showMap();
    this.compare();
  }

  chooseWorst() {
    const face = worstFace(this.shown);
    const segment = face && worst(face.segments);
    if (face && segment) this.choose(face.id, segment);
  }

  /**
   * The video is at a moment.
   * @param {number} time
   */
  move(time) {
    this.follow(time);
    this.timeline.move(time);
    this.redraw();
    if (this.player.video.paused) this.compare();
  }

  /**
   * While the video plays, the choice goes with it, from segment to segment of one face.
   * @param {number} time
   */
  follow(time) {
    if (!this.chosen || this.player.video.paused) return;
    const { face } = this.chosen;
    const segment = segmentAt(face, time);
    if (!segment || segment === this.chosen.segment) return;
    this.chosen = { face, segment };
    this.timeline.choose(face.id, segment.start);
    this.showMap();
  }

  redraw() {
    if (!this.player.ready) return;
    const { time } = this.player;
    const seen = this.overlay.draw(time);
    const faces = seen.map(({ face, score, verdict }) =>
      say("viewer.face-now", {
        face: String(face),
        score: brief(score),
        verdict: say(`word.${verdict}`),
      }),
    );
    const now = say("viewer.now", { time: clock(time) });
    const words = faces.length
      ? `${now} ${faces.slice(0, 6).join("; ")}`
      : say("viewer.no-face-now", { time: clock(time) });
    const shown = this.shown.length ? words : "";
    if (this.seen.textContent !== shown) this.seen.textContent = shown;
  }

  /** Lay the map of the chosen segment over its face. */
  async showMap() {
    const { chosen, overlay } = this;
    const on = this.heat.checked;
    this.heatWords.hidden = !on;
    overlay.map = null;
    const found = on && chosen?.segment.cam ? await heat(chosen.segment.cam) : null;
    // Another may have been chosen meanwhile.
    if (chosen !== this.chosen || on !== this.heat.checked) return;
    if (chosen && found) overlay.map = { ...chosen, heat: found };
    this.heatWords.textContent = !chosen
      ? say("viewer.heat-choose")
      : !found
        ? say("viewer.heat-none")
        : found.blank
          ? say("viewer.heat-single")
          : say("viewer.heat-of", {
              width: found.width,
              height: found.height,
              face: String(chosen.face.id),
              start: clock(chosen.segment.start),
              end: clock(chosen.segment.end),
            });
    this.redraw();
  }

  /** Show two consecutive frames of a face and their difference, where that is wished. */
  compare() {
    this.differences.hidden = !this.difference.checked;
    clearTimeout(this.comparing);
    if (this.difference.checked) {
      this.comparing = setTimeout(() => void this.drawDifference(), PAUSE);
    }
  }

  async drawDifference() {
    const { time } = this.player;
    const { overlay } = this;
    const face = this.chosen?.face ?? worstFace(this.shown);
    const box = face && boxAt(face, time);
    if (!face || !box) {
      this.differenceWords.textContent = say("viewer.difference-choose");
      return;
    }
    this.differenceWords.textContent = say("viewer.difference-wait");
    const place = { time, box, width: overlay.width, height: overlay.height };
    const drawn = await this.stills.pair(
      [
        the("frame-first", HTMLCanvasElement),
        the("frame-second", HTMLCanvasElement),
        the("frame-change", HTMLCanvasElement),
      ],
      place,
      this.report?.media.fps ?? 0,
      overlay.margin,
    );
    if (drawn === "gone") return;
    this.differenceWords.textContent =
      drawn === "same"
        ? say("viewer.difference-same")
        : say("viewer.difference-of", {
            face: String(face.id),
            time: clock(time),
            factor: FACTOR,
          });
  }

  /**
   * Draw each face on the timeline at its worst.
   * @param {Face[]} faces
   */
  portraits(faces) {
    if (!this.player.ready) return;
    const { thumbs } = this.timeline;
    for (const face of faces) {
      const canvas = thumbs.get(face.id);
      const segment = worst(face.segments);
      if (!canvas || !segment) continue;
      const time = (segment.start + segment.end) / 2;
      const before = this.taken.get(canvas);
      // While segments arrive, one picture is enough.
      if (before === time || (before !== undefined && !this.report)) continue;
      const box = segment.box ?? boxAt(face, time);
      if (!box) continue;
      this.taken.set(canvas, time);
      this.stills.face(canvas, {
        time,
        box,
        width: this.overlay.width,
        height: this.overlay.height,
      });
    }
  }
}
