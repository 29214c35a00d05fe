// The page: what is searched for, and where what was found goes.

import { Api, Problem, fill } from "./api.js";
import { CropBox } from "./crop.js";
import { byId, icon, make, show } from "./dom.js";
import { Filters } from "./filters.js";
import { counted, kilobytes } from "./format.js";
import { noticeOf, troubleOf } from "./messages.js";
import { Picture } from "./picture.js";
import { emptyQuery, filterCount, fromLink, hasSubject, toLink, withoutFilters } from "./query.js";
import { card, showTimings, skeletons, sorted } from "./results.js";
import { Search } from "./search.js";

/** @typedef {import("./query.js").Query} Query */

// A quick answer should not flicker: only a slow one is announced.
const PATIENCE_MS = 150;
const SHELF_SIZE = 12;
const WIDE = matchMedia("(min-width: 60rem)");

class Page {
  api = new Api();
  search = new Search(this.api);
  /** @type {Query} */
  query = emptyQuery();
  /** @type {Picture | null} */
  picture = null;
  /** For the browser's Back: a picture cannot be in an address. @type {Map<number, Picture>} */
  pictures = new Map();
  /** Titles of items that the query names. @type {Map<string, string>} */
  titles = new Map();
  filters = new Filters((change) => this.go({ ...this.query, ...change }, this.picture));
  crop = new CropBox(byId("frame"), (box) => this.#cropped(box));

  start() {
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#typed();
    });
    byId("choose").addEventListener("click", () => byId("file").click());
    byId("replace").addEventListener("click", () => byId("file").click());
    byId("remove").addEventListener("click", () => this.go(this.query, null, "title"));
    byId("crop").addEventListener("click", () => this.crop.toggle());
    byId("link").addEventListener("click", () => this.#copyLink());
    byId("more").addEventListener("click", () => this.#more());
    byId("sort").addEventListener("change", (event) => this.#sort(event.target.value));
    byId("home").addEventListener("click", (event) => {
      event.preventDefault();
      this.go(emptyQuery(), null);
    });
    byId("skip").addEventListener("click", (event) => {
      event.preventDefault(); // a step to #main would be one in the history, without the picture
      byId(byId("main").dataset.view === "start" ? "start-title" : "results-title").focus();
    });
    for (const button of document.querySelectorAll("[data-pick]")) {
      button.addEventListener("click", () => byId(button.dataset.pick).click());
    }
    for (const id of ["file", "camera"]) {
      byId(id).addEventListener("change", (event) => {
        const [file] = event.target.files;
        event.target.value = ""; // so that the same file can be chosen again
        if (file) this.take(file);
      });
    }
    this.#takeDropped();
    addEventListener("popstate", (event) => this.#restore(event.state));
    new IntersectionObserver(([seen]) => {
      // Sorted by price, a new page would push its cards in among those being looked at.
      if (seen.isIntersecting && !this.query.sort) this.#more();
    }, { rootMargin: "600px" }).observe(byId("more"));
    byId("filters").open = WIDE.matches;
    WIDE.addEventListener("change", () => { byId("filters").open = WIDE.matches; });
    this.#restore(history.state);
  }

  /**
   * Searches for something else, as a step that Back undoes.
   * @param {Query} query @param {Picture | null} picture @param {"title" | null} [focus]
   */
  go(query, picture, focus = null) {
    this.query = query;
    this.picture = picture;
    if (picture) this.pictures.set(picture.id, picture);
    const state = { picture: picture?.id ?? null, box: picture?.box ?? null };
    history.pushState(state, "", toLink(query) || location.pathname);
    return this.run(focus);
  }

  /** A picture from wherever it came. @param {Blob} file */
  async take(file) {
    const picture = new Picture(file);
    try {
      await picture.open();
    } catch {
      this.#refusePicture();
      return;
    }
    show(byId("start-problem"), false);
    const words = byId("words").value.trim();
    await this.go({ ...emptyQuery(), words, sort: this.query.sort }, picture, "title");
  }

  /**
   * Asks, and shows what comes.
   * @param {"title" | null} [focus] @param {boolean} [wordsAlone]
   */
  async run(focus = null, wordsAlone = false) {
    const searching = hasSubject(this.query, this.picture !== null);
    byId("main").dataset.view = searching ? "results" : "start";
    for (const id of ["side", "results"]) show(byId(id), searching);
    show(byId("start"), !searching);
    byId("words").value = this.query.words;
    byId("sort").value = this.query.sort;
    show(byId("link-note"), false);
    document.title = searching ? `${this.#title()} – Lookalike` : "Lookalike";
    if (!searching) return this.#shelf();
    byId("results-title").textContent = this.#title();
    this.#showSubject();
    this.#showChosen();
    if (focus) {
      scrollTo({ top: 0 });
      byId("results-title").focus({ preventScroll: true });
    }
    await this.#ask(wordsAlone);
  }

  async #ask(wordsAlone) {
    const grid = byId("grid");
    const slow = setTimeout(() => {
      grid.setAttribute("aria-busy", "true");
      if (!grid.children.length) grid.replaceChildren(...skeletons(SHELF_SIZE));
      this.#say("Searching");
    }, PATIENCE_MS);
    try {
      const found = await this.search.first(this.query, this.picture, wordsAlone);
      clearTimeout(slow);
      this.#showFound(found, wordsAlone);
    } catch (problem) {
      clearTimeout(slow);
      if (problem.name === "AbortError") return;
      this.#showTrouble(problem);
    }
    grid.removeAttribute("aria-busy");
  }

  #showFound({ answer, range, tookS }, wordsAlone) {
    show(byId("trouble"), false);
    this.#remember(this.search.hits);
    this.filters.show(range, this.query);
    this.#showNotice(answer, wordsAlone);
    this.#showHits();
    show(byId("timings"), true);
    showTimings(byId("timing-bar"), byId("timing-text"), answer.timings ?? {}, tookS);
    byId("release").textContent = `${answer.release} · ${answer.mode}`;
    const first = this.search.hits[0];
    const count = counted(this.search.hits.length, "result", "results");
    this.#say(first ? `${count}. First: ${first.item.title ?? first.id}.` : "Nothing found.");
  }

  #showHits() {
    const hits = sorted(this.search.hits, this.query.sort);
    byId("grid").replaceChildren(...hits.map((hit) => this.#card(hit)));
    this.#showEnd();
  }

  #showEnd() {
    const n = this.search.hits.length;
    show(byId("more"), n > 0 && !this.search.atEnd);
    byId("sort-note").textContent = this.query.sort
      ? `Sorted by price among the ${n} most alike.${this.search.atEnd ? "" : " Show more to sort more."}`
      : "";
  }

  #card(hit) {
    return card(this.api, hit, { like: (it) => this.#like(it), unlike: (it) => this.#unlike(it) }, "h2");
  }

  async #more() {
    try {
      const fresh = await this.search.more();
      if (!fresh) return;
      this.#remember(fresh);
      if (this.query.sort) this.#showHits();
      else byId("grid").append(...fresh.map((hit) => this.#card(hit)));
      this.#showEnd();
      this.#say(`${this.search.hits.length} results shown.`);
    } catch (problem) {
      // What is there stays; the button remains to try again.
      if (problem.name !== "AbortError") this.#say(problem.message);
    }
  }

  #like(hit) {
    this.titles.set(hit.id, hit.item.title);
    this.go({ ...emptyQuery(), like: [hit.id] }, null, "title");
  }

  #unlike(hit) {
    this.titles.set(hit.id, hit.item.title);
    const unlike = [...this.query.unlike, hit.id];
    this.go({ ...this.query, unlike }, this.picture, "title");
  }

  #typed() {
    const words = byId("words").value.trim();
    if (!words && !this.picture && !this.query.like.length) {
      byId("words").focus();
      return;
    }
    // Filters belong to what was looked for before.
    const query = words === this.query.words ? this.query : withoutFilters(this.query);
    this.go({ ...query, words }, this.picture);
  }

