"""A shop's own pictures and texts, to calibrate int8 with and to judge a precision by."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportRefused
from export.finetune.pairs import Product, Row, products_of, read_rows
from gateway.domain.errors import InvalidQuery
from gateway.domain.release import ImageTower
from gateway.preprocess.image import PictureLimits, decode_to_pixels
from gateway.preprocess.text import TextTokenizer

HELDOUT_SHARE = 0.2  # of the products, where the file does not say

MOST_CALIBRATION_PICTURES = 256  # more did not help the sample model
MOST_JUDGED_PICTURES = 1_000  # a minute of ViT-B-32 on two cores, in fp32 and once more in int8
LEAST_JUDGED_PRODUCTS = 200  # below, one query that is lost is more than the limit of 0.005
MOST_TEXTS = 4  # of a product
BATCH = 8


@dataclass(frozen=True, slots=True)
class Examples:
    """What the towers take, of several products.

    - `pixels`: UINT8 `[pictures, height_px, width_px, 3]`, prepared as the gateway does
    - `groups`: INT64 `[pictures]`, the product of each, counting from 0
    - `texts`: rows of tokens, INT64 `[tokens]`, each padded to its bucket
    - `text_groups`: INT64 `[texts]`, the product of each
    """

    pixels: NDArray[np.uint8]
    groups: NDArray[np.int64]
    texts: tuple[NDArray[np.int64], ...]
    text_groups: NDArray[np.int64]

    def image_batches(self) -> Iterator[NDArray[np.uint8]]:
        """The pictures, `[up to BATCH, height_px, width_px, 3]`."""
        for start in range(0, len(self.pixels), BATCH):
            yield self.pixels[start : start + BATCH]

    def text_batches(self) -> Iterator[tuple[list[int], NDArray[np.int64]]]:
        """The texts of one length at a time: their numbers, and `[up to BATCH, tokens]`."""
        by_length: dict[int, list[int]] = defaultdict(list)
        for number, row in enumerate(self.texts):
            by_length[len(row)].append(number)
        for numbers in by_length.values():
            for start in range(0, len(numbers), BATCH):
                chosen = numbers[start : start + BATCH]
                yield chosen, np.stack([self.texts[number] for number in chosen])


@dataclass(frozen=True, slots=True)
class ExampleSets:
    """Products to calibrate with, and others to judge by."""

    calibration: Examples
    judged: Examples


def read_examples(pairs: Path, image: ImageTower, tokenizer: TextTokenizer) -> ExampleSets:
    """Reads a file of pairs as `lookalike-export finetune` takes it; its held-out rows are judged.

    Of a long file, products are taken at even distances. Raises BadPairs for what cannot be read,
    and ExportRefused for a file that is too small.
    """
    rows = read_rows(pairs, HELDOUT_SHARE)
    train = products_of((i, row) for i, row in enumerate(rows) if not row.held_out)
    held_out = products_of((i, row) for i, row in enumerate(rows) if row.held_out)
    if not train or len(held_out) < LEAST_JUDGED_PRODUCTS:
        raise ExportRefused(
            f"{pairs} has {len(train)} products to calibrate with and {len(held_out)} held out to "
            f"judge by; it needs at least 1 and {LEAST_JUDGED_PRODUCTS}."
        )
    return ExampleSets(
        _prepared(_spread(train, MOST_CALIBRATION_PICTURES, 1), rows, image, tokenizer),
        _prepared(
            _spread(held_out, MOST_JUDGED_PICTURES, LEAST_JUDGED_PRODUCTS), rows, image, tokenizer
        ),
    )


def _spread(
    products: Sequence[Product], most_pictures: int, least_products: int
) -> Sequence[Product]:
    """Every n-th product, for no more pictures than that, unless too few products would be left."""
    pictures = sum(len(product.rows) for product in products)
    wanted = math.ceil(pictures / most_pictures)
    return products[:: max(1, min(wanted, len(products) // least_products))]


def _prepared(
    products: Sequence[Product], rows: Sequence[Row], image: ImageTower, tokenizer: TextTokenizer
) -> Examples:
    pixels = [_pixels(rows[number].image, image) for product in products for number in product.rows]
    texts = [product.texts[:MOST_TEXTS] for product in products]
    everyone = np.arange(len(products))
    return Examples(
        pixels=np.stack(pixels),
        groups=np.repeat(everyone, [len(product.rows) for product in products]),
        texts=tuple(tokenizer.encode(text) for some in texts for text in some),
        text_groups=np.repeat(everyone, [len(some) for some in texts]),
    )


def _pixels(path: Path, image: ImageTower) -> NDArray[np.uint8]:
    try:
        return decode_to_pixels(path.read_bytes(), image, PictureLimits())
    except OSError as exc:
        raise ExportRefused(f"{path} cannot be read: {exc.strerror}.") from exc
    except InvalidQuery as exc:
        raise ExportRefused(f"{path} cannot be used: {exc.detail}") from exc
