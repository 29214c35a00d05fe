// The gateway's API, as far as this page uses it.

const KEY = "lookalike-key";

/** Why there is no answer: the API's problem detail, or that nothing answered at all. */
export class Problem extends Error {
  /** @param {number} status 0: no connection @param {Record<string, any>} body @param {number} [retryAfterS] */
  constructor(status, body, retryAfterS = 0) {
    super(body.detail || body.title || "There was no answer.");
    this.status = status;
    this.requestId = body.request_id ?? "";
    this.retryAfterS = retryAfterS;
  }
}

/** One gateway: the one that this page came from. */
export class Api {
  /** The key that the shopper gave, if the gateway wants one. */
  get key() {
    return sessionStorage.getItem(KEY);
  }

  /** Remembers a key for as long as this tab lives. @param {string} key */
  useKey(key) {
    sessionStorage.setItem(KEY, key);
  }

  /**
   * @param {Record<string, any>} body
   * @param {AbortSignal} [signal]
   * @returns {Promise<Record<string, any>>}
   */
  search(body, signal) {
    const headers = { "Content-Type": "application/json" };
    return this.#call("v1/search", { method: "POST", body: JSON.stringify(body), headers, signal });
  }

  /** @param {string} id */
  item(id) {
    return this.#call(`v1/items/${path(id)}`, {});
  }

  /** What answers at the moment. */
  release() {
    return this.#call("v1/releases/active", {});
  }

  /** @param {string} url @returns {Promise<Blob>} */
  async picture(url) {
    const response = await this.#fetch(url, {});
    if (!response.ok) throw new Problem(response.status, {});
    return response.blob();
  }

  /** @param {string} url @param {RequestInit} options */
  #fetch(url, options) {
    const shown = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    return fetch(url, { ...options, headers: { ...options.headers, ...shown } });
  }

  /** @param {string} url @param {RequestInit} options */
  async #call(url, options) {
    let response;
    try {
      response = await this.#fetch(url, options);
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
 * Puts an item's picture into an `<img>`; it is fetched when it comes near the screen. An `<img>`
 * shows no key: where one is needed, the page fetches the picture for it.
 * @param {HTMLImageElement} image @param {Api} api @param {any} hit @param {number[]} widths
 */
export async function fill(image, api, hit, widths) {
  if (!api.key) {
    image.srcset = widths.map((side) => `${pictureUrl(hit, side)} ${side}w`).join(", ");
    return;
  }
  try {
    const picture = await api.picture(pictureUrl(hit, widths[widths.length >> 1]));
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    image.src = URL.createObjectURL(picture);
  } catch {
    image.dispatchEvent(new Event("error"));
  }
}

/**
 * Where a picture of an item is.
 * @param {{id: string, picture?: string, item: {pictures?: string[]}}} hit
 * @param {number} width
 */
function pictureUrl(hit, width) {
  const number = Math.max(0, (hit.item.pictures ?? []).indexOf(hit.picture ?? ""));
  return `v1/pictures/${path(hit.id)}?number=${number}&width=${width}`;
}

/** An id in a URL's path; its slashes stay. @param {string} id */
const path = (id) => id.split("/").map(encodeURIComponent).join("/");
