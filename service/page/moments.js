/** What happens when in a report: which segment, which score, which place. */

/** @typedef {import("./report.js").Box} Box */
/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").FaceVerdict} FaceVerdict */
/** @typedef {import("./report.js").Point} Point */
/** @typedef {import("./report.js").Segment} Segment */

/** @typedef {{face: Face, start: number, end: number, worst: Segment, verdict: FaceVerdict}} Moment */

/** @typedef {{start: number, end: number, worst: Segment, many: boolean}} Bar One or more segments drawn as one. */

/** Seconds between two frames whose boxes are taken to be of one face, and between segments that
 * are taken to be of one moment. */
const NEAR = 0.3;

/** Seconds that a clock may be off. */
const SLACK = 0.005;

/**
 * The place of the last of some things, ascending in time, that begins at a moment or before; -1
 * without one.
 * @template T
 * @param {readonly T[]} things
 * @param {(thing: T) => number} start
 * @param {number} time
 */
function latest(things, start, time) {
  let low = 0;
  let high = things.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (start(/** @type {T} */ (things[middle])) <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * The segment of a face at a moment; null where nothing of it was scored.
 * @param {Face} face
 * @param {number} time
 */
export function segmentAt(face, time) {
  const found = face.segments[latest(face.segments, (each) => each.start, time + SLACK)];
  return found && time <= found.end + SLACK ? found : null;
}

/**
 * Where a calibrated score falls on an operating point.
 * @param {number} score
 * @param {Point} point
 * @returns {FaceVerdict}
 */
export function judged(score, point) {
  if (point.abstains) return "uncertain";
  if (score >= point.high) return "fake";
  return score < point.low ? "real" : "uncertain";
}

/**
 * Where a face is at a moment; null where it is not seen.
 * @param {Face} face
 * @param {number} time
 */
export function boxAt(face, time) {
  return face.boxes.length
    ? between(face.boxes, (each) => each.time, time, NEAR)
    : between(face.segments, (each) => (each.start + each.end) / 2, time, 1);
}

/**
 * When to look to see a face's frame at a moment, and the next one: in the middle of the time that
 * each is shown.
 * @param {Face} face
 * @param {number} time
 * @param {number} fps 0 where that is not known.
 * @returns {[number, number]} Seconds.
 */
export function pairAt(face, time, fps) {
  const place = latest(face.boxes, (each) => each.time, time + SLACK);
  const [one, two, three] = face.boxes.slice(Math.max(place, 0), place + 3);
  // Frames need not follow each other evenly.
  if (one && two?.frame === one.frame + 1) {
    const first = two.time - one.time;
    const second = three?.frame === two.frame + 1 ? three.time - two.time : first;
    return [one.time + first / 2, two.time + second / 2];
  }
  const rate = fps || 25;
  const frame = Math.max(0, Math.floor(time * rate + 1e-3));
  return [(frame + 0.5) / rate, (frame + 1.5) / rate];
}

/**
 * The box at a moment from those around it, none of which is farther than `reach` seconds.
 * @template {{box: Box | null}} T
 * @param {readonly T[]} known
 * @param {(thing: T) => number} when
 * @param {number} time
 * @param {number} reach
 * @returns {Box | null}
 */
function between(known, when, time, reach) {
  const place = latest(known, when, time);
  const before = known[place];
  const after = known[place + 1];
  const since = before?.box ? time - when(before) : Infinity;
  const until = after?.box ? when(after) - time : Infinity;
  if (before?.box && after?.box && since + until <= 2 * reach) {
    const [from, to] = [before.box, after.box];
    const share = since + until > 0 ? since / (since + until) : 0;
    /** @param {0 | 1 | 2 | 3} side */
    const part = (side) => from[side] + (to[side] - from[side]) * share;
    return [part(0), part(1), part(2), part(3)];
  }
  if (since <= until) return since <= reach ? (before?.box ?? null) : null;
  return until <= reach ? (after?.box ?? null) : null;
}

/**
 * The square around a face that a model was shown.
 * @param {Box} box
 * @param {number} margin
 * @returns {Box}
 */
export function square([x0, y0, x1, y1], margin) {
  const half = (margin * Math.max(x1 - x0, y1 - y0)) / 2;
  const x = (x0 + x1) / 2;
  const y = (y0 + y1) / 2;
  return [x - half, y - half, x + half, y + half];
}

/**
 * The worst segment of some; null of none.
 * @param {Segment[]} segments
 */
export function worst(segments) {
  return segments.reduce(
    (/** @type {Segment | null} */ most, each) => (most && most.score >= each.score ? most : each),
    null,
  );
}

/**
 * A face's segments as at most so many bars: neighbours become one, which shows the worst of them.
 * @param {Segment[]} segments
 * @param {number} most
 * @returns {Bar[]}
 */
export function bars(segments, most) {
  const together = Math.ceil(segments.length / most);
  const found = [];
  for (let first = 0; first < segments.length; first += together) {
    const group = segments.slice(first, first + together);
    const most = /** @type {Segment} */ (worst(group));
    const last = /** @type {Segment} */ (group[group.length - 1]);
    const begin = /** @type {Segment} */ (group[0]);
    found.push({ start: begin.start, end: last.end, worst: most, many: group.length > 1 });
  }
  return found;
}

/**
 * The most suspicious face; null without any.
 * @param {Face[]} faces
 */
export function worstFace(faces) {
  /** @param {Face} face */
  const score = (face) => face.score ?? worst(face.segments)?.score ?? 0;
  return faces.reduce(
    (/** @type {Face | null} */ most, each) => (most && score(most) >= score(each) ? most : each),
    null,
  );
}

/**
 * Stretches of a face whose segments are fake, or uncertain, without a break; the most suspicious
 * first. None where nothing is decided: then uncertain says nothing of a moment.
 * @param {Face[]} faces
 * @param {Point} point
 * @returns {Moment[]}
 */
export function moments(faces, point) {
  /** @type {Moment[]} */
  const found = [];
  if (point.abstains) return found;
  for (const face of faces) {
    /** @type {Moment | null} */
    let open = null;
    for (const each of face.segments) {
      if (each.verdict === "real") {
        open = null;
      } else if (open && open.verdict === each.verdict && each.start - open.end <= NEAR) {
        open.end = Math.max(open.end, each.end);
        if (each.score > open.worst.score) open.worst = each;
      } else {
        open = { face, start: each.start, end: each.end, worst: each, verdict: each.verdict };
        found.push(open);
      }
    }
  }
  const level = (/** @type {Moment} */ each) => (each.verdict === "fake" ? 1 : 0);
  return found.sort((one, other) => level(other) - level(one) || other.worst.score - one.worst.score);
}

