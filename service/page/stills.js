/** Single frames of the person's own video, drawn without disturbing the one that plays. */

import { square } from "./moments.js";

/** @typedef {import("./report.js").Box} Box */

/** How much brighter a difference is drawn than it is, as `deepfake-models explain` draws it. */
export const FACTOR = 8;

/** Milliseconds that a frame may take. */
const PATIENCE = 4000;

/** The square around a face in a small picture of it, over the longer side of its box. */
const PORTRAIT = 1.4;

/**
 * @typedef {object} Place A face in a frame.
 * @property {number} time Seconds.
 * @property {Box} box
 * @property {number} width Of the frame that the box is in, pixels.
 * @property {number} height
 */

export class Stills {
  constructor() {
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.preload = "auto";
    /**
     * What is drawn, one after another.
     * @type {Promise<void>}
     */
    this.queue = Promise.resolve();
    this.round = 0;
    this.pairs = 0;
    /** When the browser's clock shows the first frame. */
    this.first = 0;
  }

  /** @param {string} url */
  load(url) {
    this.round += 1;
    this.video.src = url;
  }

  clear() {
    this.round += 1;
    this.video.removeAttribute("src");
    this.video.load();
  }

  /**
   * Draw a face, and show its canvas once that is done.
   * @param {HTMLCanvasElement} canvas
   * @param {Place} place
   */
  face(canvas, place) {
    this.next(async () => {
      if (!(await this.go(place.time))) return;
      this.draw(canvas, place, PORTRAIT);
      canvas.hidden = false;
    });
  }

  /**
   * Draw a face at two moments, and what changed between them.
   * @param {[HTMLCanvasElement, HTMLCanvasElement, HTMLCanvasElement]} canvases
   * @param {Place} place
   * @param {[number, number]} moments Seconds.
   * @param {number} margin
   * @returns {Promise<"drawn" | "same" | "gone">} `same` where the browser shows one frame twice.
   */
  pair(canvases, place, [earlier, later], margin) {
    const mine = ++this.pairs;
    const [first, second, change] = canvases;
    return new Promise((tell) => {
      this.next(async () => {
        for (const [canvas, time] of /** @type {const} */ ([
          [first, earlier],
          [second, later],
        ])) {
          const there = mine === this.pairs && (await this.go(time));
          if (!there || mine !== this.pairs) return tell("gone");
          this.draw(canvas, place, margin);
        }
        tell(differ(first, second, change) ? "drawn" : "same");
      }, () => tell("gone"));
    });
  }

  /** Draw nothing any more that was asked for; the video stays. */
  drop() {
    this.round += 1;
  }

  /** Draw no pair of frames any more that was asked for. */
  forget() {
    this.pairs += 1;
  }

  /**
   * @param {() => Promise<void>} work
   * @param {() => void} [never] Called where the video has changed before it was its turn.
   */
  next(work, never = () => {}) {
    const { round } = this;
    this.queue = this.queue.then(async () => {
      if (round !== this.round) return never();
      // A picture that cannot be drawn is left out.
      await work().catch(never);
    });
  }

  /**
   * Whether the video came to a moment.
   * @param {number} time
   * @returns {Promise<boolean>}
   */
  go(time) {
    const { video, round } = this;
    return new Promise((tell) => {
      const listening = new AbortController();
      const { signal } = listening;
      /** @param {boolean} there */
      const end = (there) => {
        listening.abort();
        clearTimeout(timer);
        tell(there && round === this.round && video.videoWidth > 0);
      };
      const timer = setTimeout(() => end(false), PATIENCE);
      video.addEventListener("seeked", () => end(true), { signal });
      video.addEventListener("error", () => end(false), { signal });
      video.addEventListener("emptied", () => end(false), { signal });
      video.currentTime = time + this.first;
    });
  }

  /**
   * Draw a square around a face.
   * @param {HTMLCanvasElement} canvas
   * @param {Place} place
   * @param {number} margin
   */
  draw(canvas, place, margin) {
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    if (!pen) return;
    const across = this.video.videoWidth / (place.width || this.video.videoWidth);
    const down = this.video.videoHeight / (place.height || this.video.videoHeight);
    const [x0, y0, x1, y1] = square(place.box, margin);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(
      this.video,
      x0 * across,
      y0 * down,
      (x1 - x0) * across,
      (y1 - y0) * down,
      0,
      0,
      canvas.width,
      canvas.height,
    );
  }
}

/**
 * Draw the difference of two pictures in each colour, brightened; whether there is any.
 * @param {HTMLCanvasElement} first
 * @param {HTMLCanvasElement} second
 * @param {HTMLCanvasElement} change
 */
function differ(first, second, change) {
  const { width, height } = change;
  const [one, other, target] = [first, second, change].map((each) =>
    each.getContext("2d", { willReadFrequently: true }),
  );
  if (!one || !other || !target) return false;
  const from = one.getImageData(0, 0, width, height).data;
  const to = other.getImageData(0, 0, width, height).data;
  const picture = target.createImageData(width, height);
  let any = false;
  picture.data.forEach((_, place) => {
    const step = Math.abs(Number(to[place]) - Number(from[place]));
    if (step) any = true;
    picture.data[place] = place % 4 === 3 ? 255 : Math.min(step * FACTOR, 255);
  });
  target.putImageData(picture, 0, 0);
  return any;
}
