"""Proof that the live server computes what PyTorch computed: golden inputs through the towers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.domain.deadline import Deadline
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Inference, Priority
from gateway.domain.release import PARITY_FLOOR, TextTower
from gateway.domain.vectors import cosine
from gateway.services.encoder import IMAGE_INPUT, TEXT_INPUT


@dataclass(frozen=True, slots=True)
class TowerParity:
    """One tower's cosines to PyTorch's vectors over `inputs` golden inputs."""

    tower: str
    inputs: int
    least: float
    mean: float
    floor: float

    @property
    def passed(self) -> bool:
        """Whether every golden input came out as it should."""
        return self.least >= self.floor


@dataclass(frozen=True, slots=True)
class Parity:
    """Both towers' agreement with PyTorch."""

    release: str
    image: TowerParity
    text: TowerParity

    @property
    def passed(self) -> bool:
        """Whether the release may answer."""
        return self.image.passed and self.text.passed


async def verify(
    inference: Inference, loaded: LoadedRelease, deadline: Deadline, *, most: int | None = None
) -> Parity:
    """Sends `most` golden inputs (all, if None) to each tower and compares.

    Raises what the port raises when the server does not answer.
    """
    golden, release = loaded.golden, loaded.release
    image = await _infer_each(
        inference, release.image.model, IMAGE_INPUT, list(golden.images[:most]), deadline
    )
    rows = [_in_bucket(row, release.text) for row in golden.texts[:most]]
    text = await _infer_each(inference, release.text.model, TEXT_INPUT, rows, deadline)
    floor = PARITY_FLOOR[release.precision]
    return Parity(
        release.id,
        _parity("image", image, golden.image_vectors[:most], floor),
        _parity("text", text, golden.text_vectors[:most], floor),
    )


async def _infer_each(
    inference: Inference,
    model: str,
    input_name: str,
    rows: list[NDArray[np.uint8]] | list[NDArray[np.int64]],
    deadline: Deadline,
) -> NDArray[np.float32]:
    """One request a row, as searches do: `[n, dim]`."""
    vectors = [
        await inference.infer(model, input_name, row[np.newaxis], deadline, Priority.INTERACTIVE)
        for row in rows
    ]
    return np.concatenate(vectors)


def _in_bucket(row: NDArray[np.int64], tower: TextTower) -> NDArray[np.int64]:
    """A golden row as the gateway would send it: padded to the smallest bucket that holds it."""
    filled = np.flatnonzero(row != tower.pad_id)
    length = int(filled[-1]) + 1 if len(filled) else 1
    bucket = next(size for size in tower.buckets if size >= length)
    return row[:bucket]


def _parity(
    tower: str, ours: NDArray[np.float32], theirs: NDArray[np.float32], floor: float
) -> TowerParity:
    if ours.shape != theirs.shape:
        return TowerParity(tower, len(theirs), -1.0, -1.0, floor)
    cosines = cosine(ours, theirs)
    return TowerParity(tower, len(theirs), float(cosines.min()), float(cosines.mean()), floor)
