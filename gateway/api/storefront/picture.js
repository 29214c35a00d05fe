// The shopper's picture: scaled in the browser, whole or in part, before anything is sent.

/** @typedef {[number, number, number, number]} Box left, top, right, bottom; 0 to 1 */

// More than most towers look at, and a few dozen kB for a photo of any size.
export const MOST_PX = 512;
const JPEG_QUALITY = 0.85;

let made = 0;

/** A picture that the shopper gave, and what the API has said of it. */
export class Picture {
  /** @param {Blob} file */
  constructor(file) {
    this.id = ++made;
    this.file = file;
    /** @type {Box | null} */
    this.box = null;
    /** What the API can search by again without the picture, by part and query. */
    this.tokens = new Map();
    /** @type {Map<string, Promise<Scaled>>} */
    this.#scaled = new Map();
    this.url = "";
  }

  /** @type {Map<string, Promise<Scaled>>} */
  #scaled;

  /** The name of the part that is searched. */
  get part() {
    return this.box ? this.box.map((side) => side.toFixed(3)).join(",") : "whole";
  }

  /** The whole picture, to look at. Rejects if the browser cannot read the file. */
  async open() {
    const whole = await this.#scale("whole", null);
    this.url = whole.dataUri;
  }

  /** The part that is searched, ready to be sent. @returns {Promise<Scaled>} */
  searched() {
    return this.#scale(this.part, this.box);
  }

  /** @param {string} part @param {Box | null} box */
  #scale(part, box) {
    const scaled = this.#scaled.get(part) ?? scale(this.file, box);
    this.#scaled.set(part, scaled);
    return scaled;
  }
}

/**
 * @typedef {object} Scaled
 * @property {string} dataUri
 * @property {number} width
 * @property {number} height
 * @property {number} bytes
 */

/**
 * The part of an upright picture inside `box`, no longer than MOST_PX a side, as JPEG on white. It
 * is cut from the file's own pixels, so that a small part is as sharp as the photo; and drawn
 * anew, so that nothing else that the file says is sent along.
 * @param {Blob} file
 * @param {Box | null} box
 * @returns {Promise<Scaled>}
 */
async function scale(file, box) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const [left, top, right, bottom] = box ?? [0, 0, 1, 1];
  const wide = Math.max(1, (right - left) * bitmap.width);
  const high = Math.max(1, (bottom - top) * bitmap.height);
  const ratio = Math.min(1, MOST_PX / Math.max(wide, high));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(wide * ratio));
  canvas.height = Math.max(1, Math.round(high * ratio));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(
    bitmap, left * bitmap.width, top * bitmap.height, wide, high, 0, 0, canvas.width, canvas.height,
  );
  bitmap.close();
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", JPEG_QUALITY));
  if (!blob) throw new Error("The browser could not encode the picture.");
  return { dataUri: await dataUri(blob), width: canvas.width, height: canvas.height, bytes: blob.size };
}

/** @param {Blob} blob @returns {Promise<string>} */
function dataUri(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}
