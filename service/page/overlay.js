/** What is drawn over the playing video: boxes with their running score, and a map. */

import { boxAt, segmentAt, square } from "./moments.js";
import { brief, say } from "./words.js";

/** @typedef {import("./report.js").Box} Box */
/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").FaceVerdict} FaceVerdict */
/** @typedef {import("./report.js").Segment} Segment */

/** @typedef {{face: number, score: number, verdict: FaceVerdict}} Seen */

/** Boxes in one picture, at most. */
const MOST = 40;

/** Pixels below which, and faces beyond which, whole words would cover the picture. */
const NARROW = 500;
const CROWD = 3;

/** Colour, width and dashes of a box: each tells the verdict by itself. */
/** @type {Record<FaceVerdict, {colour: string, width: number, dashes: number[]}>} */
const LINES = {
  fake: { colour: "#ff8a6b", width: 4, dashes: [] },
  uncertain: { colour: "#ffd166", width: 3, dashes: [10, 6] },
  real: { colour: "#8ecbff", width: 2, dashes: [2, 4] },
};

export class Overlay {
  /**
   * @param {HTMLCanvasElement} canvas Lies over the video, of the same size.
   * @param {HTMLVideoElement} video
   */
  constructor(canvas, video) {
    this.canvas = canvas;
    this.video = video;
    /** @type {Face[]} */
    this.faces = [];
    this.margin = 1.3;
    this.boxes = true;
    /** Of the frames that boxes are in; 0 while only the video knows. */
    this.width = 0;
    this.height = 0;
    /** The map to lay over a face while its segment lasts. */
    /** @type {{face: Face, segment: Segment, heat: import("./heat.js").Heat} | null} */
    this.map = null;
  }

  clear() {
    this.faces = [];
    this.map = null;
    this.width = this.height = 0;
    this.draw(0);
  }

  /**
   * Draw what belongs to a moment; the faces that are seen then, the most suspicious first.
   * @param {number} time
   * @returns {Seen[]}
   */
  draw(time) {
    const { canvas, video } = this;
    const density = Math.min(devicePixelRatio || 1, 2);
    const [across, down] = [canvas.clientWidth, canvas.clientHeight];
    const [width, height] = [Math.round(across * density), Math.round(down * density)];
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const pen = canvas.getContext("2d");
    if (!pen) return [];
    pen.setTransform(density, 0, 0, density, 0, 0);
    pen.clearRect(0, 0, across, down);
    /** @type {(Seen & {box: Box})[]} */
    const found = [];
    for (const face of this.faces) {
      const segment = segmentAt(face, time);
      const box = segment && boxAt(face, time);
      if (box) found.push({ face: face.id, score: segment.score, verdict: segment.verdict, box });
    }
    const seen = found.sort((one, other) => other.score - one.score).slice(0, MOST);
    const to = this.projection(across, down);
    delete canvas.dataset["heat"];
    canvas.dataset["boxes"] = String(this.boxes && video.videoWidth ? seen.length : 0);
    if (!video.videoWidth) return seen;
    this.drawMap(pen, time, to);
    // The most suspicious comes last, and so on top.
    const terse = across < NARROW || seen.length > CROWD;
    if (this.boxes) {
      for (const each of [...seen].reverse()) label(pen, each, to(each.box), across, terse);
    }
    return seen;
  }

  /**
   * From pixels of a frame to those of the canvas: the picture is centred in it.
   * @param {number} across
   * @param {number} down
   * @returns {(box: Box) => Box}
   */
  projection(across, down) {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(across / (videoWidth || 1), down / (videoHeight || 1));
    const [left, top] = [
      (across - videoWidth * scale) / 2,
      (down - videoHeight * scale) / 2,
    ];
    const x = (videoWidth * scale) / (this.width || videoWidth || 1);
    const y = (videoHeight * scale) / (this.height || videoHeight || 1);
    return ([x0, y0, x1, y1]) => [left + x0 * x, top + y0 * y, left + x1 * x, top + y1 * y];
  }

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {number} time
   * @param {(box: Box) => Box} to
   */
  drawMap(pen, time, to) {
    if (!this.map || this.map.heat.blank) return;
    const { face, segment, heat } = this.map;
    if (segmentAt(face, time) !== segment) return;
    const box = boxAt(face, time) ?? segment.box;
    if (!box) return;
    const [x0, y0, x1, y1] = to(square(box, this.margin));
    pen.save();
    // The map is coarse, and shown so.
    pen.imageSmoothingEnabled = false;
    pen.drawImage(heat.canvas, x0, y0, x1 - x0, y1 - y0);
    pen.restore();
    this.canvas.dataset["heat"] = `${face.id}:${segment.start}`;
  }
}

/**
 * A box and its words.
 * @param {CanvasRenderingContext2D} pen
 * @param {Seen} seen
 * @param {Box} box
 * @param {number} across
 * @param {boolean} terse
 */
function label(pen, seen, [x0, y0, x1, y1], across, terse) {
  const { colour, width, dashes } = LINES[seen.verdict];
  for (const [style, extra, dashed] of /** @type {const} */ ([
    ["rgba(0, 0, 0, 0.7)", 2, false],
    [colour, 0, true],
  ])) {
    pen.strokeStyle = style;
    pen.lineWidth = width + extra;
    pen.setLineDash(dashed ? dashes : []);
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  pen.setLineDash([]);
  // The words stand below the picture as well.
  const text = say(terse ? "viewer.face-brief" : "viewer.face-now", {
    face: String(seen.face),
    score: brief(seen.score),
    verdict: say(`word.${seen.verdict}`),
  });
  pen.font = `600 ${terse ? 11 : 13}px system-ui, sans-serif`;
  pen.textBaseline = "middle";
  const tall = terse ? 16 : 22;
  const wide = Math.min(pen.measureText(text).width + 12, across);
  const left = Math.min(Math.max(x0 - width / 2, 0), across - wide);
  const top = y0 - tall - 2 >= 0 ? y0 - tall - 2 : Math.max(y0 + 2, 0);
  pen.fillStyle = "rgba(12, 12, 12, 0.82)";
  pen.fillRect(left, top, wide, tall);
  pen.fillStyle = colour;
  pen.fillRect(left, top, 3, tall);
  pen.fillStyle = "#fff";
  pen.fillText(text, left + 8, top + tall / 2 + 1);
}
