// What was found, as it is shown.

import { fill } from "./api.js";
import { icon, make } from "./dom.js";
import { milliseconds, priceText, scoreText } from "./format.js";

const SIDES_PX = [160, 320, 640];
const STAGES = {
  queue: "queue", fetch: "fetch", decode: "decode", tokenise: "words", infer: "model", lookup: "item", search: "index",
};

/**
 * @typedef {object} Wishes   what a card's buttons do
 * @property {(hit: any) => void} like
 * @property {((hit: any) => void) | null} unlike   null: there is nothing yet that it could be unlike
 */

/**
 * @param {import("./api.js").Api} api @param {any} hit @param {Wishes} wishes
 * @param {string} heading   the cards' level: "h2" or "h3"
 */
export function card(api, hit, wishes, heading) {
  const title = hit.item.title ?? hit.id;
  return make(
    "li",
    { class: "card", "data-id": hit.id },
    // For a pointer only: the button below says and does the same.
    make("button", { class: "tile", type: "button", tabindex: -1, "aria-hidden": "true", onclick: () => wishes.like(hit) }, photo(api, hit)),
    make(heading, { class: "title" }, title),
    make("p", { class: "shelf-mark" }, [hit.item.brand, hit.item.category].filter(Boolean).join(" · ")),
    make("p", { class: "facts" },
      hit.item.price == null ? null : make("span", { class: "price" }, priceText(hit.item.price)),
      wishes.unlike && make("span", { class: "score", title: "Score: the higher, the more alike" },
        make("span", { class: "unseen" }, "Score "), scoreText(hit.score)),
    ),
    make("p", { class: "wishes" },
      wish("More like this", title, () => wishes.like(hit)),
      wishes.unlike && wish("Not like this", title, () => wishes.unlike(hit)),
    ),
  );
}

function wish(label, title, act) {
  return make("button", { type: "button", class: "wish", "aria-label": `${label}: ${title}`, onclick: act }, label);
}

function photo(api, hit) {
  const picture = make("img", {
    alt: "", loading: "lazy", decoding: "async", width: 320, height: 320,
    sizes: "(min-width: 60rem) 13rem, 45vw",
  });
  picture.addEventListener("error", () => picture.replaceWith(icon("picture")));
  fill(picture, api, hit, SIDES_PX);
  return picture;
}

/** Cards without content, while the first answer is on its way. @param {number} n */
export function skeletons(n) {
  return Array.from({ length: n }, () =>
    make("li", { class: "card skeleton", "aria-hidden": "true" },
      make("span", { class: "tile" }), make("span", { class: "line" }), make("span", { class: "line short" })));
}

/** The hits in the order asked for; those without a price come last. @param {any[]} hits @param {string} sort */
export function sorted(hits, sort) {
  if (!sort) return hits;
  const way = sort === "price-up" ? 1 : -1;
  const price = (hit) => hit.item.price ?? way * Infinity;
  return [...hits].sort((a, b) => way * (price(a) - price(b)));
}

/**
 * The gateway's own times by stage, as a bar and in words.
 * @param {HTMLElement} bar @param {HTMLElement} text
 * @param {Record<string, number>} timings @param {number} tookS   as seen from here
 */
export function showTimings(bar, text, timings, tookS) {
  const stages = Object.entries(timings);
  bar.replaceChildren(...stages.map(([stage, seconds]) => {
    const piece = make("span", { class: `stage ${stage}` });
    piece.style.flexGrow = String(seconds * 1e6); // below 1 in all, the bar would not fill
    return piece;
  }));
  const said = stages.map(([stage, seconds]) => `${STAGES[stage] ?? stage} ${milliseconds(seconds)}`);
  text.textContent = [...said, `${milliseconds(tookS)} in all`].join(" · ");
}
