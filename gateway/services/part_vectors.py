"""The parts of a query as vectors of one release's space."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.errors import (
    DeadlineExceeded,
    NotFound,
    PictureTooLarge,
    UndecodablePicture,
    UnfetchablePicture,
)
from gateway.domain.plan import BestScore
from gateway.domain.ports import CatalogIndex, PictureSource
from gateway.domain.query import (
    ImagePart,
    ItemPart,
    QueryPart,
    RecalledPart,
    Strategy,
    TextPart,
    TokenPart,
    UrlPart,
    VectorPart,
)
from gateway.domain.vectors import Vector, average, combine, unit
from gateway.services.active_release import ActiveRelease
from gateway.services.encoder import Encoder
from gateway.services.side_by_side import side_by_side
from gateway.telemetry import Timings


class PartVectors:
    """Encodes parts, or looks up what is stored already."""

    def __init__(self, encoder: Encoder, index: CatalogIndex, pictures: PictureSource) -> None:
        """`pictures` fetches those that a query names by URL."""
        self._encoder = encoder
        self._index = index
        self._pictures = pictures

    async def of(
        self,
        parts: tuple[QueryPart, ...],
        active: ActiveRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> list[Vector]:
        """The unit vector of each part, made side by side; the first fault is raised."""
        if len(parts) == 1:
            return [await self._part(0, parts[0], active, deadline, timings)]
        async with side_by_side() as group:
            tasks = [
                group.create_task(self._part(number, part, active, deadline, timings))
                for number, part in enumerate(parts)
            ]
        return [task.result() for task in tasks]

    async def _part(
        self,
        number: int,
        part: QueryPart,
        active: ActiveRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> Vector:
        match part:
            case TextPart():
                return await self._encoder.text(part.text, active.loaded, deadline, timings)
            case ImagePart():
                return await self._encoder.picture(
                    part.data, part.crop, active.loaded, deadline, timings
                )
            case UrlPart():
                with _naming(f"query[{number}].image_url"):
                    data = await self._fetched(part.url, deadline, timings)
                    return await self._encoder.picture(
                        data, part.crop, active.loaded, deadline, timings
                    )
            case ItemPart():
                name = active.collection.name
                with timings.stage("lookup"):
                    points = await self._index.item_points(name, part.item_id, deadline)
                if not points:
                    raise no_such_item(part.item_id, f"query[{number}].item")
                return unit(np.mean([point.image for point in points], axis=0, dtype=np.float32))
            case RecalledPart():
                return part.token.vector
            case TokenPart():
                raise AssertionError("tokens are read before")
            case VectorPart():
                with np.errstate(over="ignore"):  # too large for float32 is infinite: refused below
                    values = np.asarray(part.values, dtype=np.float32)
                return unit(values, field=f"query[{number}].vector")

    async def _fetched(self, url: str, deadline: Deadline, timings: Timings) -> bytes:
        with timings.stage("fetch"):
            left_s = deadline.require("a picture was fetched")
            try:
                async with asyncio.timeout(left_s):
                    return await self._pictures.read(url)
            except TimeoutError as exc:
                raise DeadlineExceeded(
                    "The request's time ran out while a picture was fetched."
                ) from exc


@contextmanager
def _naming(field: str) -> Iterator[None]:
    """Faults of a picture name the part that it came from."""
    try:
        yield
    except (UnfetchablePicture, UndecodablePicture, PictureTooLarge) as exc:
        raise type(exc)(exc.detail, field=field) from exc


def combined(
    vectors: list[Vector], parts: tuple[QueryPart, ...], strategy: Strategy
) -> Vector | BestScore:
    """What the parts' vectors are searched by.

    The average is worked out here although a Qdrant server can: the engine in the process cannot,
    and a second stage and a query token need the vector itself. Raises InvalidQuery when the parts
    cancel each other out.
    """
    if strategy is Strategy.WEIGHTED_SUM:
        return combine(vectors, [part.weight for part in parts])
    pairs = list(zip(vectors, parts, strict=True))
    wanted = tuple(vector for vector, part in pairs if part.weight > 0)
    unwanted = tuple(vector for vector, part in pairs if part.weight < 0)
    if strategy is Strategy.AVERAGE_VECTOR:
        return average(wanted, unwanted)
    return BestScore(wanted, unwanted)


def no_such_item(item_id: str, field: str) -> NotFound:
    """The error for an item that the catalogue does not have."""
    return NotFound(f"The catalogue has no item {item_id!r}.", field=field)
