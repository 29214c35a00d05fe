"""Whether exported graphs give the vectors that PyTorch gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportRefused
from gateway.domain.loaded_release import Golden
from gateway.domain.release import PARITY_FLOOR, Precision
from gateway.domain.vectors import Batch, cosine

# Batch sizes that show an axis which was traced as a constant: 1 is special to most exporters,
# 2 is the example's own, 3 and 17 are neither a power of two nor a divisor of anything.
BATCH_SIZES = (1, 2, 3, 17)

# Least cosine between PyTorch and ONNX Runtime on this machine. fp32 graphs that are right give
# 0.999999 and more. Of the others no more can be asked than of a live server.
EXPORT_FLOOR: Mapping[Precision, float] = {**PARITY_FLOOR, Precision.FP32: 0.9999}

Rows = NDArray[np.uint8] | NDArray[np.int64]
Tower = Callable[[Rows], Batch]


@dataclass(frozen=True, slots=True)
class TowerParity:
    """The least cosine over all golden inputs, batch sizes and row lengths, and how many batches
    that were."""

    least_cosine: float
    batches: int


def image_parity(tower: Tower, golden: Golden) -> TowerParity:
    """Compares the image tower at every batch size."""
    return _parity(tower, _batches(golden.images, golden.image_vectors))


def text_parity(tower: Tower, golden: Golden, buckets: tuple[int, ...], pad_id: int) -> TowerParity:
    """Compares the text tower at every batch size and bucket, each with the texts that fit it."""
    return _parity(tower, _text_batches(golden, buckets, pad_id))


def require(parity: TowerParity, tower: str, precision: Precision) -> None:
    """Raises ExportRefused if the tower's vectors are not PyTorch's."""
    floor = EXPORT_FLOOR[precision]
    if not parity.least_cosine >= floor:  # NaN fails too
        raise ExportRefused(
            f"The {tower} tower's graph does not give PyTorch's vectors: the least cosine is "
            f"{parity.least_cosine:.6f}, below {floor}, the limit for {precision}."
        )


def _parity(tower: Tower, batches: Iterator[tuple[Rows, Batch]]) -> TowerParity:
    least = [float(cosine(tower(rows), expected).min()) for rows, expected in batches]
    return TowerParity(least_cosine=float(np.min(least)), batches=len(least))


def _batches(rows: Rows, vectors: Batch) -> Iterator[tuple[Rows, Batch]]:
    """Every row at least once, in batches of each size; short sets are gone round again."""
    for size in BATCH_SIZES:
        for start in range(0, len(rows), size):
            chosen = np.arange(start, start + size) % len(rows)
            yield rows[chosen], vectors[chosen]


def _text_batches(
    golden: Golden, buckets: tuple[int, ...], pad_id: int
) -> Iterator[tuple[Rows, Batch]]:
    lengths = np.array([_length(row, pad_id) for row in golden.texts])
    for bucket in buckets:
        fits = lengths <= bucket
        yield from _batches(
            np.ascontiguousarray(golden.texts[fits, :bucket]), golden.text_vectors[fits]
        )


def _length(row: NDArray[np.int64], pad_id: int) -> int:
    """Tokens before the padding that closes the row."""
    used = np.flatnonzero(row != pad_id)
    return int(used[-1]) + 1 if len(used) else 1
