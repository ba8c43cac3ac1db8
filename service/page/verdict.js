/** The finding in plain words. */

import { make, shorten, the } from "./dom.js";
import { judged, worstFace } from "./moments.js";
import { brief, exact, lasting, precise, say } from "./words.js";

/** @typedef {import("./report.js").Face} Face */
/** @typedef {import("./report.js").Model} Model */
/** @typedef {import("./report.js").Report} Report */

/** The model that comes with the software. */
const DEMONSTRATION = /^clrnet-demo\b/;

/** What a face's score is a mean over where there is as much: seconds from the first clip's begin to
 * the last one's end, and clips. */
const ENOUGH = { seconds: 2, clips: 6 };
const EDGE = 1e-6;

/** How far the scores of two models must lie apart for them to disagree. */
const APART = 0.2;

/** What has room on one printed page. */
const PRINTED_REASONS = 3;

/**
 * Whether people must be told that this is a demonstration.
 * @param {Model[]} models
 */
export function demonstrates(models) {
  return models.some(
    (model) => DEMONSTRATION.test(model.name) || /\bdemonstration model\b/i.test(model.notice),
  );
}

/**
 * The verdict in two words.
 * @param {Report} report
 */
export function headline(report) {
  return say(`verdict.${report.verdict}`);
}

export class Finding {
  constructor() {
    this.box = the("verdict", HTMLElement);
    this.words = the("verdict-words", HTMLElement);
    this.portrait = the("suspect", HTMLCanvasElement);
    this.sense = the("verdict-sense", HTMLElement);
    this.weigh = the("verdict-weigh", HTMLElement);
    this.band = the("band", HTMLElement);
    this.reasons = the("reasons", HTMLElement);
  }

  clear() {
    this.box.hidden = true;
    this.portrait.hidden = true;
    delete this.box.dataset["verdict"];
  }

  /** @param {Report} report */
  show(report) {
    this.box.dataset["verdict"] = report.verdict;
    this.words.textContent = headline(report);
    this.sense.textContent = sense(report);
    this.weigh.replaceChildren(...weighed(report));
    this.scale(report);
    const reasons = report.reasons.map((reason) => {
      const item = make("li");
      item.append(make("span", reason));
      return item;
    });
    shorten(this.reasons, reasons, PRINTED_REASONS, (count) => say("print.reasons", { count }));
    the("reasons-heading", HTMLElement).hidden = reasons.length === 0;
    this.box.hidden = false;
  }

  /** @param {Report} report */
  scale(report) {
    const { band } = this;
    const { abstains } = report.point;
    // Who decides nothing draws no lines.
    const { low, high } = abstains ? { low: 0, high: 1 } : report.point;
    band.hidden = report.score === null;
    if (report.score === null) return;
    band.style.setProperty("--low", String(low));
    band.style.setProperty("--high", String(high));
    band.style.setProperty("--score", String(report.score));
    const values = { score: precise(report.score), low: exact(low), high: exact(high) };
    band.setAttribute("aria-label", say(abstains ? "verdict.band-open" : "verdict.band", values));
    for (const zone of band.querySelectorAll(".zone")) zone.toggleAttribute("hidden", abstains);
    the("band-score", HTMLElement).textContent = values.score;
    const lower = the("band-low", HTMLElement);
    lower.textContent = values.low;
    lower.hidden = abstains;
    const upper = the("band-high", HTMLElement);
    upper.textContent = values.high;
    // Two numbers in one place cannot be read.
    upper.hidden = abstains || high - low < 0.08;
  }
}

/** @param {Report} report */
function sense(report) {
  const { verdict, score, point } = report;
  if (verdict === "no_face" || verdict === "unable") return say(`verdict.${verdict}-sense`);
  const kind = point.abstains ? "abstain" : verdict;
  return say(`verdict.${kind}-sense`, {
    face: String(worstFace(report.faces)?.id ?? "?"),
    score: score === null ? "?" : precise(score),
    low: exact(point.low),
    high: exact(point.high),
  });
}

/**
 * How much the verdict weighs, in sentences.
 * @param {Report} report
 */
function weighed(report) {
  const { faces, point, media, coverage } = report;
  const face = worstFace(faces);
  /** @type {HTMLElement[]} */
  const found = [];
  if (face) {
    const { seconds, clips } = extent(face);
    const values = {
      face: String(face.id),
      seconds: lasting(seconds),
      duration: lasting(media.duration),
      count: clips,
    };
    found.push(make("p", say(clips ? "verdict.extent-clips" : "verdict.extent", values)));
    // That nothing was found says as much as all faces together.
    if (report.verdict === "real" ? faces.every(slight) : slight(face)) {
      found.push(make("p", say("verdict.thin", { face: String(face.id) }), "weighty"));
    }
    if (!point.abstains) found.push(make("p", counted(faces)));
    if (face.parts.length) found.push(members(face, report));
  }
  if (coverage.facesDropped.some(([reason]) => reason === "too_many")) {
    found.push(make("p", say("verdict.unseen"), "weighty"));
  }
  return found;
}

/**
 * How long a face was scored, and in how many clips; 0 where that is not known.
 * @param {Face} face
 */
function extent({ segments }) {
  return {
    seconds: segments.reduce((sum, each) => sum + each.end - each.start, 0),
    clips: segments.reduce((sum, each) => sum + each.clips, 0),
  };
}

/**
 * Whether a face's score is over less than a score should be.
 * @param {Face} face
 */
function slight(face) {
  const { segments } = face;
  const { clips } = extent(face);
  const lasts = Math.max(0, ...segments.slice(-1).map(({ end }) => end - Number(segments[0]?.start)));
  return lasts < ENOUGH.seconds - EDGE || (clips > 0 && clips < ENOUGH.clips);
}

/** @param {Face[]} faces */
function counted(faces) {
  /** @param {string} verdict */
  const of = (verdict) => faces.filter((face) => face.verdict === verdict).length;
  return say("verdict.faces", { count: faces.length, fake: of("fake"), uncertain: of("uncertain") });
}

/**
 * What each model of an ensemble makes of a face by itself.
 * @param {Face} face
 * @param {Report} report
 */
function members({ id, parts }, { point }) {
  const list = parts
    .map(({ model, score }) => say("verdict.member", { name: model, score: brief(score) }))
    .join(", ");
  const scores = parts.map(({ score }) => score);
  const [least, most] = [Math.min(...scores), Math.max(...scores)];
  const differ = judged(least, point) !== judged(most, point) && most - least >= APART;
  const words = [say("verdict.members", { face: String(id), list })];
  const apart = differ && !point.abstains;
  // Paper cuts the end.
  if (apart) words.unshift(say("verdict.disagree"));
  return make("p", words.join(" "), apart ? "weighty" : "");
}
