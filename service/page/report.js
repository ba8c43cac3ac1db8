/**
 * A report, read with care.
 *
 * Whatever the service sends, what comes out of `readReport` and `readSegment` has every field, of
 * its type, finite and within bounds.
 */

import { worst } from "./moments.js";
import { plain } from "./words.js";

/** @typedef {"fake" | "real" | "uncertain"} FaceVerdict */
/** @typedef {FaceVerdict | "no_face" | "unable"} Verdict */
/** @typedef {[number, number, number, number]} Box Pixels of the upright frame: x0, y0, x1, y1. */
/** @typedef {{frame: number, time: number, box: Box}} TimedBox */

/**
 * @typedef {object} Segment
 * @property {number} start Seconds.
 * @property {number} end
 * @property {number} score P(fake), 0 to 1.
 * @property {FaceVerdict} verdict
 * @property {Box | null} box In the middle frame.
 * @property {string} cam Base64 PNG; empty without one.
 * @property {number} clips 0 where they are not told.
 */

/**
 * @typedef {object} Face
 * @property {number} id
 * @property {number | null} score Null while the report is not there.
 * @property {FaceVerdict | null} verdict
 * @property {Segment[]} segments Ascending in time.
 * @property {TimedBox[]} boxes Of every frame, or none.
 * @property {{model: string, score: number}[]} parts What each model of several makes of it.
 */

/** @typedef {{name: string, value: number, data: string, low: number | null, high: number | null}} Metric */

/**
 * @typedef {object} Model
 * @property {string} name
 * @property {string} version
 * @property {string} architecture
 * @property {string} precision
 * @property {string} provider
 * @property {boolean} fallback
 * @property {string} detector
 * @property {string} trained
 * @property {string} notice
 * @property {string} sha256
 * @property {number} length Frames in a clip.
 * @property {number} margin Side of a crop over the longer side of its box.
 * @property {Metric[]} metrics
 */

/** @typedef {{threshold: number, low: number, high: number, calibration: string, abstains: boolean}} Point */

/**
 * @typedef {object} Report
 * @property {Verdict} verdict
 * @property {number | null} score
 * @property {string[]} reasons
 * @property {Point} point
 * @property {Model[]} models
 * @property {{name: string, rule: string} | null} ensemble
 * @property {{sha256: string, codec: string, width: number, height: number, fps: number, duration: number}} media
 * @property {Coverage} coverage
 * @property {Face[]} faces
 * @property {number} seconds Spent in all.
 * @property {boolean} receipt Whether one is in it.
 */

/**
 * @typedef {object} Coverage
 * @property {string} sampling
 * @property {number} start
 * @property {number} end
 * @property {number} frames
 * @property {number} decoded
 * @property {number} damaged
 * @property {number} withFace
 * @property {number} faces
 * @property {[string, number][]} facesDropped
 * @property {number} clips
 * @property {[string, number][]} clipsDropped
 * @property {number} gap
 * @property {number} missing
 */

/** What is read of a report, at most: more than the service's own limits give. */
const MOST = { faces: 5000, segments: 20_000, clips: 256, boxes: 500_000, metrics: 200, reasons: 50, models: 8 };
const LATEST = 1e6;
const LARGEST = 1e5;
const CAM_LENGTH = 2 ** 16;

/** @type {readonly FaceVerdict[]} */
const FACE_VERDICTS = ["fake", "real", "uncertain"];
/** @type {readonly Verdict[]} */
const VERDICTS = [...FACE_VERDICTS, "no_face", "unable"];

/**
 * @param {unknown} value
 * @returns {Record<string, unknown>}
 */
function fields(value) {
  return /** @type {Record<string, unknown>} */ (
    typeof value === "object" && value !== null && !Array.isArray(value) ? value : {}
  );
}

/**
 * @param {unknown} value
 * @param {number} most
 * @returns {unknown[]}
 */
function list(value, most) {
  return Array.isArray(value) ? value.slice(0, most) : [];
}

/**
 * Those that are there.
 * @template T
 * @param {(T | null)[]} found
 * @returns {T[]}
 */
function present(found) {
  return found.flatMap((each) => (each === null ? [] : [each]));
}

/**
 * @param {unknown} value
 * @param {number} [most]
 */
export function number(value, most = LATEST) {
  const known = typeof value === "number" && Number.isFinite(value);
  return known ? Math.min(Math.max(value, 0), most) : null;
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? plain(value) : "";
}

/**
 * A value if it is one of these.
 * @template {string} T
 * @param {unknown} value
 * @param {readonly T[]} these
 * @param {T} otherwise
 */
function one(value, these, otherwise) {
  return these.find((each) => each === value) ?? otherwise;
}

/**
 * @param {unknown} value
 * @returns {Box | null}
 */
function box(value) {
  const sides = list(value, 4);
  if (sides.length < 4) return null;
  const [x0, y0, x1, y1] = sides.map((side) =>
    typeof side === "number" && Math.abs(side) <= LARGEST ? side : NaN,
  );
  const whole = [x0, y0, x1, y1];
  if (!whole.every(Number.isFinite)) return null;
  return Number(x1) > Number(x0) && Number(y1) > Number(y0) ? /** @type {Box} */ (whole) : null;
}

/**
 * A segment, or null where it has no time or no score.
 * @param {unknown} value
 * @returns {Segment | null}
 */
