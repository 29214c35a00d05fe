"""Which products, pictures and texts make up each step.

Every draw is a function of (seed, step) alone. A run that was killed therefore goes on exactly
where it was: there is no sampler state to save, only the number of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.finetune.options import Schedule
from export.finetune.pairs import Product

_ORDER, _CHOICE = 1, 2


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's draw.

    Attributes:
        rows: numbers of the pictures' rows, int64 [products, pictures_per_product].
        texts: one text for each product.
        alike: bool [products, products]; true where two must not be negatives of each other.
    """

    rows: NDArray[np.int64]
    texts: tuple[str, ...]
    alike: NDArray[np.bool_]


def batch_at(step: int, products: Sequence[Product], schedule: Schedule) -> Batch:
    """The batch of one step, counted from 0.

    Products come from an endless row of permutations, so all are seen equally often, whatever the
    number of their pictures. A batch may reach over the end of a permutation; a product that is
    then in it twice is alike to itself.
    """
    size = schedule.products_per_batch
    chosen = _stream(step * size, size, len(products), schedule.seed)
    rng = np.random.default_rng((schedule.seed, _CHOICE, step))
    rows = [_pictures(products[i], schedule.pictures_per_product, rng) for i in chosen]
    texts = tuple(products[i].texts[rng.integers(len(products[i].texts))] for i in chosen)
    return Batch(np.stack(rows), texts, _alike(chosen, texts, products))


def _stream(start: int, size: int, count: int, seed: int) -> list[int]:
    taken: list[int] = []
    while len(taken) < size:
        turn, offset = divmod(start + len(taken), count)
        order = np.random.default_rng((seed, _ORDER, turn)).permutation(count)
        taken += order[offset : offset + size - len(taken)].tolist()
    return taken


def _pictures(product: Product, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Different pictures where the product has enough; else the same again, changed anew."""
    rows, weights = np.asarray(product.rows, dtype=np.int64), np.asarray(product.weights)
    picked = rng.choice(rows, min(wanted, len(rows)), replace=False, p=weights / weights.sum())
    return np.resize(picked, wanted)


def _alike(
    chosen: Sequence[int], texts: Sequence[str], products: Sequence[Product]
) -> NDArray[np.bool_]:
    owned = [frozenset(products[i].texts) for i in chosen]
    described = np.array([[text in texts_of for text in texts] for texts_of in owned])
    ids = np.asarray(chosen)
    same: NDArray[np.bool_] = described | described.T | (ids[:, None] == ids[None, :])
    return same
