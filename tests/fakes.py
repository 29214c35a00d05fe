"""A toy model that is right: colours are its whole world.

`ColourInference` satisfies the port `Inference`: a picture's vector is its mean colour, a word's
vector is the colour that it names. So a red picture is near the word "red" and near other red
pictures, and tests can say what a search must find.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gateway.domain.deadline import Deadline
from gateway.domain.errors import LookalikeError, UnfetchablePicture
from gateway.domain.loaded_release import Golden, LoadedRelease
from gateway.domain.ports import Priority
from gateway.domain.release import (
    ImageTower,
    Interpolation,
    Precision,
    Release,
    ResizeMode,
    TextClean,
    TextTower,
)
from gateway.domain.vectors import Batch

SIDE_PX = 8
DIM = 4
COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
WORDS = ("?", *COLOURS)


def colour_vectors(colours: NDArray[np.float64]) -> Batch:
    """Unit vectors `[n, DIM]` of colours `[n, 3]`; the last axis keeps black off zero."""
    raw = np.concatenate([colours, np.full((len(colours), 1), 64.0)], axis=1)
    vectors: Batch = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    return vectors


class ColourInference:
    """The towers. `failing` is raised by every call; `gate`, when set, holds calls back."""

    def __init__(self) -> None:
        self.failing: LookalikeError | None = None
        self.gate: asyncio.Event | None = None
        self.arrived = asyncio.Semaphore(0)
        self.calls: list[tuple[str, int, Priority]] = []
        self.off_by = 0.0

    async def infer(
        self,
        model: str,
        input_name: str,
        rows: NDArray[np.uint8] | NDArray[np.int64],
        deadline: Deadline,
        priority: Priority,
    ) -> Batch:
        """See the port."""
        self.calls.append((model, len(rows), priority))
        self.arrived.release()
        if self.gate is not None:
            await asyncio.wait_for(self.gate.wait(), 5.0)
        if self.failing is not None:
            raise self.failing
        deadline.require("the model was asked")
        vectors = image_vectors(rows) if input_name == "image" else text_vectors(rows)
        return in_space_of(model, vectors) + np.float32(self.off_by)

    async def ready(self, model: str) -> bool:
        """See the port."""
        return self.failing is None

    async def close(self) -> None:
        """See the port."""


class ColourTokenizer:
    """One token a word. Unknown words have tokens below 0, of their own, which mean nothing."""

    def encode(self, text: str) -> NDArray[np.int64]:
        """See the port."""
        words = text.lower().split()[:4]
        ids = [WORDS.index(w) if w in WORDS else -crc32(w.encode()) for w in words]
        return np.array(ids + [0] * (4 - len(ids)), dtype=np.int64)


class MemoryPictures:
    """A picture source that is a dictionary."""

    def __init__(self, pictures: dict[str, bytes]) -> None:
        self.pictures = pictures

    async def read(self, uri: str) -> bytes:
        """See the port."""
        try:
            return self.pictures[uri]
        except KeyError as exc:
            raise UnfetchablePicture(f"{uri} cannot be read.") from exc


class ColourModels:
    """The port `ModelControl`; `loaded` is what is."""

    def __init__(self) -> None:
        self.loaded: set[str] = set()

    async def load(self, models: Sequence[str]) -> None:
        """See the port."""
        self.loaded |= set(models)

    async def unload(self, models: Sequence[str]) -> None:
        """See the port."""
        self.loaded -= set(models)


class ColourFiles:
    """A model repository of the two toy releases."""

    def __init__(self, load: Callable[[str], LoadedRelease]) -> None:
        self._load = load

    def ids(self) -> tuple[str, ...]:
        """See the protocol."""
        return ("colours-v1", "colours-v2")

    def manifest(self, release_id: str) -> Release:
        """See the protocol."""
        return self._load(release_id).release

    def evaluation(self, release_id: str) -> Mapping[str, float] | None:
        """See the protocol."""
        return {"recall@10": 0.9} if release_id == "colours-v1" else None


def image_vectors(rows: NDArray[np.uint8] | NDArray[np.int64]) -> Batch:
    """`[n, H, W, 3]` to `[n, DIM]`."""
    return colour_vectors(rows.reshape(len(rows), -1, 3).mean(axis=1))


def text_vectors(rows: NDArray[np.uint8] | NDArray[np.int64]) -> Batch:
    """`[n, tokens]` to `[n, DIM]`: the mean of the colours that are named."""
    table = np.array([(128, 128, 128), *COLOURS.values()], dtype=np.float64)
    means = [table[row[row > 0]].mean(axis=0) if (row > 0).any() else table[0] for row in rows]
    return colour_vectors(np.array(means))


def picture(colour: str | tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> bytes:
    """A PNG of one colour."""
    rgb = COLOURS[colour] if isinstance(colour, str) else colour
    out = io.BytesIO()
    Image.new("RGB", size, rgb).save(out, "PNG")
    return out.getvalue()


def in_space_of(name: str, vectors: Batch) -> Batch:
    """The vectors `[n, DIM]` as the release or model `name` has them: `colours-v2`'s space has two
    more axes, and the colours on others, so that vectors of both never match."""
    if not name.startswith("colours-v2"):
        return vectors
    return np.concatenate([np.zeros((len(vectors), 2), np.float32), vectors[:, ::-1]], axis=1)


def colour_release(release_id: str = "colours-v1", fingerprint: str = "") -> LoadedRelease:
    """The toy model as a release; `colours-v1` and `colours-v2` are two models."""
    release = Release(
        id=release_id,
        architecture="colours",
        dim=DIM + 2 * release_id.startswith("colours-v2"),
        precision=Precision.FP32,
        target="fake",
        image=ImageTower(
            f"{release_id}-image", SIDE_PX, SIDE_PX, ResizeMode.SHORTEST, Interpolation.BICUBIC
        ),
        text=TextTower(f"{release_id}-text", (4,), 0, None, TextClean.NONE),
        tokenizer_file="",
        golden_file="",
        fingerprint=fingerprint or f"fingerprint of {release_id}",
        digests={},
        weights={},
    )
    images = np.stack(
        [np.full((SIDE_PX, SIDE_PX, 3), rgb, dtype=np.uint8) for rgb in COLOURS.values()]
    )
    texts = np.stack([ColourTokenizer().encode(word) for word in COLOURS])
    golden = Golden(
        images,
        in_space_of(release_id, image_vectors(images)),
        tuple(COLOURS),
        texts,
        in_space_of(release_id, text_vectors(texts)),
    )
    return LoadedRelease(release, ColourTokenizer(), golden)


@contextmanager
def held(inference: ColourInference) -> Iterator[asyncio.Event]:
    """Holds every call to the model until the event is set, or the block ends."""
    inference.gate = gate = asyncio.Event()
    inference.arrived = asyncio.Semaphore(0)
    try:
        yield gate
    finally:
        gate.set()
        inference.gate = None