  #sort(sort) {
    this.query = { ...this.query, sort };
    history.replaceState(history.state, "", toLink(this.query) || location.pathname);
    this.#showHits();
    this.#say(byId("sort-note").textContent || "Sorted by likeness.");
  }

  #cropped(box) {
    if (!this.picture) return;
    this.picture.box = box;
    this.go(withoutFilters(this.query), this.picture);
  }

  /** What the address and the browser's history say. */
  #restore(state) {
    this.query = fromLink(location.search);
    this.picture = this.pictures.get(state?.picture) ?? null;
    if (this.picture) this.picture.box = state.box;
    this.run();
  }

  #showSubject() {
    show(byId("subject"), this.picture !== null);
    if (!this.picture) return;
    const { url, box } = this.picture;
    byId("preview").src = url;
    byId("preview").alt = "The picture that you gave";
    this.crop.set(box);
    byId("crop").setAttribute("aria-pressed", String(box !== null));
    byId("crop").querySelector("span").textContent = box ? "Whole picture" : "Search a part";
    this.picture.searched().then(({ width, height, bytes }) => {
      byId("sent").textContent = `Sent: ${width} × ${height} pixels, ${kilobytes(bytes)}`;
    });
  }

  #showChosen() {
    const chips = [
      ...this.query.like.map((id) => this.#chosenChip("like", id)),
      ...this.query.unlike.map((id) => this.#chosenChip("unlike", id)),
    ];
    byId("chosen").replaceChildren(...chips);
    show(byId("chosen"), chips.length > 0);
  }

  /** @param {"like" | "unlike"} list @param {string} id */
  #chosenChip(list, id) {
    const title = this.#titleOf(id);
    const said = list === "like" ? `Like ${title}` : `Not like ${title}`;
    const without = () => {
      const rest = this.query[list].filter((other) => other !== id);
      this.go({ ...this.query, [list]: rest }, this.picture, "title");
    };
    const thumbnail = make("img", { alt: "", width: 28, height: 28, sizes: "28px" });
    fill(thumbnail, this.api, { id, item: {} }, [160]);
    return make("li", { class: list }, thumbnail, make("span", {}, said),
      make("button", { type: "button", class: "bare", "aria-label": `Remove: ${said}`, onclick: without }, icon("close")));
  }

  #title() {
    const subjects = [
      this.picture && (this.picture.box ? "that part of your picture" : "your picture"),
      ...this.query.like.map((id) => this.#titleOf(id)),
    ].filter(Boolean);
    const words = this.query.words && `“${this.query.words}”`;
    if (!subjects.length) return words;
    return `Like ${subjects.join(" and ")}${words ? `, and ${words}` : ""}`;
  }

  /** An item's title; asked for if the item came with the link. @param {string} id */
  #titleOf(id) {
    const known = this.titles.get(id);
    if (known !== undefined) return known;
    this.titles.set(id, id);
    this.api.item(id).then((item) => {
      this.titles.set(id, item.title);
      byId("results-title").textContent = this.#title();
      this.#showChosen();
    }).catch(() => {}); // the id will do
    return id;
  }

  #remember(hits) {
    for (const hit of hits) this.titles.set(hit.id, hit.item.title ?? hit.id);
  }

  #showNotice(answer, wordsAlone) {
    const told = noticeOf({
      answer,
      wordsAlone,
      filtered: filterCount(this.query) > 0,
      clear: () => this.go(withoutFilters(this.query), this.picture, "title"),
      retry: () => this.run("title"),
    });
    const notice = byId("notice");
    show(notice, told !== null);
    if (!told) return;
    notice.dataset.tone = told.tone;
    notice.replaceChildren(make("h2", {}, told.title), make("p", {}, ...told.content));
  }

  #showTrouble(problem) {
    if (!(problem instanceof Problem)) throw problem;
    for (const id of ["notice", "more", "timings"]) show(byId(id), false);
    byId("sort-note").textContent = "";
    byId("grid").replaceChildren();
    const useKey = (key) => {
      this.api.useKey(key);
      this.run("title");
    };
    const ways = {
      retry: () => this.run("title"),
      useKey,
      byWords: this.query.words ? () => this.run("title", true) : null,
    };
    byId("trouble").replaceChildren(...troubleOf(problem, ways));
    show(byId("trouble"), true);
  }

  #refusePicture() {
    const said = "This browser cannot read that file as a picture. JPEG, PNG and WebP always work.";
    byId("start-problem").textContent = said;
    show(byId("start-problem"), true);
    if (byId("main").dataset.view === "results") this.#showTrouble(new Problem(422, { detail: said }));
  }

  async #copyLink() {
    const hasMore = hasSubject(this.query, false);
    const note = byId("link-note");
    show(note, true);
    if (this.picture && !hasMore) {
      note.textContent = "A picture cannot be in a link, and this search has nothing else. Add words, or begin from an item.";
      return;
    }
    const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    const rest = this.picture ? " The picture is not in it: a link can hold words, items and filters." : "";
    note.textContent = `${copied ? "Link copied." : location.href}${rest}`;
    this.#say(note.textContent);
  }

  /** A few things to begin with: neighbours of a random direction, whatever the model. */
  async #shelf() {
    if (byId("shelf-items").children.length) return;
    try {
      const release = await this.api.release();
      byId("release").textContent = release.name;
      const [, dim] = release.outputs[0].shape;
      const vector = Array.from({ length: dim }, () => Math.random() - 0.5);
      const answer = await this.api.search({
        query: [{ vector }], limit: SHELF_SIZE, diversity: 0.9, fields: ["title", "price", "pictures"],
      });
      const wishes = { like: (hit) => this.#like(hit), unlike: null };
      byId("shelf-items").replaceChildren(...answer.hits.map((hit) => card(this.api, hit, wishes, "h3")));
      show(byId("shelf"), answer.hits.length > 0);
    } catch {
      // An empty shop, or none that answers: the search itself will say what is wrong.
    }
  }

  #takeDropped() {
    let over = 0;
    const hasFile = (event) => event.dataTransfer?.types.includes("Files");
    const mark = (change) => {
      over = Math.max(0, over + change);
      document.body.toggleAttribute("data-dragging", over > 0);
    };
    addEventListener("dragenter", (event) => hasFile(event) && mark(1));
    addEventListener("dragleave", (event) => hasFile(event) && mark(-1));
    addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!hasFile(event)) return;
      event.preventDefault();
      mark(-over);
      const [file] = event.dataTransfer.files;
      if (file) this.take(file);
    });
    addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
      if (!file) return;
      event.preventDefault();
      this.take(file);
    });
  }

  #say(text) {
    byId("status").textContent = text;
  }
}

new Page().start();
