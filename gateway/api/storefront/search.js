// One search after another: its pages, its tokens, and what it can be filtered by.

import { Problem } from "./api.js";
import { FACETS, emptyQuery, filterCount, filterOf, partsOf, subjectKey, withoutFilters } from "./query.js";

/** @typedef {import("./query.js").Query} Query */
/** @typedef {import("./picture.js").Picture} Picture */
/**
 * What can be filtered by: of the search without any filter, so that a choice can be undone.
 * @typedef {object} Range
 * @property {Record<string, {value: string, count: number}[]>} facets
 * @property {[number, number] | null} price
 */

const PAGE_SIZE = 24;
// What a card shows, and what its picture needs.
const FIELDS = ["title", "price", "brand", "category", "pictures"];

export class Search {
  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    /** @type {any[]} */
    this.hits = [];
    this.atEnd = false;
    /** @type {Map<string, Range>} */
    this.ranges = new Map();
  }

  #abort = new AbortController();
  /** @type {{query: Query, picture: Picture | null, more: object}} */
  #asked;
  #loading = false;

  /**
   * A new search; one that is still on its way is given up.
   * @param {Query} query @param {Picture | null} picture
   * @param {boolean} wordsAlone   full text needs no model, and so answers when that is away
   * @returns {Promise<{answer: any, range: Range, tookS: number}>}
   */
  async first(query, picture, wordsAlone = false) {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    // Of the search before, nothing is left to be paged or sorted.
    this.hits = [];
    this.atEnd = true;
    const start = performance.now();
    const asked = wordsAlone
      ? { query: { ...query, like: [], unlike: [] }, picture: null, more: { mode: "text" } }
      : { query, picture, more: {} };
    const [answer, range] = await Promise.all([
      this.#page(asked, abort.signal, { offset: 0, facets: FACETS }),
      this.#rangeBeside(asked, abort.signal),
    ]);
    abort.signal.throwIfAborted();
    this.#asked = asked;
    this.#loading = false;
    this.hits = answer.hits;
    this.atEnd = answer.hits.length < PAGE_SIZE;
    const tookS = (performance.now() - start) / 1000;
    return { answer, range: range ?? this.#noteRange(asked, answer), tookS };
  }

  /** The next page; its new hits, or null while one is on its way. @returns {Promise<any[] | null>} */
  async more() {
    if (this.#loading || this.atEnd) return null;
    this.#loading = true;
    const { signal } = this.#abort;
    try {
      const answer = await this.#page(this.#asked, signal, { offset: this.hits.length });
      signal.throwIfAborted();
      const known = new Set(this.hits.map((hit) => hit.id));
      const fresh = answer.hits.filter((hit) => !known.has(hit.id));
      this.hits = [...this.hits, ...fresh];
      this.atEnd = answer.hits.length < PAGE_SIZE || !fresh.length;
      return fresh;
    } finally {
      if (!signal.aborted) this.#loading = false;
    }
  }

  /** @param {AbortSignal} signal @param {object} options */
  async #page(asked, signal, options) {
    const { query, picture, more } = asked;
    const parts = picture ? await partsWith(picture, query) : partsOf(query, null);
    const body = {
      query: parts,
      filter: filterOf(query),
      fields: FIELDS,
      limit: PAGE_SIZE,
      ...(picture ? { return_query: true } : {}),
      ...more,
      ...options,
    };
    try {
      const answer = await this.api.search(body, signal);
      if (picture && answer.query_token) picture.tokens.set(tokenKey(picture, query), answer.query_token);
      return answer;
    } catch (problem) {
      const stale = problem instanceof Problem && problem.status === 409;
      if (!stale || !parts.some((part) => "token" in part)) throw problem;
      // The shop has changed its model since: the picture itself still says it all.
      picture.tokens.clear();
      return this.#page(asked, signal, options);
    }
  }

  /** The range of the search without its filters, if that is not this search itself. */
  async #rangeBeside(asked, signal) {
    const known = this.ranges.get(keyOf(asked));
    if (known || !filterCount(asked.query)) return known;
    const bare = { ...asked, query: withoutFilters(asked.query) };
    const answer = await this.#page(bare, signal, { offset: 0, facets: FACETS }).catch(() => null);
    return answer && this.#noteRange(bare, answer);
  }

  #noteRange(asked, answer) {
    const range = { facets: facetsOf(answer), price: pricesOf(answer.hits) };
    if (!filterCount(asked.query)) this.ranges.set(keyOf(asked), range);
    return range;
  }
}

/**
 * The query parts of a search with a picture. A token stands for the whole query that it was made
 * of: this one asked before, or the picture alone. Only without either is the picture sent.
 * @param {Picture} picture @param {Query} query
 */
async function partsWith(picture, query) {
  const whole = picture.tokens.get(tokenKey(picture, query));
  if (whole) return [{ token: whole }];
  const token = picture.tokens.get(tokenKey(picture, emptyQuery()));
  return partsOf(query, token ? { token } : { image: (await picture.searched()).dataUri });
}

/** @param {Picture} picture @param {Query} query */
const tokenKey = (picture, query) => `${picture.part} ${subjectKey(query)}`;

/** @param {{query: Query, picture: Picture | null}} asked */
const keyOf = ({ query, picture }) => `${picture ? `${picture.id} ${picture.part}` : ""} ${subjectKey(query)}`;

/** @param {any[]} hits @returns {[number, number] | null} */
function pricesOf(hits) {
  const prices = hits.map((hit) => hit.item.price).filter((price) => price != null);
  return prices.length ? [Math.min(...prices), Math.max(...prices)] : null;
}

/**
 * The counts over the result set, which may be the whole shop: what the nearest hits have comes
 * first. A gateway that counts nothing leaves these.
 */
function facetsOf(answer) {
  const near = counted(answer.hits);
  if (!answer.facets) return near;
  return Object.fromEntries(FACETS.map((field) => {
    const nearCounts = new Map(near[field].map(({ value, count }) => [value, count]));
    const nearness = ({ value }) => nearCounts.get(value) ?? 0;
    const counts = [...(answer.facets[field] ?? [])];
    return [field, counts.sort((a, b) => nearness(b) - nearness(a) || b.count - a.count)];
  }));
}

/** How often each value occurs among some hits. @param {any[]} hits */
function counted(hits) {
  return Object.fromEntries(FACETS.map((field) => {
    const counts = new Map();
    for (const { item } of hits) {
      if (item[field]) counts.set(item[field], (counts.get(item[field]) ?? 0) + 1);
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    return [field, sorted.map(([value, count]) => ({ value, count }))];
  }));
}
