/** Elements: found, and made. Text goes in as text alone. */

/**
 * An element of the page that is there. Raises `Error` where it is not, or is of another kind.
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function the(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} "${id}"`);
  return found;
}

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [text]
 * @param {string} [name] Its class.
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, text = "", name = "") {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (name) element.className = name;
  return element;
}

/**
 * A list of which paper holds the first ones, and a sentence in the place of the others.
 * @param {HTMLElement} list
 * @param {HTMLElement[]} items
 * @param {number} most
 * @param {(count: number) => string} rest The sentence.
 */
export function shorten(list, items, most, rest) {
  for (const item of items.slice(most)) item.classList.add("screen-only");
  const more = items.length - most;
  list.replaceChildren(...items, ...(more > 0 ? [make("li", rest(more), "print-only")] : []));
}

/**
 * Whether the person has asked for little motion.
 */
export function still() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
