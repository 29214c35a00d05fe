"""One search, from the query to the shop's items."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.errors import InvalidQuery, ModelUnavailable, NotFound, UnknownField
from gateway.domain.payload import ITEM_FIELDS, public
from gateway.domain.ports import CatalogIndex, LexicalModel
from gateway.domain.query import (
    MAX_DEPTH,
    MAX_LIMIT,
    MAX_PARTS,
    MAX_TEXT_CHARS,
    MAX_WEIGHT,
    Caller,
    ImagePart,
    ItemPart,
    LegWeights,
    Mode,
    Query,
    QueryPart,
    SearchPlan,
    SearchResult,
    Sparse,
    TextPart,
    VectorPart,
)
from gateway.domain.vectors import Vector, combine, unit
from gateway.preprocess.image import check_crop
from gateway.services.active_release import ActiveRelease, AnsweringRelease, Route
from gateway.services.admission import Admission
from gateway.services.encoder import Encoder
from gateway.services.filter_check import check_filter
from gateway.telemetry import Timings

EQUAL_WEIGHTS = LegWeights()
ANYBODY = Caller()


class WithoutModel(Enum):
    """What becomes of a hybrid search while the model is away."""

    REFUSE = "refuse"
    WORDS_ALONE = "words alone"  # and the answer says that it is degraded


@dataclass(frozen=True, slots=True)
class Answered:
    """A search that was answered: which way it came, by which release, in how many seconds."""

    query: Query
    route: Route
    by: ActiveRelease
    result: SearchResult
    seconds: float


Observer = Callable[[Answered], None]


class SearchService:
    """Everything that reads the catalogue."""

    def __init__(  # noqa: PLR0913 - the parts it is made of
        self,
        releases: AnsweringRelease,
        encoder: Encoder,
        index: CatalogIndex,
        lexical: LexicalModel,
        admission: Admission,
        weights: LegWeights = EQUAL_WEIGHTS,
        observe: Observer | None = None,
        without_model: WithoutModel = WithoutModel.REFUSE,
    ) -> None:
        self._releases = releases
        self._encoder = encoder
        self._index = index
        self._lexical = lexical
        self._admission = admission
        self._weights = weights
        self._observe = observe
        self._without_model = without_model

    def require_room(self) -> None:
        """Overloaded if a search would be refused now: asked before its body is read."""
        self._admission.require_room()

    async def search(
        self, query: Query, deadline: Deadline, caller: Caller = ANYBODY
    ) -> SearchResult:
        """The items that answer `query`, best first, wholly from one release.

        Raises InvalidQuery for a query that cannot be answered, NotFound for an unknown item in
        it, Overloaded, DeadlineExceeded, BackendUnavailable, SpaceMismatch.
        """
        with self._admission.admitted():
            route = Route(partial(_key, query, caller), caller.release)
            active = self._releases.answering(route)
            check_query(query, active)
            self._index.require_there()
            timings = Timings(self._admission.metrics)
            started_s = time.perf_counter()
            mode = resolve_mode(query)
            plan = await self._plan(query, mode, active, deadline, timings)
            with timings.stage("search"):
                hits = await self._index.search(active.collection.name, plan, deadline)
            self._admission.metrics.searches.labels(active.id).inc()
            degraded = mode is Mode.HYBRID and plan.dense is None
            if degraded:
                mode = Mode.TEXT
                self._admission.metrics.degraded.inc()
            result = SearchResult(tuple(hits), active.id, mode, timings.seconds, degraded)
            if self._observe is not None and not degraded:
                self._observe(Answered(query, route, active, result, _since(started_s)))
            return result

    async def embed(
        self, parts: Sequence[QueryPart], deadline: Deadline
    ) -> tuple[list[Vector], str]:
        """The unit vector of each part in the active release's space, and that release's id.

        Raises as `search` does.
        """
        with self._admission.admitted():
            active = self._releases.active()
            check_query(Query(tuple(parts)), active)
            timings = Timings(self._admission.metrics)
            return await self._side_by_side(tuple(parts), active, deadline, timings), active.id

    async def item(self, item_id: str, deadline: Deadline) -> Mapping[str, Any]:
        """An item as answers show it; NotFound if the catalogue does not have it."""
        with self._admission.admitted():
            active = self._releases.active()
            points = await self._index.item_points(active.collection.name, item_id, deadline)
            if not points:
                raise _no_such_item(item_id, "id")
            return public(points[0].payload, None)

    async def _plan(
        self,
        query: Query,
        mode: Mode,
        active: ActiveRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> SearchPlan:
        dense = lexical = None
        if mode is not Mode.TEXT:
            try:
                dense = await self._vector(query.parts, active, deadline, timings)
            except ModelUnavailable:
                if mode is Mode.VECTOR or self._without_model is WithoutModel.REFUSE:
                    raise
        if mode is not Mode.VECTOR:
            lexical = self._words(query.parts)
        return SearchPlan(
            dense=dense,
            lexical=lexical,
            filter=query.filter,
            limit=query.limit,
            offset=query.offset,
            min_score=query.min_score,
            fields=query.fields,
            exclude_items=query.exclude_items,
            nearest=query.nearest,
            weights=self._weights if query.weights is None else query.weights,
        )

    def _words(self, parts: tuple[QueryPart, ...]) -> Sparse:
        """BM25 weights of all the words that are wanted; words with a negative weight are not."""
        wanted = [p.text for p in parts if isinstance(p, TextPart) and p.weight > 0]
        return self._lexical.query(" ".join(wanted))

    async def _vector(
        self,
        parts: tuple[QueryPart, ...],
        active: ActiveRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> Vector:
        """The query's one vector: the parts encoded side by side, then their weighted sum."""
        if len(parts) == 1:
            vectors = [await self._part(0, parts[0], active, deadline, timings)]
        else:
            vectors = await self._side_by_side(parts, active, deadline, timings)
        return combine(vectors, [part.weight for part in parts])

    async def _side_by_side(
        self,
        parts: tuple[QueryPart, ...],
        active: ActiveRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> list[Vector]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._part(number, part, active, deadline, timings))
                    for number, part in enumerate(parts)
                ]
        except ExceptionGroup as failures:
            # The first fault is the answer; the other parts were cancelled because of it.
            raise failures.exceptions[0] from failures
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
            case ItemPart():
                name = active.collection.name
                points = await self._index.item_points(name, part.item_id, deadline)
                if not points:
                    raise _no_such_item(part.item_id, f"query[{number}].item")
                return unit(np.mean([point.image for point in points], axis=0, dtype=np.float32))
            case VectorPart():
                with np.errstate(over="ignore"):  # too large for float32 is infinite: refused below
                    values = np.asarray(part.values, dtype=np.float32)
                return unit(values, field=f"query[{number}].vector")


