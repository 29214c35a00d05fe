"""One search, from the query to the shop's items."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from gateway.domain.deadline import Deadline
from gateway.domain.payload import public
from gateway.domain.ports import CatalogIndex, LexicalModel
from gateway.domain.query import (
    BestScore,
    Caller,
    Diversify,
    Facets,
    Hit,
    ImagePart,
    LegWeights,
    Mode,
    Query,
    QueryPart,
    Rescore,
    SearchPlan,
    SearchResult,
    Sparse,
    TextPart,
)
from gateway.domain.vectors import Vector
from gateway.services.active_release import ActiveRelease, AnsweringRelease, Route
from gateway.services.admission import Admission
from gateway.services.part_vectors import PartVectors, combined, no_such_item
from gateway.services.query_check import check_parts, check_query, resolve_mode
from gateway.services.side_by_side import side_by_side
from gateway.telemetry import Timings

EQUAL_WEIGHTS = LegWeights()
ANYBODY = Caller()


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
        vectors: PartVectors,
        index: CatalogIndex,
        lexical: LexicalModel,
        admission: Admission,
        weights: LegWeights = EQUAL_WEIGHTS,
        observe: Observer | None = None,
    ) -> None:
        self._releases = releases
        self._vectors = vectors
        self._index = index
        self._lexical = lexical
        self._admission = admission
        self._weights = weights
        self._observe = observe

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
            timings = Timings(self._admission.metrics)
            started_s = time.perf_counter()
            mode = resolve_mode(query)
            by = await self._searched_by(query, mode, active, deadline, timings)
            plan = self._plan(query, mode, by)
            with timings.stage("search"):
                hits, facets = await self._found(active.collection.name, plan, query, deadline)
            self._admission.metrics.searches.labels(active.id).inc()
            result = SearchResult(tuple(hits), active.id, mode, timings.seconds, facets)
            if self._observe is not None:
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
            check_parts(tuple(parts), active)
            timings = Timings(self._admission.metrics)
            return await self._vectors.of(tuple(parts), active, deadline, timings), active.id

    async def item(self, item_id: str, deadline: Deadline) -> Mapping[str, Any]:
        """An item as answers show it; NotFound if the catalogue does not have it."""
        with self._admission.admitted():
            active = self._releases.active()
            points = await self._index.item_points(active.collection.name, item_id, deadline)
            if not points:
                raise no_such_item(item_id, "id")
            return public(points[0].payload, None)

    async def _searched_by(
        self,
        query: Query,
        mode: Mode,
        active: ActiveRelease,
        deadline: Deadline,
        timings: Timings,
    ) -> Vector | BestScore | None:
        """What vectors are compared with; None for a search of words that needs none."""
        if mode is Mode.TEXT and not (query.rescore or query.diversity):
            return None
        vectors = await self._vectors.of(query.parts, active, deadline, timings)
        return combined(vectors, query.parts, query.strategy)

    async def _found(
        self, collection: str, plan: SearchPlan, query: Query, deadline: Deadline
    ) -> tuple[list[Hit], Facets]:
        """The page; and beside it, if asked for, the counts over the whole result set."""
        if not query.facets:
            return await self._index.search(collection, plan, deadline), {}
        async with side_by_side() as group:
            hits = group.create_task(self._index.search(collection, plan, deadline))
            facets = group.create_task(self._index.facets(collection, plan, query.facets, deadline))
        return hits.result(), facets.result()

    def _plan(self, query: Query, mode: Mode, by: Vector | BestScore | None) -> SearchPlan:
        return SearchPlan(
            dense=None if mode is Mode.TEXT else by,
            lexical=None if mode is Mode.VECTOR else self._words(query.parts),
            filter=query.filter,
            limit=query.limit,
            offset=query.offset,
            min_score=query.min_score,
            fields=query.fields,
            exclude_items=query.exclude_items,
            nearest=query.nearest,
            weights=self._weights if query.weights is None else query.weights,
            fusion=query.fusion,
            second=_second(query, by),
            boosts=query.boosts,
            at=_this_hour() if query.boosts else None,
            group_by=None if query.group_by == "id" else query.group_by,
        )

    def _words(self, parts: tuple[QueryPart, ...]) -> Sparse:
        """BM25 weights of all the words that are wanted; words with a negative weight are not."""
        wanted = [p.text for p in parts if isinstance(p, TextPart) and p.weight > 0]
        return self._lexical.query(" ".join(wanted))


def _second(query: Query, by: Vector | BestScore | None) -> Rescore | Diversify | None:
    if by is None or isinstance(by, BestScore):
        return None
    if query.diversity:
        return Diversify(by, query.diversity)
    return Rescore(by) if query.rescore else None


def _this_hour() -> datetime:
    """Whole hours, so that the pages of one search are cut from one ranking."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


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
