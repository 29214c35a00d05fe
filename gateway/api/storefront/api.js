// The gateway's API, as far as this page uses it.

const KEY = "lookalike-key";

// What the page can do without. A fleet that is being updated may answer from a gateway that does
// not know one of these yet.
const OPTIONAL = ["facets", "return_query", "diversity"];

/** Why there is no answer: the API's problem detail, or that nothing answered at all. */
export class Problem extends Error {
  /** @param {number} status 0: no connection @param {Record<string, any>} body @param {number} [retryAfterS] */
  constructor(status, body, retryAfterS = 0) {
    super(body.detail || body.title || "There was no answer.");
    this.status = status;
    this.code = String(body.type ?? "").split(":").pop();
    this.requestId = body.request_id ?? "";
    this.retryAfterS = retryAfterS;
    /** @type {string[]} */
    this.fields = (body.errors ?? [{ field: body.field }]).map((fault) => fault.field ?? "");
  }
}

/** One gateway: the one that this page came from. */
export class Api {
  /** @type {Set<string>} */
  #unknown = new Set();

  /** Remembers a key for as long as this tab lives. @param {string} key */
  useKey(key) {
    sessionStorage.setItem(KEY, key);
  }

  /**
   * @param {Record<string, any>} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<Record<string, any>>}
   */
  async search(body, signal) {
    const sent = Object.fromEntries(
      Object.entries(body).filter(([name]) => !this.#unknown.has(name)),
    );
    try {
      return await this.#call("v1/search", {
        method: "POST",
        body: JSON.stringify(sent),
        headers: { "Content-Type": "application/json" },
        signal,
      });
    } catch (problem) {
      const refused = OPTIONAL.filter(
        (name) => problem instanceof Problem && problem.status === 422 && name in sent &&
          problem.fields.includes(name),
      );
      if (!refused.length) throw problem;
      refused.forEach((name) => this.#unknown.add(name));
      return this.search(body, signal);
    }
  }

  /** @param {string} id */
  item(id) {
    return this.#call(`v1/items/${path(id)}`, {});
  }

  /** What answers at the moment. */
  release() {
    return this.#call("v1/releases/active", {});
  }

  /** @param {string} url @param {RequestInit} options */
  async #call(url, options) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
    let response;
    try {
      response = await fetch(url, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { detail: "The shop cannot be reached." });
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return body;
    throw new Problem(response.status, body, Number(response.headers.get("Retry-After")) || 0);
  }
}

/**
 * Where a picture of an item is.
 * @param {{id: string, picture?: string, item: {pictures?: string[]}}} hit
 * @param {number} width
 */
export function pictureUrl(hit, width) {
  const number = Math.max(0, (hit.item.pictures ?? []).indexOf(hit.picture ?? ""));
  return `pictures/${path(hit.id)}?number=${number}&width=${width}`;
}

/** An id in a URL's path; its slashes stay. @param {string} id */
const path = (id) => id.split("/").map(encodeURIComponent).join("/");
