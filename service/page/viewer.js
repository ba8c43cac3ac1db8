/** The picture: the playing video, what is drawn over it, and a closer look at one segment. */

import { the } from "./dom.js";
import { heat } from "./heat.js";
import { boxAt, pairAt, worst, worstFace } from "./moments.js";
import { Overlay } from "./overlay.js";
import { truthful } from "./pixels.js";
import { Player } from "./player.js";
import { FACTOR, Stills } from "./stills.js";
import { brief, clock, say } from "./words.js";

/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").Report} Report */
/** @typedef {import("./report.js").Segment} Segment */

/** @typedef {{face: Face, segment: Segment}} Chosen */

/** Milliseconds that the video must stand before a difference is drawn. */
const PAUSE = 150;

/** Faces that are told of a moment, at most. */
const MOST_TOLD = 3;

export class Viewer {
  /**
   * @param {{time: (time: number) => void, wish: () => void, picture: () => void}} heard Each
   * moment that is shown; that a closer look at a segment is wished for while none is chosen; and
   * that there is a picture, or none any more.
   */
  constructor(heard) {
    this.heard = heard;
    this.screen = the("screen", HTMLElement);
    this.reason = the("no-video", HTMLElement);
    this.seen = the("seen", HTMLElement);
    this.heat = the("heat", HTMLInputElement);
    this.heatWords = the("heat-words", HTMLElement);
    this.heatLegend = the("heat-legend", HTMLElement);
    this.difference = the("difference", HTMLInputElement);
    this.differences = the("differences", HTMLElement);
    this.differenceWords = the("difference-words", HTMLElement);
    /** @type {[HTMLCanvasElement, HTMLCanvasElement, HTMLCanvasElement]} */
    this.frames = [
      the("frame-first", HTMLCanvasElement),
      the("frame-second", HTMLCanvasElement),
      the("frame-change", HTMLCanvasElement),
    ];
    const video = the("video", HTMLVideoElement);
    this.overlay = new Overlay(the("overlay", HTMLCanvasElement), video);
    this.stills = new Stills();
    this.player = new Player(video, {
      time: (time) => {
        heard.time(time);
        this.draw();
        if (video.paused) this.compare();
      },
      state: () => {
        this.stills.first = this.player.first;
        this.picture();
        heard.picture();
      },
    });
    /** @type {Face[]} */
    this.faces = [];
    /** Frames a second; 0 while that is not known. */
    this.fps = 0;
    /** @type {Chosen | null} */
    this.chosen = null;
    this.comparing = 0;
    this.watch();
  }

  watch() {
    const boxes = the("boxes", HTMLInputElement);
    boxes.addEventListener("change", () => {
      this.overlay.boxes = boxes.checked;
      this.draw();
    });
    for (const [box, look] of /** @type {const} */ ([
      [this.heat, () => void this.showMap()],
      [this.difference, () => this.compare()],
    ])) {
      box.addEventListener("change", () => {
        if (box.checked && !this.chosen) this.heard.wish();
        look();
      });
    }
    // What the browser itself makes large is the video alone, without what is drawn over it.
    const whole = the("whole-screen", HTMLButtonElement);
    whole.hidden = !document.fullscreenEnabled;
    whole.addEventListener("click", () => void this.overlay.canvas.parentElement?.requestFullscreen());
    new ResizeObserver(() => this.draw()).observe(this.overlay.canvas);
  }

  /** Forget what was found; the video stays. */
  clear() {
    this.faces = [];
    this.fps = 0;
    this.overlay.clear();
    this.stills.drop();
    this.seen.textContent = "";
    this.blank("");
    this.choose(null);
  }

  /**
   * Another video, or none that can be shown.
   * @param {File | null} file
   */
  load(file) {
    if (file) {
      this.player.load(file);
      this.stills.load(this.player.url);
    } else {
      this.player.clear();
      this.stills.clear();
    }
    this.picture();
  }

  /** Show the picture, or say why there is none. */
  picture() {
    const { state } = this.player;
    this.screen.hidden = state === "none" || state === "unplayable";
    this.reason.hidden = !this.screen.hidden;
    this.reason.textContent = say(state === "unplayable" ? "viewer.unplayable" : "viewer.url");
    this.draw();
  }

  /** @param {Face[]} faces */
  show(faces) {
    this.faces = this.overlay.faces = faces;
    this.draw();
  }

  /** @param {Report} report */
  know(report) {
    const { overlay } = this;
    overlay.width = report.media.width;
    overlay.height = report.media.height;
    // Maps are of the member with the longest clips.
    const mapper = [...report.models].sort((one, other) => other.length - one.length)[0];
    overlay.margin = mapper?.margin ?? 1.3;
    this.fps = report.media.fps;
    this.show(report.faces);
  }

