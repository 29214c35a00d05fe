// One search after another: pages, tokens, and what to do when a part of the shop does not answer.

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
    /** Whether the model did not answer, so that words alone were searched for. */
    this.wordsOnly = false;
    /** @type {Map<string, Range>} */
    this.ranges = new Map();
  }

  #abort = new AbortController();
  /** @type {{query: Query, picture: Picture | null}} */
  #asked;
  #loading = false;

  /**
   * A new search; one that is still on its way is given up.
   * @param {Query} query @param {Picture | null} picture
   * @returns {Promise<{answer: any, range: Range, tookS: number}>}
   */
  async first(query, picture) {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    const start = performance.now();
    const [answer, range] = await Promise.all([
      this.#answer(query, picture, abort.signal),
      this.#rangeBeside(query, picture, abort.signal),
    ]);
    abort.signal.throwIfAborted();
    this.#asked = { query, picture };
    this.#loading = false;
    this.hits = answer.hits;
    this.atEnd = answer.hits.length < PAGE_SIZE;
    const tookS = (performance.now() - start) / 1000;
    return { answer, range: range ?? this.#noteRange(query, picture, answer), tookS };
  }

  /** The next page; its new hits, or null while one is on its way. @returns {Promise<any[] | null>} */
  async more() {
    if (this.#loading || this.atEnd) return null;
    this.#loading = true;
    const { query, picture } = this.#asked;
    const { signal } = this.#abort;
    try {
      const answer = await this.#page(query, picture, signal, {
        offset: this.hits.length,
        ...(this.wordsOnly ? { mode: "text" } : {}),
      });
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

  /** @param {Query} query @param {Picture | null} picture @param {AbortSignal} signal */
  async #answer(query, picture, signal) {
    const options = { offset: 0, facets: FACETS };
    this.wordsOnly = false;
    try {
      return await this.#page(query, picture, signal, options);
    } catch (problem) {
      const modelIsAway = problem instanceof Problem && [503, 504].includes(problem.status);
      if (!modelIsAway || !query.words) throw problem;
      // Full text needs no model: less than what was asked for, and said so.
      const answer = await this.#page({ ...query, like: [], unlike: [] }, null, signal, {
        ...options,
        mode: "text",
      }).catch(() => { throw problem; });
      this.wordsOnly = true;
      return answer;
    }
  }

  /** @param {Query} query @param {Picture | null} picture @param {AbortSignal} signal @param {object} more */
  async #page(query, picture, signal, more) {
    const wordsOnly = more.mode === "text";
    const shown = wordsOnly ? null : picture;
    const parts = shown ? await partsWith(shown, query) : partsOf(query, null);
    const tokens = parts.filter((part) => "token" in part);
    const body = {
      query: parts,
      filter: filterOf(query),
      fields: FIELDS,
      limit: PAGE_SIZE,
      ...(shown ? { return_query: true } : {}),
      ...more,
    };
    try {
      const answer = await this.api.search(body, signal);
      if (shown && answer.query_token) shown.tokens.set(tokenKey(shown, query), answer.query_token);
      return answer;
    } catch (problem) {
      // The shop has changed its model since: the picture itself still says it all.
      if (!tokens.length || !(problem instanceof Problem) || problem.status !== 409) throw problem;
      shown.tokens.clear();
      return this.#page(query, picture, signal, more);
    }
  }

  /** The range of the search without its filters, if that is not this search itself. */
  async #rangeBeside(query, picture, signal) {
    const known = this.ranges.get(keyOf(query, picture));
    if (known || !filterCount(query)) return known;
    const bare = withoutFilters(query);
    const answer = await this.#page(bare, picture, signal, { offset: 0, facets: FACETS }).catch(() => null);
    return answer && this.#noteRange(bare, picture, answer);
  }

  #noteRange(query, picture, answer) {
    const range = { facets: facetsOf(answer), price: pricesOf(answer.hits) };
    if (!filterCount(query)) this.ranges.set(keyOf(query, picture), range);
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

/** @param {Query} query @param {Picture | null} picture */
const keyOf = (query, picture) => `${picture ? `${picture.id} ${picture.part}` : ""} ${subjectKey(query)}`;

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
