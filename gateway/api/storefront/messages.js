// What is said when things are not as they should be.

import { make } from "./dom.js";

const TITLES = {
  0: "No connection",
  401: "This shop asks for a key",
  403: "This key is not enough",
  404: "That is not in the shop any more",
  413: "That picture is too large",
  422: "That cannot be searched for",
  429: "Many people are searching right now",
  503: "The search is not answering",
  504: "That took too long",
};

/**
 * A problem as the API told it, with a way on.
 * @param {import("./api.js").Problem} problem
 * @param {{retry: () => void, useKey: (key: string) => void, byWords: (() => void) | null}} ways
 */
export function troubleOf(problem, { retry, useKey, byWords }) {
  const modelMayBeAway = [503, 504].includes(problem.status);
  const waits = problem.retryAfterS ? ` Try again in ${problem.retryAfterS} s.` : "";
  return [
    make("h2", {}, TITLES[problem.status] ?? "Something went wrong"),
    make("p", {}, `${problem.message}${waits}`),
    problem.status === 401 ? keyForm(useKey) : make("p", { class: "buttons" },
      make("button", { type: "button", class: "main", onclick: retry }, "Try again"),
      byWords && modelMayBeAway && make("button", { type: "button", class: "plain", onclick: byWords }, "Search by words alone")),
    problem.requestId ? make("p", { class: "note" }, `Request ${problem.requestId}`) : null,
  ].filter(Boolean);
}

function keyForm(useKey) {
  const field = make("input", { type: "password", name: "key", autocomplete: "off", "aria-label": "Key" });
  const form = make("form", { class: "buttons" }, field, make("button", { class: "main" }, "Use this key"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    useKey(field.value);
  });
  return form;
}

/**
 * What there is to say of an answer that is not all that was asked for; or null.
 * @param {{answer: any, wordsAlone: boolean, filtered: boolean, clear: () => void, retry: () => void}} found
 * @returns {{tone: string, title: string, content: (Node | string)[]} | null}
 */
export function noticeOf({ answer, wordsAlone, filtered, clear, retry }) {
  const button = (label, act) => make("button", { type: "button", class: "plain small", onclick: act }, label);
  if (!answer.hits.length && filtered) {
    return { tone: "quiet", title: "Nothing is left with these filters", content: [button("Clear filters", clear)] };
  }
  if (!answer.hits.length) {
    return { tone: "quiet", title: "Nothing found", content: ["Try other words, or a picture of it."] };
  }
  if (wordsAlone || answer.degraded) {
    return {
      tone: "warn",
      title: "Found by words alone",
      content: ["Comparing by looks is not available at the moment. ", button("Try again", retry)],
    };
  }
  if (answer.confident === false) {
    return {
      tone: "quiet",
      title: "No close match in this shop",
      content: ["These come nearest, but they may be quite different. Searching a part of the picture, or adding words, can help."],
    };
  }
  return null;
}
