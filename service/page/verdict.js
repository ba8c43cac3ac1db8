/** The finding in plain words, and what it rests on. */

import { make, shorten, the } from "./dom.js";
import { worstFace } from "./moments.js";
import { clock, count, exact, known, lasting, percent, rate, say } from "./words.js";

/** @typedef {import("./report.js").Metric} Metric */
/** @typedef {import("./report.js").Model} Model */
/** @typedef {import("./report.js").Report} Report */

/** What a model writes of itself where nobody knows. */
const UNKNOWN = "unknown";
const UNCALIBRATED = "uncalibrated";

/** The model that comes with the software. */
const DEMONSTRATION = /^clrnet-demo\b/;

/** Figures that say how often a verdict was wrong, as cards name them. */
const ERROR = /^(real faces (.* )?called fake|forged faces (.* )?called real)$/;

/** Those that are told in plain words. */
/** @type {Record<string, import("./words.js").TextKey>} */
const TOLD = {
  "real faces called fake": "rates.real-fake",
  "forged faces called real": "rates.forged-real",
  "real faces of the benchmark called fake": "rates.real-fake-benchmark",
  "forged faces of the benchmark called real": "rates.forged-real-benchmark",
};

/** How many figures of a card are listed, at most. */
const MOST_FIGURES = 80;

/** What has room on one printed page. */
const PRINTED_REASONS = 5;
const PRINTED_RATES = 4;

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
    this.sense = the("verdict-sense", HTMLElement);
    this.band = the("band", HTMLElement);
    this.reasons = the("reasons", HTMLElement);
    this.basis = the("basis-list", HTMLElement);
    this.rates = the("rates", HTMLElement);
    this.figures = the("figures", HTMLElement);
  }

  clear() {
    this.box.hidden = true;
    delete this.box.dataset["verdict"];
  }

  /** @param {Report} report */
  show(report) {
    this.box.dataset["verdict"] = report.verdict;
    this.words.textContent = headline(report);
    this.sense.textContent = sense(report);
    this.scale(report);
    const reasons = report.reasons.map((reason) => make("li", reason));
    shorten(this.reasons, reasons, PRINTED_REASONS, (count) => say("print.reasons", { count }));
    the("reasons-heading", HTMLElement).hidden = reasons.length === 0;
    this.basis.replaceChildren(...basis(report));
    this.card(report);
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
    const values = { score: exact(report.score), low: exact(low), high: exact(high) };
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

  /** @param {Report} report */
  card({ models, ensemble }) {
    const all = models.flatMap((model) =>
      model.metrics.map((metric) => ({ metric, model: models.length > 1 ? model.name : "" })),
    );
    const errors = all.filter(({ metric }) => ERROR.test(metric.name)).slice(0, 8);
    the("rates-heading", HTMLElement).textContent = say(
      ensemble ? "rates.heading-members" : "rates.heading",
    );
    const some = errors.length > 0;
    the("rates-intro", HTMLElement).textContent = ensemble
      ? say(some ? "rates.intro-members" : "rates.none-members")
      : say(some ? "rates.intro" : "rates.none");
    const rates = errors.map(({ metric, model }) => wrong(metric, model));
    shorten(this.rates, rates, PRINTED_RATES, (count) => say("print.rates", { count }));
    the("figures-box", HTMLElement).hidden = all.length === 0;
    const rows = all.slice(0, MOST_FIGURES).map(({ metric, model }) => {
      const row = make("tr");
      const name = make("th", [model, metric.name].filter(Boolean).join(": "));
      name.scope = "row";
      const value = make("td", [exact(metric.value), interval(metric, exact)].filter(Boolean).join("; "));
      row.append(name, value, make("td", metric.data));
      return row;
    });
    this.figures.replaceChildren(...rows);
  }
}

