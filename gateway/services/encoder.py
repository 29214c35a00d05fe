"""Pictures and words to vectors of one release's space."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.errors import DeadlineExceeded, Overloaded
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Inference, Priority
from gateway.domain.query import Crop
from gateway.domain.vectors import Batch, Vector
from gateway.preprocess.image import PictureLimits, Pixels, decode_to_pixels
from gateway.services.in_flight import InFlight
from gateway.services.pixel_room import PixelRoom
from gateway.telemetry import Metrics, Timings

IMAGE_INPUT = "image"
TEXT_INPUT = "text"
BULK_BACKOFF_S = 0.2
# A picture of the catalogue waits for its turn no longer than this; bulk callers have no deadline
# that would say so.
DECODE_TIMEOUT_S = 60.0
ENDLESS = PixelRoom(sys.maxsize)


# A space's fingerprint, and the tokens of a text: "Red  shoe" and "red shoe" have the same.
TextKey = tuple[str, bytes]


def _nobody_asks() -> None:
    """For work that nobody waits for with a watch in the hand."""


class TextVectorCache:
    """The vectors of the latest distinct texts, least recently used first out."""

    def __init__(self, capacity: int, metrics: Metrics) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[TextKey, Vector] = OrderedDict()
        self._metrics = metrics

    def get(self, key: TextKey) -> Vector | None:
        """The vector of a text, if it is still here."""
        vector = self._vectors.get(key)
        if vector is not None:
            self._vectors.move_to_end(key)
            self._metrics.text_cache_hits.inc()
        else:
            self._metrics.text_cache_misses.inc()
        return vector

    def put(self, key: TextKey, vector: Vector) -> None:
        """Keeps a vector, and lets go of the one unused for longest when there are too many."""
        self._vectors[key] = vector
        if len(self._vectors) > self._capacity:
            self._vectors.popitem(last=False)


class Encoder:
    """Decodes on `workers`, infers on Triton, one row to a request so that Triton batches.

    `room` bounds the pixels in memory. Of the catalogue's pictures at most `bulk_decodes` are given
    to the workers at once, so that a shopper's picture is behind no more of them.
    """

    def __init__(  # noqa: PLR0913 - the parts it is made of
        self,
        inference: Inference,
        limits: PictureLimits,
        workers: Executor,
        cache: TextVectorCache,
        priority: Priority = Priority.INTERACTIVE,
        room: PixelRoom = ENDLESS,
        bulk_decodes: int = 2,
    ) -> None:
        self._priority = priority
        self._inference = inference
        self._limits = limits
        self._workers = workers
        self._cache = cache
        self._in_flight: InFlight[Batch] = InFlight()
        self._room = room
        self._bulk = asyncio.Semaphore(bulk_decodes)

    async def text(
        self, text: str, loaded: LoadedRelease, deadline: Deadline, timings: Timings
    ) -> Vector:
        """The unit vector `[dim]` of some words; words that were asked before, or are being
        asked, need no model."""
        release = loaded.release
        with timings.stage("tokenise"):
            row = loaded.tokenizer.encode(text)
        key = (release.fingerprint, row.tobytes())
        cached = self._cache.get(key)
        if cached is not None:
            return cached

        async def infer() -> Batch:
            return await self._inference.infer(
                release.text.model, TEXT_INPUT, row[np.newaxis], deadline, self._priority
            )

        with timings.stage("infer"):
            vectors = await self._in_flight.once(key, infer, deadline)
        vector: Vector = vectors[0]
        self._cache.put(key, vector)
        return vector

    async def picture(
        self,
        data: bytes,
        crop: Crop | None,
        loaded: LoadedRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> Vector:
        """The unit vector `[dim]` of an encoded picture.

        Raises UndecodablePicture or PictureTooLarge, Overloaded if too many pixels are in memory.
        """
        with timings.queued_stage("decode") as begin:
            pixels = await self._decoded(data, crop, loaded, deadline, begin)
        with timings.stage("infer"):
            vectors = await self._inference.infer(
                loaded.release.image.model,
                IMAGE_INPUT,
                pixels[np.newaxis],
                deadline,
                self._priority,
            )
        vector: Vector = vectors[0]
        return vector

    async def pixels(self, data: bytes, crop: Crop | None, loaded: LoadedRelease) -> Pixels:
        """The image tower's input `[height, width, 3]` of a picture of the catalogue.

        Bulk work gives way: it waits until there is room, DECODE_TIMEOUT_S at most.
        """
        async with self._bulk:
            deadline = Deadline.after(DECODE_TIMEOUT_S)
            while True:
                try:
                    return await self._decoded(data, crop, loaded, deadline)
                except Overloaded:
                    deadline.require("there was room for its pixels")
                    await asyncio.sleep(BULK_BACKOFF_S)

    async def _decoded(
        self,
        data: bytes,
        crop: Crop | None,
        loaded: LoadedRelease,
        deadline: Deadline,
        begin: Callable[[], None] = _nobody_asks,
    ) -> Pixels:
        """Made on a worker thread, which calls `begin` first. What waits there longer than its time
        is never begun."""
        left_s = deadline.require("the picture was decoded")

        def work() -> Pixels:
            begin()
            deadline.require("the picture was decoded")
            with self._room.reservation() as reserve:
                return decode_to_pixels(data, loaded.release.image, self._limits, crop, reserve)

        try:
            async with asyncio.timeout(left_s):
                return await asyncio.get_running_loop().run_in_executor(self._workers, work)
        except TimeoutError as exc:
            raise DeadlineExceeded(
                "The request's time ran out before the picture was decoded."
            ) from exc

    async def pictures(
        self, pixels: Sequence[Pixels], loaded: LoadedRelease, deadline: Deadline
    ) -> Batch:
        """Unit vectors `[n, dim]` of many pictures, in one request of bulk priority.

        Bulk work gives way: while there is no room it waits, until the deadline.
        """
        rows = np.stack(pixels)
        while True:
            try:
                return await self._inference.infer(
                    loaded.release.image.model, IMAGE_INPUT, rows, deadline, Priority.BULK
                )
            except Overloaded:
                deadline.require("there was room for bulk work")
                await asyncio.sleep(BULK_BACKOFF_S)
