"""One search, from the query to the shop's items."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.errors import ModelUnavailable
from gateway.domain.payload import public
from gateway.domain.plan import BestScore, Diversify, Rescore, SearchPlan
from gateway.domain.ports import CatalogIndex, LexicalModel
from gateway.domain.query import (
    Caller,
    Facets,
    Hit,
    LegWeights,
    Mode,
    Query,
    QueryPart,
    SearchResult,
)
from gateway.domain.vectors import Vector
from gateway.services.active_release import ActiveRelease, AnsweringRelease, Route
from gateway.services.admission import Admission
from gateway.services.confidence import cutoff_of, nearest_alone, reaches
from gateway.services.leg_scores import with_leg_scores
from gateway.services.part_vectors import PartVectors, combined, no_such_item
from gateway.services.query_check import check_parts, check_query, resolve_mode
from gateway.services.query_tokens import recalled, share_key, token_of, wanted_words
from gateway.services.side_by_side import side_by_side
from gateway.telemetry import Timings
from gateway.telemetry.request_record import note

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


@dataclass(frozen=True, slots=True)
class _Page:
    hits: list[Hit]
    facets: Facets
    confident: bool | None


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
        without_model: WithoutModel = WithoutModel.REFUSE,
    ) -> None:
        self._releases = releases
        self._vectors = vectors
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
            parts = recalled(query.parts)
            if parts is not query.parts:
                query = replace(query, parts=parts)
            route = Route(partial(share_key, query, caller), caller.release)
            active = self._releases.answering(route)
            check_query(query, active)
            self._index.require_there()
            timings = Timings(self._admission.metrics)
            started_s = time.perf_counter()
            mode, degraded = resolve_mode(query), False
            note(active.id, mode)
            try:
                by = await self._searched_by(query, mode, active, deadline, timings)
            except ModelUnavailable:
                if mode is not Mode.HYBRID or self._without_model is WithoutModel.REFUSE:
                    raise
                mode, by, degraded = Mode.TEXT, None, True
                self._admission.metrics.degraded.inc()
                note(mode=mode)
            plan = self._plan(query, mode, by)
            with timings.stage("search"):
                page = await self._page(query, plan, by, active, deadline)
                if query.scores:
                    hits = await with_leg_scores(
                        self._index, active.collection.name, plan, page.hits, deadline
                    )
                    page = replace(page, hits=hits)
            self._count(query, active, page)
            result = SearchResult(
                hits=tuple(page.hits),
                release=active.id,
                mode=mode,
                timings=timings.seconds,
                facets=page.facets,
                query_token=None if degraded else _token(query, active, by),
                confident=page.confident,
                degraded=degraded,
            )
            if self._observe is not None and not degraded:
                self._observe(Answered(query, route, active, result, _since(started_s)))
            return result

    def _count(self, query: Query, active: ActiveRelease, page: _Page) -> None:
        metrics = self._admission.metrics
        metrics.searches.labels(active.id).inc()
        if query.offset > 0:
            return  # a further page says nothing new of the match
        if page.confident is not None:
            metrics.best_match[page.confident].inc()
        if not page.hits:
            metrics.empty_searches.inc()

    async def embed(
        self, parts: Sequence[QueryPart], deadline: Deadline
    ) -> tuple[list[Vector], str]:
        """The unit vector of each part in the active release's space, and that release's id.

        Raises as `search` does.
        """
        with self._admission.admitted():
            active = self._releases.active()
            note(active.id)
            read = recalled(tuple(parts))
            check_parts(read, active)
            timings = Timings(self._admission.metrics)
            return await self._vectors.of(read, active, deadline, timings), active.id

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
        if mode is Mode.TEXT and not (query.rescore or query.diversity or query.return_query):
            return None
        vectors = await self._vectors.of(query.parts, active, deadline, timings)
        return combined(vectors, query.parts, query.strategy)

    async def _page(
        self,
        query: Query,
        plan: SearchPlan,
        by: Vector | BestScore | None,
        active: ActiveRelease,
        deadline: Deadline,
    ) -> _Page:
        """The page; and beside it, only where they are needed, the counts over the whole result set
        and the best cosine."""
        index, name, cutoff = self._index, active.collection.name, cutoff_of(query, active, by)
        nearest = None if cutoff is None else nearest_alone(plan, by)
        if nearest is None and not query.facets:
            hits = await index.search(name, plan, deadline)
            return _Page(hits, {}, None if cutoff is None else reaches(hits, cutoff))
        async with side_by_side() as group:
            page = group.create_task(index.search(name, plan, deadline))
            best = group.create_task(index.search(name, nearest, deadline)) if nearest else page
            counts = group.create_task(index.facets(name, plan, query.facets, deadline))
        confident = None if cutoff is None else reaches(best.result(), cutoff)
        return _Page(page.result(), counts.result(), confident)

    def _plan(self, query: Query, mode: Mode, by: Vector | BestScore | None) -> SearchPlan:
        return SearchPlan(
            dense=None if mode is Mode.TEXT else by,
            lexical=None if mode is Mode.VECTOR else self._lexical.query(wanted_words(query.parts)),
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


def _second(query: Query, by: Vector | BestScore | None) -> Rescore | Diversify | None:
    if by is None or isinstance(by, BestScore):
        return None
    if query.diversity:
        return Diversify(by, query.diversity)
    return Rescore(by) if query.rescore else None


def _token(query: Query, active: ActiveRelease, by: Vector | BestScore | None) -> str | None:
    if not query.return_query:
        return None
    assert isinstance(by, np.ndarray), "options that leave no one vector were refused"
    return token_of(query, active, by)


def _this_hour() -> datetime:
    """Whole hours, so that the pages of one search are cut from one ranking."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def _since(started_s: float) -> float:
    return time.perf_counter() - started_s