def resolve_mode(query: Query) -> Mode:
    """The mode that answers: `auto` takes both legs when there are words, else vectors alone."""
    has_words = any(isinstance(p, TextPart) and p.weight > 0 for p in query.parts)
    if query.mode is Mode.AUTO:
        return Mode.HYBRID if has_words else Mode.VECTOR
    if query.mode is not Mode.VECTOR and not has_words:
        raise InvalidQuery(
            f"Mode {query.mode} needs a text part with a positive weight.", field="mode"
        )
    return query.mode


def check_query(query: Query, active: ActiveRelease) -> None:
    """InvalidQuery, naming the field, for anything that could not be answered sensibly."""
    if not query.parts:
        raise InvalidQuery("The query is empty: give a text, an image or an item.", field="query")
    if len(query.parts) > MAX_PARTS:
        raise InvalidQuery(f"A query has at most {MAX_PARTS} parts.", field="query")
    if not 1 <= query.limit <= MAX_LIMIT:
        raise InvalidQuery(f"limit is a number from 1 to {MAX_LIMIT:,}.", field="limit")
    if not 0 <= query.offset <= MAX_DEPTH - query.limit:
        raise InvalidQuery(
            f"offset is 0 or more, and offset + limit at most {MAX_DEPTH:,}.", field="offset"
        )
    for number, part in enumerate(query.parts):
        _check_part(part, active, f"query[{number}]")
    if all(part.weight <= 0 for part in query.parts):
        raise InvalidQuery("At least one part needs a positive weight.", field="query")
    if query.filter is not None:
        check_filter(query.filter, active.collection.fields)
    for field in query.fields or ():
        if field not in ITEM_FIELDS:
            raise UnknownField(
                f"{field!r} is no field of an item. Known: {', '.join(ITEM_FIELDS)}.",
                field="fields",
            )


def _check_part(part: QueryPart, active: ActiveRelease, at: str) -> None:
    if not 0 < abs(part.weight) <= MAX_WEIGHT:
        raise InvalidQuery(
            f"A weight is a number other than zero, from -{MAX_WEIGHT:g} to {MAX_WEIGHT:g}.",
            field=f"{at}.weight",
        )
    match part:
        case TextPart():
            if not part.text.strip():
                raise InvalidQuery("The text is empty.", field=f"{at}.text")
            if len(part.text) > MAX_TEXT_CHARS:
                raise InvalidQuery(
                    f"The text has more than {MAX_TEXT_CHARS:,} characters.", field=f"{at}.text"
                )
        case ImagePart(crop=crop) if crop is not None:
            check_crop(crop, field=f"{at}.crop")
        case VectorPart():
            dim = active.loaded.release.dim
            if len(part.values) != dim:
                raise InvalidQuery(
                    f"The vector has {len(part.values)} numbers; release {active.id} has {dim}.",
                    field=f"{at}.vector",
                )
        case _:
            pass


def _key(query: Query, caller: Caller) -> bytes:
    """What a canary's share is taken of: the shopper, or else what is asked for, so that further
    pages come from the same release."""
    if caller.user is not None:
        return caller.user.encode()
    return b"".join(
        part.data if isinstance(part, ImagePart) else repr(part).encode() for part in query.parts
    )


def _since(started_s: float) -> float:
    return time.perf_counter() - started_s


def _no_such_item(item_id: str, field: str) -> NotFound:
    return NotFound(f"The catalogue has no item {item_id!r}.", field=field)
