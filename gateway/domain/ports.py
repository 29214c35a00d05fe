"""What the services need of the world outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.domain.deadline import Deadline
from gateway.domain.filters import FieldType
from gateway.domain.plan import SearchPlan, Sparse
from gateway.domain.query import Facets, Hit
from gateway.domain.trial import Trial
from gateway.domain.vectors import Batch, Vector


class Priority(IntEnum):
    """Triton's priority level of a request; the lower number goes first."""

    INTERACTIVE = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One picture of one item, as stored. `id` is a UUID (`gateway.domain.items.point_id`), `image`
    has length 1, and `payload` is JSON (`gateway.domain.payload`)."""

    id: str
    image: Vector
    text: Sparse
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point read back: its vector and payload."""

    id: str
    image: Vector
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CollectionSpec:
    """How a collection is made. `fields` are the payload fields that can be filtered."""

    name: str
    dim: int
    fingerprint: str
    fields: Mapping[str, FieldType]


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection is: the fingerprint it was made for and its number of points.

    `green`: the index over the points is built, as far as the store builds one. `graph`: nearest
    vectors are found by walking a graph; a collection too small for one is scanned, exactly.
    `made_at_s`: when it was made, in seconds since 1970, or None if nobody wrote that down.
    """

    name: str
    dim: int
    fingerprint: str
    points: int
    fields: Mapping[str, FieldType]
    green: bool = True
    made_at_s: float | None = field(default=None, compare=False)
    graph: bool = False


@dataclass(frozen=True, slots=True)
class Aliases:
    """Which collections have a part to play; every process of a cluster reads the same.

    Attributes:
        active: the one that answers, if any.
        previous: the one that answered before, to go back to.
        trial: the candidate that gets a share of live searches.
    """

    active: str | None = None
    previous: str | None = None
    trial: Trial | None = None


class Inference(Protocol):
    """The towers, behind a server that batches across requests."""

    async def infer(
        self,
        model: str,
        input_name: str,
        rows: NDArray[np.uint8] | NDArray[np.int64],
        deadline: Deadline,
        priority: Priority,
    ) -> Batch:
        """Vectors `[n, dim]` for input rows `[n, ...]`.

        Raises Overloaded, DeadlineExceeded or BackendUnavailable.
        """
        ...

    async def ready(self, model: str) -> bool:
        """Whether the server says that it can serve `model`. False when it cannot be reached."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


class ModelControl(Protocol):
    """What each of the inference servers has loaded."""

    async def load(self, models: Sequence[str]) -> None:
        """Makes every server ready to serve the models; those that are ready stay as they are.

        BackendUnavailable, naming the server, if one cannot be reached or cannot load them.
        """
        ...

    async def unload(self, models: Sequence[str]) -> None:
        """Takes the models off every server; models that are not loaded are no error.

        BackendUnavailable, naming the server, if one cannot be reached or refuses.
        """
        ...


class CatalogIndex(Protocol):
    """Collections of points, and the alias that names the active one.

    Every call raises BackendUnavailable or DeadlineExceeded when the store fails, and NotFound
    for a collection that does not exist.
    """

    def require_there(self) -> None:
        """BackendUnavailable if the store is known to be away: asked before work for it begins."""
        ...

    async def create(self, spec: CollectionSpec) -> None:
        """Makes an empty collection; a no-op if one with the same fingerprint exists.

        SpaceMismatch if one with another fingerprint does.
        """
        ...

    async def describe(self, collection: str) -> CollectionInfo | None:
        """The collection's description, or None if there is no such collection."""
        ...

    async def collections(self) -> list[str]:
        """The names of all collections, sorted; somebody else's may be among them."""
        ...

    async def drop(self, collection: str) -> None:
        """Deletes a collection and every alias of it; a no-op if it does not exist."""
        ...

    async def activate(self, collection: str) -> None:
        """Makes `collection` the active one and the active one, if it is another, the previous,
        in one step. A trial of `collection` ends with it."""
        ...

    async def set_trial(self, trial: Trial | None) -> None:
        """Starts a trial in place of the one there may be, or ends it."""
        ...

    async def aliases(self) -> Aliases:
        """Which collection plays which part."""
        ...

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """Writes points, durable when it returns. A point with the same id is replaced.

        SpaceMismatch if a vector's length is not the collection's.
        """
        ...

    async def delete_points(self, collection: str, ids: Sequence[str]) -> None:
        """Removes points by id; unknown ids are no error."""
        ...

    async def item_points(
        self, collection: str, item_id: str, deadline: Deadline
    ) -> list[StoredPoint]:
        """All points of one item in the order of its pictures; empty if there is no such item."""
        ...

    async def search(self, collection: str, plan: SearchPlan, deadline: Deadline) -> list[Hit]:
        """The plan's best items, best first, each once by its best picture.

        Scores are cosines, BM25 sums, or (both legs) sums of 1 / (60 + rank), as the plan says.
        Pages of one plan are slices of one ranking. With `group_by`, each group once, out of the
        best 1,024 pictures. SpaceMismatch if the vector's length is not the collection's.
        """
        ...

    async def facets(
        self, collection: str, plan: SearchPlan, fields: Sequence[str], deadline: Deadline
    ) -> Facets:
        """How often each value of `fields` stands in the plan's result set: the items of its best
        1,024 pictures, whatever its page, its boosts and its groups. At most 100 values a field.
        """
        ...

    def payloads(self, collection: str) -> AsyncIterator[Mapping[str, Any]]:
        """Every point's payload, in no particular order."""
        ...

    async def optimize(self, collection: str) -> None:
        """Finishes index building that the store has put off, if it works that way."""
        ...

    async def close(self) -> None:
        """Flushes and lets go of files and connections."""
        ...


class LexicalModel(Protocol):
    """BM25 term weights."""

    def document(self, text: str) -> Sparse:
        """Weights of an item's words."""
        ...

    def query(self, text: str) -> Sparse:
        """Weights of a query's words; empty for text without words."""
        ...


class PictureSource(Protocol):
    """Where an item's pictures come from."""

    async def read(self, uri: str) -> bytes:
        """The encoded picture; UnfetchablePicture or PictureTooLarge when there is none to use."""
        ...
