// Numbers as people read them.

const price = new Intl.NumberFormat(undefined, {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});

/** A price in the shop's own currency, which the catalogue does not name. @param {number} value */
export const priceText = (value) => price.format(value);

/** A score: cosines near 1, fused ranks near 0.03. @param {number} value */
export const scoreText = (value) => value.toFixed(3);

/** @param {number} seconds */
export function milliseconds(seconds) {
  const ms = seconds * 1000;
  return `${ms < 9.95 ? ms.toFixed(1).replace(/\.0$/, "") : Math.round(ms)} ms`;
}

/** @param {number} bytes */
export const kilobytes = (bytes) => `${Math.max(1, Math.round(bytes / 1000))} kB`;

/** @param {number} n @param {string} one @param {string} many */
export const counted = (n, one, many) => `${n} ${n === 1 ? one : many}`;
