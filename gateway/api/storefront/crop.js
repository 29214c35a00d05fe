// A box on the shopper's picture: drawn with a pointer, or moved and sized with the keyboard.

/** @typedef {[number, number, number, number]} Box left, top, right, bottom; 0 to 1 */

const CORNERS = { nw: "Top left corner", ne: "Top right corner", sw: "Bottom left corner", se: "Bottom right corner" };
/** Where a box begins that is not drawn. @type {Box} */
const FIRST = [0.2, 0.2, 0.8, 0.8];
const LEAST = 0.06;
const STEP = 0.02;
const LONG_STEP = 0.1;
// Somebody who holds an arrow key down wants one search, at the end.
const REST_MS = 500;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const within = (value, least, most) => Math.min(Math.max(value, least), most);

export class CropBox {
  /**
   * @param {HTMLElement} frame   the element that the picture fills
   * @param {(box: Box | null) => void} changed   called when a change is done, not during it
   */
  constructor(frame, changed) {
    this.frame = frame;
    this.changed = changed;
    /** @type {Box | null} */
    this.box = null;
    this.#outline = this.#build();
    frame.append(this.#outline);
    frame.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  #outline;
  #rest = 0;

  /** Shows a box, or none. @param {Box | null} box */
  set(box) {
    this.box = box;
    this.#draw();
  }

  /** Begins or ends cropping by a button: the box can then be moved without a pointer. */
  toggle() {
    this.set(this.box ? null : [...FIRST]);
    if (this.box) this.#outline.querySelector("[data-grip=move]").focus();
    this.changed(this.box);
  }

  #build() {
    const outline = document.createElement("div");
    outline.className = "crop";
    outline.hidden = true;
    for (const [grip, label] of [["move", "Part of the picture"], ...Object.entries(CORNERS)]) {
      const handle = document.createElement("button");
      handle.type = "button";
      handle.dataset.grip = grip;
      handle.setAttribute("aria-label", label);
      handle.setAttribute("aria-describedby", "crop-keys");
      handle.addEventListener("keydown", (event) => this.#key(event, grip));
      outline.append(handle);
    }
    return outline;
  }

  #draw() {
    this.#outline.hidden = !this.box;
    if (!this.box) return;
    const [left, top, right, bottom] = this.box.map((side) => side * 100);
    Object.assign(this.#outline.style, {
      left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%`,
    });
  }

  /** @param {PointerEvent} event */
  #grab(event) {
    const grip = event.target.closest?.("[data-grip]")?.dataset.grip;
    // A finger on the bare picture scrolls the page; the button beside it makes a box.
    if (event.button !== 0 || (!grip && event.pointerType === "touch")) return;
    event.preventDefault();
    const start = this.#at(event);
    const before = this.box;
    const move = (/** @type {PointerEvent} */ now) => this.set(dragged(before, grip, start, this.#at(now)));
    const end = () => {
      this.frame.removeEventListener("pointermove", move);
      this.frame.removeEventListener("pointerup", end);
      this.frame.removeEventListener("pointercancel", end);
      if (this.box && tooSmall(this.box)) this.set(before);
      if (String(this.box) !== String(before)) this.changed(this.box);
    };
    this.frame.setPointerCapture(event.pointerId);
    this.frame.addEventListener("pointermove", move);
    this.frame.addEventListener("pointerup", end);
    this.frame.addEventListener("pointercancel", end);
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  #at(event) {
    const edge = this.frame.getBoundingClientRect();
    return [
      within((event.clientX - edge.left) / edge.width, 0, 1),
      within((event.clientY - edge.top) / edge.height, 0, 1),
    ];
  }

  /** @param {KeyboardEvent} event @param {string} grip */
  #key(event, grip) {
    if (event.key === "Escape") {
      event.preventDefault();
      clearTimeout(this.#rest);
      this.set(null);
      this.changed(null);
      return;
    }
    const way = ARROWS[event.key];
    if (!way || !this.box) return;
    event.preventDefault();
    const step = event.shiftKey ? LONG_STEP : STEP;
    this.set(nudged(this.box, grip, way[0] * step, way[1] * step));
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.changed(this.box), REST_MS);
  }
}

/** @param {Box} box */
const tooSmall = ([left, top, right, bottom]) => right - left < LEAST || bottom - top < LEAST;

/**
 * The box after a pointer went from `start` to `now`.
 * @param {Box | null} box @param {string | undefined} grip
 * @param {[number, number]} start @param {[number, number]} now
 * @returns {Box}
 */
function dragged(box, grip, start, now) {
  if (!box || !grip) {
    return [
      Math.min(start[0], now[0]), Math.min(start[1], now[1]),
      Math.max(start[0], now[0]), Math.max(start[1], now[1]),
    ];
  }
  return nudged(box, grip, now[0] - start[0], now[1] - start[1]);
}

/**
 * The box with one grip moved; inside the picture, and never too small.
 * @param {Box} box @param {string} grip @param {number} dx @param {number} dy
 * @returns {Box}
 */
function nudged([left, top, right, bottom], grip, dx, dy) {
  if (grip === "move") {
    const x = within(dx, -left, 1 - right);
    const y = within(dy, -top, 1 - bottom);
    return [left + x, top + y, right + x, bottom + y];
  }
  return [
    grip.includes("w") ? within(left + dx, 0, right - LEAST) : left,
    grip.includes("n") ? within(top + dy, 0, bottom - LEAST) : top,
    grip.includes("e") ? within(right + dx, left + LEAST, 1) : right,
    grip.includes("s") ? within(bottom + dy, top + LEAST, 1) : bottom,
  ];
}
