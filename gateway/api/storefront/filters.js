// Chips for the values of a field, and the two ends of a price range.

import { byId, make, show } from "./dom.js";
import { priceText } from "./format.js";
import { FACETS, filterCount } from "./query.js";

/** @typedef {import("./query.js").Query} Query */
/** @typedef {import("./search.js").Range} Range */

const AT_FIRST = 6;
const AT_MOST = 24;

export class Filters {
  /** @param {(change: Partial<Query>) => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Range | null} */
    this.range = null;
    this.from = byId("price-from");
    this.to = byId("price-to");
    for (const end of [this.from, this.to]) {
      end.addEventListener("input", () => this.#slide(end));
      end.addEventListener("change", () => this.changed({ price: this.#price() }));
    }
    byId("clear").addEventListener("click", () => this.changed({ chosen: {}, price: null }));
  }

  /** @param {Range} range @param {Query} query */
  show(range, query) {
    if (range !== this.range) {
      this.range = range;
      byId("facets").replaceChildren(...FACETS.map((field) => this.#group(field, query)).filter(Boolean));
      this.#bounds(query);
      show(byId("filters"), byId("facets").children.length > 0 || !byId("price").hidden);
    }
    this.#sync(query);
  }

  /** @param {string} field @param {Query} query */
  #group(field, query) {
    const counts = this.range.facets[field] ?? [];
    const chosen = query.chosen[field] ?? [];
    const all = [
      ...chosen.map((value) => counts.find((each) => each.value === value) ?? { value, count: null }),
      ...counts.filter(({ value }) => !chosen.includes(value)).slice(0, AT_MOST),
    ];
    if (!all.length) return null;
    const chips = all.map((each, n) => this.#chip(field, each, n >= AT_FIRST));
    const group = make("fieldset", {}, make("legend", {}, field), make("div", { class: "chips" }, ...chips));
    if (all.length > AT_FIRST) group.append(unfold(chips.slice(AT_FIRST)));
    return group;
  }

  #chip(field, { value, count }, folded) {
    const box = make("input", {
      type: "checkbox", name: field, value, onchange: () => this.changed({ chosen: this.#chosen() }),
    });
    return make("label", { class: "chip", hidden: folded }, box,
      make("span", {}, String(value), count == null ? null : make("small", {}, ` ${count}`)));
  }

  #chosen() {
    const chosen = {};
    for (const box of byId("facets").querySelectorAll("input:checked")) {
      (chosen[box.name] ??= []).push(box.value);
    }
    return chosen;
  }

  /** @param {Query} query */
  #bounds(query) {
    const prices = [...(this.range.price ?? []), ...(query.price ?? [])];
    show(byId("price"), prices.length > 0 && Math.min(...prices) < Math.max(...prices));
    const least = Math.floor(Math.min(...prices));
    const most = Math.ceil(Math.max(...prices));
    for (const end of [this.from, this.to]) Object.assign(end, { min: least, max: most, step: 1 });
  }

  /** @param {Query} query */
  #sync(query) {
    for (const box of byId("facets").querySelectorAll("input")) {
      box.checked = (query.chosen[box.name] ?? []).includes(box.value);
      if (box.checked) show(box.parentElement, true);
    }
    this.from.value = query.price ? query.price[0] : this.from.min;
    this.to.value = query.price ? query.price[1] : this.to.max;
    this.#say();
    const n = filterCount(query);
    byId("filters-count").textContent = n ? `(${n})` : "";
    show(byId("clear"), n > 0);
  }

  /** The ends do not pass each other. @param {HTMLInputElement} moved */
  #slide(moved) {
    if (Number(this.from.value) > Number(this.to.value)) {
      moved.value = moved === this.from ? this.to.value : this.from.value;
    }
    this.#say();
  }

  #say() {
    const [from, to] = [Number(this.from.value), Number(this.to.value)];
    const { min, max } = this.from;
    const share = (value) => `${(100 * (value - min)) / Math.max(1, max - min)}%`;
    byId("range").style.setProperty("--from", share(from));
    byId("range").style.setProperty("--to", share(to));
    byId("price-said").textContent = `${priceText(from)} to ${priceText(to)}`;
    this.from.setAttribute("aria-valuetext", priceText(from));
    this.to.setAttribute("aria-valuetext", priceText(to));
  }

  /** From end to end is no filter: it would leave out what has no price. */
  #price() {
    const whole = this.from.value === this.from.min && this.to.value === this.to.max;
    return whole ? null : [Number(this.from.value), Number(this.to.value)];
  }
}

/** A button that shows the rest, once. @param {HTMLElement[]} rest */
function unfold(rest) {
  const button = make("button", { type: "button", class: "text" }, `Show ${rest.length} more`);
  button.addEventListener("click", () => {
    rest.forEach((chip) => show(chip, true));
    rest[0].querySelector("input").focus();
    button.remove();
  });
  return button;
}