export function readSegment(value) {
  const told = fields(value);
  const start = number(told["start"]);
  const end = number(told["end"]);
  const score = number(told["score"], 1);
  if (start === null || end === null || score === null || end < start) return null;
  const cam = told["cam_png"];
  return {
    start,
    end,
    score,
    verdict: one(told["verdict"], FACE_VERDICTS, "uncertain"),
    box: box(told["box"]),
    cam: typeof cam === "string" && cam.length <= CAM_LENGTH ? cam : "",
    clips: list(told["clips"], MOST.clips).length,
  };
}

/**
 * The id of a face, or null.
 * @param {unknown} value
 */
export function readId(value) {
  return Number.isSafeInteger(value) ? Number(value) : null;
}

/**
 * @param {unknown} value
 * @param {number} place
 * @returns {Face}
 */
function readFace(value, place) {
  const told = fields(value);
  const boxes = [];
  for (const each of list(told["boxes"], MOST.boxes)) {
    const timed = fields(each);
    const frame = number(timed["frame"], 1e9);
    const time = number(timed["time"]);
    const where = box(timed["box"]);
    if (frame !== null && time !== null && where) boxes.push({ frame, time, box: where });
  }
  const segments = present(list(told["segments"], MOST.segments).map(readSegment));
  const parts = list(told["parts"], MOST.models).map((each) => {
    const { model, score } = fields(each);
    return { model: text(model), score: number(score, 1) ?? 0 };
  });
  return {
    id: readId(told["id"]) ?? place,
    score: number(told["score"], 1) ?? worst(segments)?.score ?? 0,
    verdict: one(told["verdict"], FACE_VERDICTS, "uncertain"),
    segments: segments.sort((one, other) => one.start - other.start),
    boxes: boxes.sort((one, other) => one.time - other.time),
    parts,
  };
}

/**
 * @param {unknown} value
 * @returns {Metric | null}
 */
function metric(value) {
  const told = fields(value);
  const figure = number(told["value"]);
  if (figure === null) return null;
  return {
    name: text(told["name"]),
    value: figure,
    data: text(told["data"]),
    low: number(told["low"]),
    high: number(told["high"]),
  };
}

/**
 * A network as a report or `GET /v1/models` describes it.
 * @param {unknown} value
 * @returns {Model}
 */
export function readModel(value) {
  const told = fields(value);
  return {
    name: text(told["name"]),
    version: text(told["version"]),
    architecture: text(told["architecture"]),
    precision: text(told["precision"]),
    provider: text(told["provider"]),
    fallback: told["fallback"] === true,
    detector: text(told["detector"]),
    trained: text(told["trained_on"]),
    notice: text(told["notice"]),
    sha256: text(told["sha256"]),
    length: number(told["clip_length"], 1000) ?? 0,
    margin: Math.min(Math.max(number(told["crop_margin"], 10) ?? 1.3, 1), 10),
    metrics: present(list(told["metrics"], MOST.metrics).map(metric)),
  };
}

/**
 * @param {unknown} value
 * @returns {[string, number][]}
 */
function counts(value) {
  /** @type {[string, number][]} */
  const found = [];
  for (const [name, count] of Object.entries(fields(value)).slice(0, 20)) {
    const known = number(count, 1e9);
    if (known) found.push([plain(name), known]);
  }
  return found;
}

/**
 * @param {unknown} value What JSON gave.
 * @returns {Report}
 */
export function readReport(value) {
  const told = fields(value);
  const point = fields(told["operating_point"]);
  const model = fields(told["model"]);
  const media = fields(told["media"]);
  const coverage = fields(told["coverage"]);
  const together = Array.isArray(model["members"]);
  const low = number(point["uncertain_low"], 1) ?? 0.5;
  const duration = number(media["duration"]) ?? 0;
  return {
    verdict: one(told["verdict"], VERDICTS, "unable"),
    score: number(told["score"], 1),
    reasons: list(told["reasons"], MOST.reasons).map(text).filter(Boolean),
    point: {
      threshold: number(point["threshold"], 1) ?? 0.5,
      low,
      high: Math.max(low, number(point["uncertain_high"], 1) ?? 0.5),
      calibration: text(point["calibration"]),
      abstains: typeof point["abstain"] === "string",
    },
    models: together ? list(model["members"], MOST.models).map(readModel) : [readModel(model)],
    ensemble: together ? { name: text(model["name"]), rule: text(model["rule"]) } : null,
    media: {
      sha256: text(media["sha256"]),
      codec: text(media["codec"]),
      width: number(media["width"], LARGEST) ?? 0,
      height: number(media["height"], LARGEST) ?? 0,
      fps: number(media["fps"], 1000) ?? 0,
      duration,
    },
    coverage: {
      sampling: text(coverage["sampling"]),
      start: number(coverage["start"]) ?? 0,
      end: number(coverage["end"]) ?? duration,
      frames: number(coverage["frames_in_video"], 1e9) ?? 0,
      decoded: number(coverage["frames_decoded"], 1e9) ?? 0,
      damaged: number(coverage["frames_damaged"], 1e9) ?? 0,
      withFace: number(coverage["frames_with_face"], 1e9) ?? 0,
      faces: number(coverage["faces_kept"], 1e9) ?? 0,
      facesDropped: counts(coverage["faces_dropped"]),
      clips: number(coverage["clips_scored"], 1e9) ?? 0,
      clipsDropped: counts(coverage["clips_dropped"]),
      gap: number(coverage["longest_unscored"]) ?? 0,
      missing: number(coverage["seconds_missing"]) ?? 0,
    },
    faces: list(told["faces"], MOST.faces).map(readFace),
    seconds: number(fields(told["timing"])["total"]) ?? 0,
    receipt: Object.keys(fields(told["receipt"])).length > 0,
  };
}
