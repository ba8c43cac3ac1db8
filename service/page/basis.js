/** What a verdict rests on, row by row. */

import { make } from "./dom.js";
import { clock, count, exact, known, lasting, rate, say } from "./words.js";

/** @typedef {import("./report.js").Model} Model */
/** @typedef {import("./report.js").Report} Report */
/** @typedef {import("./words.js").TextKey} TextKey */

/** What a model writes of itself where nobody knows. */
const UNKNOWN = "unknown";
const UNCALIBRATED = "uncalibrated";

/** Reasons that count faces; the others count the frames that a face was seen in. */
const FACES = new Set(["no_whole_clip"]);

/** Models that have room on one printed page. */
const PRINTED_MODELS = 3;

/**
 * The rows.
 * @param {Report} report
 */
export function basis(report) {
  const { coverage, media, models, point } = report;
  const model = models[0];
  const trained = [...new Set(models.map((each) => each.trained))];
  const calibration =
    point.calibration === UNCALIBRATED ? say("basis.uncalibrated") : point.calibration;
  const film = row("basis.media", [pictures(media)]);
  film.lastElementChild?.append(hash(media.sha256 || say("basis.hash-none")));
  return [
    row("basis.faces", [
      say("basis.faces-scored", { count: coverage.faces }),
      dropped(coverage.facesDropped.filter(([reason]) => FACES.has(reason)), "basis.dropped"),
      dropped(coverage.facesDropped.filter(([reason]) => !FACES.has(reason)), "basis.sightings"),
    ]),
    row("basis.clips", [
      say("basis.clips-scored", { count: coverage.clips }),
      models.length === 1 && model?.length ? say("basis.clips-of", { count: model.length }) : "",
      dropped(coverage.clipsDropped, "basis.dropped"),
    ]),
    row("basis.coverage", [covered(report)]),
    ...scorers(report),
    row("basis.trained", trained),
    row("basis.detector", [model?.detector ?? ""]),
    row("basis.point", [
      say(point.abstains ? "basis.point-open" : "basis.point-words", {
        low: exact(point.low),
        high: exact(point.high),
        threshold: exact(point.threshold),
      }),
    ]),
    row("basis.calibration", [calibration]),
    film,
    row("basis.time", [lasting(report.seconds)]),
  ];
}

/**
 * @param {TextKey} key
 * @param {string[]} parts
 */
function row(key, parts) {
  const made = make("div", "", key.replace(".", "-"));
  const words = parts.filter((part) => part && part !== UNKNOWN).join(", ");
  made.append(make("dt", say(key)), make("dd", words || say("basis.unknown")));
  return made;
}

/** @param {string} hash */
function hash(hash) {
  return make("span", say("basis.hash", { hash }), "hash");
}

/**
 * All hashes, each after what it is of, for paper.
 * @param {Report} report
 */
export function hashes({ media, models }) {
  const found = models.slice(0, PRINTED_MODELS).map((each) => `${each.name}: ${each.sha256}`);
  if (media.sha256) found.unshift(`${say("basis.media")}: ${media.sha256}`);
  return say("basis.hash", { hash: found.join("; ") });
}

/**
 * The models, each with its hash.
 * @param {Report} report
 */
function scorers({ models, ensemble }) {
  const rows = models.map((model) => {
    const found = row("basis.model", [`${model.name} ${model.version}`]);
    const { architecture, precision, provider } = model;
    const words = found.lastElementChild;
    words?.append(
      make("span", `, ${say("basis.model-words", { architecture, precision, provider })}`, "how"),
      model.fallback ? `. ${say("basis.fallback")}` : "",
      hash(model.sha256),
    );
    return found;
  });
  if (!ensemble) return rows;
  const { name, rule } = ensemble;
  const together = row("basis.models", [
    say("basis.ensemble", { name, rule, count: models.length }),
  ]);
  const left = models.length - PRINTED_MODELS;
  if (left > 0) {
    const words = say("print.models", { count: left });
    together.lastElementChild?.append(make("span", `. ${words}`, "print-only"));
  }
  // There the list of hashes names them.
  for (const each of rows) each.classList.add("screen-only");
  return [together, ...rows];
}

/**
 * @param {[string, number][]} reasons
 * @param {"basis.dropped" | "basis.sightings"} key
 */
function dropped(reasons, key) {
  const list = reasons.map(([reason, number]) => {
    const word = `reason.${reason}`;
    const words = known(word) ? say(word) : reason;
    return say("basis.dropped-item", { reason: words, count: count(number) });
  });
  return list.length ? say(key, { list: list.join(", ") }) : "";
}

/** @param {Report} report */
function covered({ coverage, media }) {
  const parts = [
    `${say(extent(coverage, media.duration), {
      start: clock(coverage.start),
      end: clock(coverage.end),
      duration: lasting(media.duration),
      sampling: coverage.sampling,
    })}.`,
    say("basis.gap", { seconds: lasting(coverage.gap) }),
    say("basis.frames", {
      decoded: coverage.decoded,
      all: coverage.frames,
      faces: coverage.withFace,
    }),
  ];
  if (coverage.damaged) parts.push(say("basis.damaged", { count: coverage.damaged }));
  if (coverage.missing) parts.push(say("basis.missing", { seconds: lasting(coverage.missing) }));
  return parts.join(" ");
}

/**
 * What may be said of how much was looked at.
 * @param {Report["coverage"]} coverage
 * @param {number} duration
 * @returns {import("./words.js").TextKey}
 */
function extent(coverage, duration) {
  // Between two samples nobody looked.
  if (coverage.sampling !== "full") return "basis.coverage-samples";
  const dropped = coverage.facesDropped.length + coverage.clipsDropped.length + coverage.damaged;
  const ends = coverage.start <= 0 && coverage.end >= duration - 0.05;
  return ends && !dropped ? "basis.coverage-whole" : "basis.coverage-part";
}

/** @param {Report["media"]} media */
function pictures(media) {
  const words = say("basis.media-words", {
    width: String(media.width),
    height: String(media.height),
    codec: media.codec,
    duration: lasting(media.duration),
  });
  return media.fps ? `${words}, ${say("basis.media-rate", { rate: rate(media.fps) })}` : words;
}
