"""Items into one release's collection: pictures read, decoded and embedded, points written."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.deadline import Deadline
from gateway.domain.errors import CatalogInvalid, LookalikeError, SpaceMismatch
from gateway.domain.items import Item, point_id
from gateway.domain.payload import digest, picture_no, to_payload
from gateway.domain.ports import CatalogIndex, LexicalModel, PictureSource, Point, StoredPoint
from gateway.domain.vectors import Vector
from gateway.preprocess.image import Pixels
from gateway.services.active_release import ActiveRelease
from gateway.services.encoder import Encoder

# One inference request carries this many pictures: enough to fill a batch, few enough that an
# interactive request behind it waits for milliseconds.
BULK_ROWS = 16


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


class ItemWriter:
    """Writes items without a look at who else writes them: see `CatalogService` for that."""

    def __init__(self, index: CatalogIndex, encoder: Encoder, lexical: LexicalModel) -> None:
        self._index = index
        self._encoder = encoder
        self._lexical = lexical

    async def write(
        self,
        items: Sequence[Item],
        into: ActiveRelease,
        pictures: PictureSource,
        deadline: Deadline,
    ) -> list[ItemOutcome]:
        """Writes items; one outcome each, in their order. One bad item fails alone.

        A picture whose bytes are unchanged is not embedded again. What fails for all, such as an
        unreachable server, is raised.
        """
        works = await asyncio.gather(*(self._prepare(i, into, pictures, deadline) for i in items))
        embedded = await self._embed(works, into, deadline)
        await self._write(works, embedded, into)
        return [_outcome(work) for work in works]

    async def remove(self, item_id: str, into: ActiveRelease, deadline: Deadline) -> bool:
        """Removes an item; whether it was there."""
        points = await self._index.item_points(into.collection.name, item_id, deadline)
        if points:
            await self._index.delete_points(into.collection.name, [point.id for point in points])
        return bool(points)

    async def _prepare(
        self, item: Item, into: ActiveRelease, pictures: PictureSource, deadline: Deadline
    ) -> _Work:
        """Reads and decodes an item's pictures, as far as their vectors are not known already."""
        stored = await self._index.item_points(into.collection.name, item.id, deadline)
        known = {picture_no(point.payload): point for point in stored}
        work = _Work(item, stored, [], [])
        for number, uri in enumerate(item.pictures):
            before = known.get(number)
            try:
                work.pictures.append(await self._picture(number, uri, before, into, pictures))
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
        self,
        number: int,
        uri: str,
        before: StoredPoint | None,
        into: ActiveRelease,
        pictures: PictureSource,
    ) -> _Picture:
        data = await pictures.read(uri)
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


def _outcome(work: _Work) -> ItemOutcome:
    if not work.pictures:
        reason = work.skipped[0].detail
        return ItemOutcome(
            work.item.id,
            error=CatalogInvalid(f"None of its pictures can be used: {reason}", field="pictures"),
        )
    embedded = sum(picture.pixels is not None for picture in work.pictures)
    return ItemOutcome(work.item.id, embedded, tuple(work.skipped))
