// What is searched for, as a value: to and from a link, and as the API takes it.

/**
 * @typedef {object} Query
 * @property {string} words
 * @property {string[]} like     items to be like
 * @property {string[]} unlike   items not to be like
 * @property {Record<string, string[]>} chosen   values by field, of FACETS
 * @property {[number, number] | null} price     lowest and highest
 * @property {string} sort       "", "price-up" or "price-down"
 */

/** Fields whose values can be chosen. */
export const FACETS = ["category", "brand"];
export const SORTS = ["", "price-up", "price-down"];

// "Not like this" steers; at full weight it would drown what was asked for.
const UNLIKE_WEIGHT = -0.5;

/** @returns {Query} */
export function emptyQuery() {
  return { words: "", like: [], unlike: [], chosen: {}, price: null, sort: "" };
}

/** Whether there is something to be like. @param {Query} query @param {boolean} hasPicture */
export function hasSubject(query, hasPicture) {
  return hasPicture || query.words !== "" || query.like.length > 0;
}

/** @param {Query} query */
export function filterCount(query) {
  const values = Object.values(query.chosen).reduce((n, chosen) => n + chosen.length, 0);
  return values + (query.price ? 1 : 0);
}

/** @param {Query} query @returns {Query} */
export function withoutFilters(query) {
  return { ...query, chosen: {}, price: null };
}

/** The query as a link's search part; a picture cannot be in it. @param {Query} query */
export function toLink(query) {
  const link = new URLSearchParams();
  if (query.words) link.set("q", query.words);
  for (const id of query.like) link.append("like", id);
  for (const id of query.unlike) link.append("unlike", id);
  for (const field of FACETS) {
    for (const value of query.chosen[field] ?? []) link.append(field, value);
  }
  if (query.price) link.set("price", query.price.join("-"));
  if (query.sort) link.set("sort", query.sort);
  const text = link.toString();
  return text && `?${text}`;
}

/** What a link asks for; whatever makes no sense in it is left out. @param {string} search */
export function fromLink(search) {
  const link = new URLSearchParams(search);
  const query = emptyQuery();
  query.words = (link.get("q") ?? "").trim();
  query.like = link.getAll("like");
  query.unlike = link.getAll("unlike");
  for (const field of FACETS) {
    const values = link.getAll(field);
    if (values.length) query.chosen[field] = values;
  }
  const bounds = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(link.get("price") ?? "");
  if (bounds) query.price = [Number(bounds[1]), Number(bounds[2])];
  const sort = link.get("sort") ?? "";
  query.sort = SORTS.includes(sort) ? sort : "";
  return query;
}

/**
 * The API's query parts. `picture` is the part that stands for the shopper's picture, if any.
 * @param {Query} query
 * @param {object | null} picture
 */
export function partsOf(query, picture) {
  return [
    ...(picture ? [picture] : []),
    ...(query.words ? [{ text: query.words }] : []),
    ...query.like.map((item) => ({ item })),
    ...query.unlike.map((item) => ({ item, weight: UNLIKE_WEIGHT })),
  ];
}

/** The API's filter, or undefined. Items that are named in the query are no news. @param {Query} query */
export function filterOf(query) {
  const must = [];
  for (const [key, any] of Object.entries(query.chosen)) {
    if (any.length) must.push({ key, match: { any } });
  }
  if (query.price) must.push({ key: "price", range: { gte: query.price[0], lte: query.price[1] } });
  const named = [...query.like, ...query.unlike];
  const must_not = named.length ? [{ key: "id", match: { any: named } }] : [];
  return must.length || must_not.length ? { must, must_not } : undefined;
}

/** The same for queries that differ in filters and order only. @param {Query} query */
export function subjectKey(query) {
  return JSON.stringify([query.words, query.like, query.unlike]);
}