/** @param {Report} report */
function sense(report) {
  const { verdict, score, point } = report;
  if (verdict === "no_face" || verdict === "unable") return say(`verdict.${verdict}-sense`);
  const kind = point.abstains ? "abstain" : verdict;
  return say(`verdict.${kind}-sense`, {
    face: String(worstFace(report.faces)?.id ?? "?"),
    score: score === null ? "?" : exact(score),
    low: exact(point.low),
    high: exact(point.high),
  });
}

/**
 * One error rate.
 * @param {Metric} metric
 * @param {string} model Empty where there is one alone.
 */
function wrong(metric, model) {
  const item = make("li");
  const share = percent(metric.value);
  const told = Object.hasOwn(TOLD, metric.name) ? TOLD[metric.name] : undefined;
  const words = told ? say(told, { share }) : say("rates.item", { name: metric.name, share });
  item.append(
    make("strong", [model, words].filter(Boolean).join(": ")),
    make("span", [metric.data, interval(metric, percent)].filter(Boolean).join("; "), "data"),
  );
  return item;
}

/**
 * @param {Metric} metric
 * @param {(value: number) => string} shown
 */
function interval({ low, high }, shown) {
  if (low === null || high === null) return "";
  return say("rates.interval", { low: shown(low), high: shown(high) });
}

/**
 * The rows of what a verdict rests on.
 * @param {Report} report
 */
function basis(report) {
  const { coverage, media, models, point } = report;
  const model = models[0];
  /** @type {[import("./words.js").TextKey, string[], string?][]} */
  const rows = [
    [
      "basis.faces",
      [say("basis.faces-scored", { count: coverage.faces }), dropped(coverage.facesDropped)],
    ],
    [
      "basis.clips",
      [
        say("basis.clips-scored", { count: coverage.clips }),
        models.length === 1 && model?.length ? say("basis.clips-of", { count: model.length }) : "",
        dropped(coverage.clipsDropped),
      ],
    ],
    ["basis.coverage", [covered(report)]],
    ["basis.model", models.map(named)],
  ];
  if (report.ensemble) {
    const { name, rule } = report.ensemble;
    rows.push(["basis.model", [say("basis.ensemble", { name, rule, count: models.length })]]);
  }
  const trained = models.map((each) => each.trained).filter(Boolean);
  rows.push(
    ["basis.trained", [[...new Set(trained)].join("; ") || say("basis.unknown")]],
    ["basis.detector", [model?.detector || say("basis.unknown")]],
    [
      "basis.point",
      [
        say(point.abstains ? "basis.point-open" : "basis.point-words", {
          low: exact(point.low),
          high: exact(point.high),
          threshold: exact(point.threshold),
        }),
      ],
    ],
    [
      "basis.calibration",
      [point.calibration === UNCALIBRATED ? say("basis.uncalibrated") : point.calibration],
    ],
    ["basis.media", [pictures(media)]],
    ["basis.video-hash", [media.sha256 || say("basis.video-hash-none")], "hash"],
    ["basis.model-hash", models.map((each) => each.sha256), "hash"],
    ["basis.time", [lasting(report.seconds)]],
  );
  return rows.map(([key, parts, kind]) => {
    const row = make("div", "", key.replace(".", "-"));
    const words = parts.filter((part) => part && part !== UNKNOWN).join(", ");
    row.append(make("dt", say(key)), make("dd", words || say("basis.unknown"), kind));
    return row;
  });
}

/** @param {[string, number][]} reasons */
function dropped(reasons) {
  const list = reasons.map(([reason, number]) => {
    const key = `reason.${reason}`;
    const words = known(key) ? say(key) : reason;
    return say("basis.dropped-item", { reason: words, count: count(number) });
  });
  return list.length ? say("basis.dropped", { list: list.join(", ") }) : "";
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

/** @param {Model} model */
function named(model) {
  const words = say("basis.model-words", {
    name: model.name,
    version: model.version,
    architecture: model.architecture,
    precision: model.precision,
    provider: model.provider,
  });
  return model.fallback ? `${words}. ${say("basis.fallback")}` : words;
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
