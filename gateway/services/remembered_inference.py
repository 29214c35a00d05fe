"""Towers that are asked once for each input: what lets a measurement repeat its searches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.domain.deadline import Deadline
from gateway.domain.ports import Inference, Priority
from gateway.domain.vectors import Batch, Vector


class RememberedInference:
    """The port `Inference`, with every vector kept: a few kilobytes each, for a command's life.

    Not for serving, where it would grow without end.
    """

    def __init__(self, inner: Inference) -> None:
        self._inner = inner
        self._vectors: dict[tuple[str, bytes], Vector] = {}

    async def infer(
        self,
        model: str,
        input_name: str,
        rows: NDArray[np.uint8] | NDArray[np.int64],
        deadline: Deadline,
        priority: Priority,
    ) -> Batch:
        """See the port. Rows seen before are not sent."""
        keys = [(model, _digest(row)) for row in rows]
        new = [number for number, key in enumerate(keys) if key not in self._vectors]
        if new:
            vectors = await self._inner.infer(model, input_name, rows[new], deadline, priority)
            self._keep([keys[number] for number in new], vectors)
        return np.stack([self._vectors[key] for key in keys])

    async def ready(self, model: str) -> bool:
        """See the port."""
        return await self._inner.ready(model)

    async def close(self) -> None:
        """See the port."""
        await self._inner.close()

    def _keep(self, keys: Sequence[tuple[str, bytes]], vectors: Batch) -> None:
        for key, vector in zip(keys, vectors, strict=True):
            self._vectors[key] = vector


def _digest(row: NDArray[np.uint8] | NDArray[np.int64]) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()
