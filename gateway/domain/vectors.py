"""Embeddings and the arithmetic between them. Every vector here is one row of float32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.domain.errors import InvalidQuery

Vector = NDArray[np.float32]  # [dim], unit length unless said otherwise
Batch = NDArray[np.float32]  # [n, dim]

# Below this length a sum of unit vectors has no direction left that is more than rounding.
MIN_LENGTH = 1e-6


def unit(vector: Vector, *, field: str = "query") -> Vector:
    """`vector` scaled to length 1; InvalidQuery if it is not finite or has no direction."""
    if not np.all(np.isfinite(vector)):
        raise InvalidQuery("The vector holds NaN or infinite numbers.", field=field)
    length = float(np.linalg.norm(vector))
    if length < MIN_LENGTH:
        raise InvalidQuery("The vector is zero, so it points nowhere.", field=field)
    return (vector / np.float32(length)).astype(np.float32, copy=False)


def combine(vectors: Sequence[Vector], weights: Sequence[float]) -> Vector:
    """The weighted sum of unit vectors, scaled to length 1.

    Raises InvalidQuery when the parts cancel each other out.
    """
    if len(vectors) == 1 and weights[0] > 0:
        return vectors[0]
    return _scaled(np.asarray(weights, dtype=np.float32) @ np.stack(vectors))


def average(wanted: Sequence[Vector], unwanted: Sequence[Vector]) -> Vector:
    """Twice the mean of `wanted` less the mean of `unwanted`, scaled to length 1: the vector that
    Qdrant's recommendation strategy `average_vector` searches by.

    Raises InvalidQuery when they cancel each other out.
    """
    pull = np.mean(wanted, axis=0, dtype=np.float32)
    if not unwanted:
        return wanted[0] if len(wanted) == 1 else _scaled(pull)
    return _scaled(2 * pull - np.mean(unwanted, axis=0, dtype=np.float32))


def cosine(left: Batch, right: Batch) -> NDArray[np.float64]:
    """Row-wise cosine of two `[n, dim]` batches, in double precision: `[n]`."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    dots: NDArray[np.float64] = np.einsum("ij,ij->i", a, b)
    return np.divide(dots, np.maximum(lengths, np.finfo(np.float64).tiny))


def _scaled(total: Vector) -> Vector:
    length = float(np.linalg.norm(total))
    if length < MIN_LENGTH:
        raise InvalidQuery("The query's parts cancel each other out.", field="query")
    return (total / np.float32(length)).astype(np.float32, copy=False)