  /**
   * Look closer at this segment, or at none.
   * @param {Chosen | null} chosen
   */
  choose(chosen) {
    this.chosen = chosen;
    void this.showMap();
    this.compare();
  }

  /**
   * Go to a segment's first frame.
   * @param {Segment} segment
   */
  seek(segment) {
    // At its very beginning the frame before may still show.
    const frame = 0.5 / (this.fps || 25);
    this.player.seek(Math.min(segment.start + frame, (segment.start + segment.end) / 2));
  }

  /** Draw what belongs to this moment, and tell it in words. */
  draw() {
    if (!this.player.ready) return;
    const { time } = this.player;
    const faces = this.overlay.draw(time).map(({ face, score, verdict }) =>
      say("viewer.face-now", {
        face: String(face),
        score: brief(score),
        verdict: say(`word.${verdict}`),
      }),
    );
    let words = "";
    if (faces.length) {
      const told = faces.slice(0, MOST_TOLD);
      const more = faces.length - told.length;
      if (more) told.push(say("viewer.more-now", { count: more }));
      words = `${say("viewer.now", { time: clock(time) })} ${told.join("; ")}`;
    } else if (this.faces.length) {
      words = say("viewer.no-face-now", { time: clock(time) });
    }
    if (this.seen.textContent !== words) this.seen.textContent = words;
  }

  /** Lay the map of the chosen segment over its face. */
  async showMap() {
    const { chosen, overlay } = this;
    const on = this.heat.checked;
    this.heatLegend.hidden = !on;
    overlay.map = null;
    const cam = on ? chosen?.segment.cam : "";
    const untold = Boolean(cam) && !truthful();
    const found = cam && !untold ? await heat(cam) : null;
    // Another may have been chosen meanwhile.
    if (chosen !== this.chosen || on !== this.heat.checked) return;
    if (chosen && found) overlay.map = { ...chosen, heat: found };
    this.heatWords.textContent = untold ? say("viewer.untold") : told(chosen, found);
    this.draw();
  }

  /** Show two consecutive frames of a face and their difference, where that is wished. */
  compare() {
    this.differences.hidden = !this.difference.checked;
    clearTimeout(this.comparing);
    if (this.difference.checked) {
      this.comparing = setTimeout(() => void this.drawDifference(), PAUSE);
    }
  }

  /**
   * Draw no frames.
   * @param {string} words Why.
   */
  blank(words) {
    this.stills.forget();
    for (const canvas of this.frames) {
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen?.clearRect(0, 0, canvas.width, canvas.height);
    }
    this.differenceWords.textContent = words;
  }

  async drawDifference() {
    const { overlay, differenceWords } = this;
    const { time } = this.player;
    const face = this.chosen?.face ?? worstFace(this.faces);
    const box = face && boxAt(face, time);
    if (!face || !box) {
      this.blank(say("viewer.difference-choose"));
      return;
    }
    if (!truthful()) {
      this.blank(say("viewer.untold"));
      return;
    }
    differenceWords.textContent = say("viewer.difference-wait");
    const drawing = this.stills.pair(
      this.frames,
      { time, box, width: overlay.width, height: overlay.height },
      pairAt(face, time, this.fps),
      overlay.margin,
    );
    const mine = this.stills.pairs;
    const drawn = await drawing;
    // Others are drawn by now, or none.
    if (mine !== this.stills.pairs) return;
    if (drawn === "gone") {
      this.blank(say("viewer.difference-gone"));
      return;
    }
    const values = { face: String(face.id), time: clock(time), factor: FACTOR };
    differenceWords.textContent =
      drawn === "same" ? say("viewer.difference-same") : say("viewer.difference-of", values);
  }

  /**
   * Draw a face at its worst; the moment that was drawn, or null.
   * @param {HTMLCanvasElement} canvas
   * @param {Face} face
   * @param {number | undefined} before A moment that is drawn already.
   */
  portray(canvas, face, before) {
    const segment = worst(face.segments);
    if (!segment || !this.player.ready) return null;
    const time = (segment.start + segment.end) / 2;
    const box = segment.box ?? boxAt(face, time);
    if (!box || time === before) return null;
    const { width, height } = this.overlay;
    this.stills.face(canvas, { time, box, width, height });
    return time;
  }
}

/**
 * What a map is, in words.
 * @param {Chosen | null} chosen
 * @param {import("./heat.js").Heat | null} found
 */
function told(chosen, found) {
  if (!chosen) return say("viewer.heat-choose");
  if (!found) return say("viewer.heat-none");
  if (found.blank) return say("viewer.heat-single");
  return say("viewer.heat-of", {
    width: found.width,
    height: found.height,
    face: String(chosen.face.id),
    start: clock(chosen.segment.start),
    end: clock(chosen.segment.end),
  });
}
