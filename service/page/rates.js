/** How often a model is wrong, as its own card says. */

import { make, shorten, the } from "./dom.js";
import { exact, percent, say } from "./words.js";

/** @typedef {import("./report.js").Metric} Metric */
/** @typedef {import("./report.js").Report} Report */

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

/** How many figures of cards are listed, at most. */
const MOST_RATES = 32;
const MOST_FIGURES = 200;

/** What has room on one printed page. */
const PRINTED = { one: 3, several: 2 };

/**
 * Show the figures of the models that scored.
 * @param {Report} report
 */
export function showRates({ models, ensemble }) {
  const all = models.flatMap((model) =>
    model.metrics.map((metric) => ({ metric, model: models.length > 1 ? model.name : "" })),
  );
  const errors = all
    .filter(({ metric }) => ERROR.test(metric.name))
    // Who reads one alone reads the worst.
    .sort((one, other) => other.metric.value - one.metric.value)
    .slice(0, MOST_RATES);
  the("rates-heading", HTMLElement).textContent = say(
    ensemble ? "rates.heading-members" : "rates.heading",
  );
  const some = errors.length > 0;
  the("rates-intro", HTMLElement).textContent = ensemble
    ? say(some ? "rates.intro-members" : "rates.none-members")
    : say(some ? "rates.intro" : "rates.none");
  const items = errors.map(({ metric, model }) => wrong(metric, model));
  shorten(the("rates", HTMLElement), items, ensemble ? PRINTED.several : PRINTED.one, more);
  the("figures-box", HTMLElement).hidden = all.length === 0;
  const rows = all.slice(0, MOST_FIGURES).map(({ metric, model }) => {
    const row = make("tr");
    const name = make("th", [model, metric.name].filter(Boolean).join(": "));
    name.scope = "row";
    const value = [exact(metric.value), interval(metric, exact)].filter(Boolean).join("; ");
    row.append(name, make("td", value), make("td", metric.data));
    return row;
  });
  the("figures", HTMLElement).replaceChildren(...rows);
  const left = all.length - rows.length;
  the("figures-more", HTMLElement).textContent = left ? more(left) : "";
}

/** @param {number} count */
function more(count) {
  return say("rates.more", { count });
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
  const range = interval(metric, percent);
  const none = metric.value === 0 && !range ? say("rates.zero") : "";
  item.append(
    make("strong", [model, words].filter(Boolean).join(": ")),
    make("span", [metric.data, range, none].filter(Boolean).join("; "), "data"),
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
