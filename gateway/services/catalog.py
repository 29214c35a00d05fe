"""The catalogue kept in step with the index: items in, points out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from weakref import WeakValueDictionary

from gateway.domain.deadline import Deadline
from gateway.domain.errors import CatalogInvalid, LookalikeError, SpaceMismatch
from gateway.domain.items import Item, point_id
from gateway.domain.payload import digest, picture_no, to_payload
from gateway.domain.ports import (
    CatalogIndex,
    LexicalModel,
    PictureSource,
    Point,
    StoredPoint,
)
from gateway.domain.vectors import Vector
from gateway.preprocess.image import Pixels
from gateway.services.active_release import ActiveRelease
from gateway.services.encoder import Encoder

# One inference request carries this many pictures: enough to fill a batch, few enough that an
# interactive request behind it waits for milliseconds.
BULK_ROWS = 16
# Items worked on at once by `index`: while one chunk infers, the next are read and decoded.
CHUNK_ITEMS = 32
CHUNKS_IN_FLIGHT = 3
CHUNK_TIMEOUT_S = 120.0

MAX_PICTURES = 100
MAX_ID_CHARS = 256


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item. `error` is why it is not in the index; `skipped` are the pictures
    that could not be used although the item is; `embedded` counts new vectors."""

    item_id: str
    embedded: int = 0
    skipped: tuple[LookalikeError, ...] = ()
    error: LookalikeError | None = None


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture on its way: with a vector already, or with pixels to be embedded."""

    number: int
    digest: str
    pixels: Pixels | None = None
    vector: Vector | None = None


@dataclass(slots=True)
class _Work:
    """An item on its way."""

    item: Item
    stored: list[StoredPoint]
    pictures: list[_Picture]
    skipped: list[LookalikeError]


class CatalogService:
    """Everything that writes the catalogue."""

    def __init__(
        self,
        index: CatalogIndex,
        encoder: Encoder,
        lexical: LexicalModel,
        pictures: PictureSource,
    ) -> None:
        self._index = index
        self._encoder = encoder
        self._lexical = lexical
        self._pictures = pictures
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def upsert(
        self, items: Sequence[Item], into: ActiveRelease, deadline: Deadline
    ) -> list[ItemOutcome]:
        """Writes items; one outcome each, in their order. One bad item fails alone.

        A picture whose bytes are unchanged is not embedded again. What fails for all, such as an
        unreachable server, is raised.
        """
        good = {item.id: item for item in items if _problem(item, items) is None}
        async with AsyncExitStack() as stack:
            for item_id in sorted(good):  # one order for all, so that no two writers deadlock
                await stack.enter_async_context(self._lock(item_id))
            works = await asyncio.gather(*(self._prepare(i, into, deadline) for i in good.values()))
            embedded = await self._embed(works, into, deadline)
            await self._write(works, embedded, into)
        outcomes = {work.item.id: _outcome(work) for work in works}
        return [
            outcomes.get(item.id) or ItemOutcome(item.id, error=_problem(item, items))
            for item in items
        ]

    async def delete(
        self, item_ids: Sequence[str], into: ActiveRelease, deadline: Deadline
    ) -> list[bool]:
        """Removes items; for each, whether it was there."""
        found = []
        for item_id in item_ids:
            async with self._lock(item_id):
                points = await self._index.item_points(into.collection.name, item_id, deadline)
                ids = [point.id for point in points]
                if ids:
                    await self._index.delete_points(into.collection.name, ids)
                found.append(bool(ids))
        return found

    async def index(
        self, items: Iterable[Item], into: ActiveRelease
    ) -> AsyncIterator[list[ItemOutcome]]:
        """Writes a whole catalogue, chunk by chunk, several at once; yields outcomes as they come.

        Run again after an interruption, it embeds only what is missing or changed.
        """
        source = iter(items)
        running: set[asyncio.Task[list[ItemOutcome]]] = set()
        try:
            while True:
                while len(running) < CHUNKS_IN_FLIGHT:
                    chunk = list(islice(source, CHUNK_ITEMS))
                    if not chunk:
                        break
                    deadline = Deadline.after(CHUNK_TIMEOUT_S)
                    running.add(asyncio.create_task(self.upsert(chunk, into, deadline)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()

    async def _prepare(self, item: Item, into: ActiveRelease, deadline: Deadline) -> _Work:
        """Reads and decodes an item's pictures, as far as their vectors are not known already."""
        stored = await self._index.item_points(into.collection.name, item.id, deadline)
        known = {picture_no(point.payload): point for point in stored}
        work = _Work(item, stored, [], [])
        for number, uri in enumerate(item.pictures):
            before = known.get(number)
            try:
                work.pictures.append(await self._picture(number, uri, before, into))
            except SpaceMismatch:
                raise
            except LookalikeError as problem:
                work.skipped.append(problem)
                if before is not None and before.payload["pictures"][number] == uri:
                    # The same address gave a picture before: a hiccup must not lose the item.
                    kept = _Picture(number, digest(before.payload), vector=before.image)
                    work.pictures.append(kept)
        return work

    async def _picture(
        self, number: int, uri: str, before: StoredPoint | None, into: ActiveRelease
    ) -> _Picture:
        data = await self._pictures.read(uri)
        sha = hashlib.sha256(data).hexdigest()
        if before is not None and digest(before.payload) == sha:
            return _Picture(number, sha, vector=before.image)
        return _Picture(number, sha, pixels=await self._encoder.pixels(data, None, into.loaded))

    async def _embed(
        self, works: Sequence[_Work], into: ActiveRelease, deadline: Deadline
    ) -> dict[tuple[str, int], Vector]:
        """Vectors of all pictures that have none yet, by item and picture number."""
        keys, pixels = [], []
        for work in works:
            for picture in work.pictures:
                if picture.pixels is not None:
                    keys.append((work.item.id, picture.number))
                    pixels.append(picture.pixels)
        vectors: list[Vector] = []
        for start in range(0, len(pixels), BULK_ROWS):
            rows = pixels[start : start + BULK_ROWS]
            vectors += list(await self._encoder.pictures(rows, into.loaded, deadline))
        return dict(zip(keys, vectors, strict=True))

    async def _write(
        self,
        works: Sequence[_Work],
        embedded: dict[tuple[str, int], Vector],
        into: ActiveRelease,
    ) -> None:
        """Replaces changed points and removes those whose picture is no longer the item's."""
        points: list[Point] = []
        surplus: list[str] = []
        for work in works:
            if not work.pictures:
                continue  # nothing usable: whatever is there stays
            wanted = self._points(work, embedded)
            same = {point.id: point.payload for point in work.stored}
            points += [point for point in wanted if same.get(point.id) != point.payload]
            surplus += sorted(same.keys() - {point.id for point in wanted})
        if points:
            await self._index.upsert(into.collection.name, points)
        if surplus:
            await self._index.delete_points(into.collection.name, surplus)

    def _points(self, work: _Work, embedded: dict[tuple[str, int], Vector]) -> list[Point]:
        words = self._lexical.document(work.item.lexical_text())
        points = []
        for picture in work.pictures:
            vector = picture.vector
            if vector is None:
                vector = embedded[work.item.id, picture.number]
            points.append(
                Point(
                    id=point_id(work.item.id, picture.number),
                    image=vector,
                    text=words,
                    payload=to_payload(work.item, picture.number, picture.digest),
                )
            )
        return points

    def _lock(self, item_id: str) -> asyncio.Lock:
        """One writer at a time to an item; the lock lives while somebody holds or awaits it."""
        lock = self._locks.get(item_id)
        if lock is None:
            lock = self._locks[item_id] = asyncio.Lock()
        return lock


def _outcome(work: _Work) -> ItemOutcome:
    if not work.pictures:
        reason = work.skipped[0].detail
        return ItemOutcome(
            work.item.id,
            error=CatalogInvalid(f"None of its pictures can be used: {reason}", field="pictures"),
        )
    embedded = sum(picture.pixels is not None for picture in work.pictures)
    return ItemOutcome(work.item.id, embedded, tuple(work.skipped))


def _problem(item: Item, batch: Sequence[Item]) -> LookalikeError | None:
    """Why an item cannot be indexed, as far as that can be seen without its pictures."""
    if not 0 < len(item.id) <= MAX_ID_CHARS:
        return CatalogInvalid(f"An id has 1 to {MAX_ID_CHARS} characters.", field="id")
    if not 0 < len(item.pictures) <= MAX_PICTURES:
        return CatalogInvalid(f"An item has 1 to {MAX_PICTURES} pictures.", field="pictures")
    if sum(other.id == item.id for other in batch) > 1:
        return CatalogInvalid("The same id stands twice in one batch.", field="id")
    return None
