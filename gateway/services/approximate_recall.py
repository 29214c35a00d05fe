"""What the approximate index loses against exact search, and what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.ports import CollectionInfo
from gateway.domain.query import Beam, Exact, Mode, Query, SearchResult
from gateway.services.evaluation import Done
from gateway.services.golden_set import GoldenQuery
from gateway.services.retrieval_metrics import DEPTH
from gateway.services.search import SearchService
from gateway.services.subject import QUERY_TIMEOUT_S

DEFAULT_BEAMS = (16, 32, 64, 128, 256, 512)
# Cosines of one vector by two ways of adding differ by this much.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds in the index, one search at a time; embedding is not in it."""

    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class BeamPoint:
    """A beam `ef` points wide: the mean fraction of the exact first DEPTH that it finds."""

    ef: int
    recall: float
    latency: Latency


@dataclass(frozen=True, slots=True)
class BeamCurve:
    """Recall against latency over `queries` queries, and exact search beside it.

    `graph` is whether a graph is walked at all. A collection of few `points` is scanned: then every
    beam finds everything, and `ef` means nothing.
    """

    queries: int
    points: int
    graph: bool
    exact: Latency
    beams: tuple[BeamPoint, ...]


async def measure_beams(
    service: SearchService,
    golden: Sequence[GoldenQuery],
    beams: Sequence[int],
    collection: CollectionInfo,
    done: Done,
) -> BeamCurve:
    """Each query by its vector alone, exactly and with each beam; `done` counts the passes.
    `collection` is the one that `service` searches."""
    queries = [
        replace(g.query, mode=Mode.VECTOR, limit=DEPTH, offset=0, fields=("id",)) for g in golden
    ]
    # The first pass fills caches, so it is not the one that is timed.
    await _pass(service, queries, Exact())
    truth = await _pass(service, queries, Exact())
    done(1)
    points = []
    for number, ef in enumerate(beams, start=2):
        found = await _pass(service, queries, Beam(ef))
        recalls = [recall(t, f) for t, f in zip(truth, found, strict=True)]
        points.append(BeamPoint(ef, float(np.mean(recalls)), _latency(found)))
        done(number)
    return BeamCurve(
        queries=len(queries),
        points=collection.points,
        graph=collection.graph,
        exact=_latency(truth),
        beams=tuple(points),
    )


def recall(truth: SearchResult, found: SearchResult) -> float:
    """The fraction of the exact answer that was found; as near as its last counts as in it."""
    if not truth.hits:
        return 1.0
    floor = truth.hits[-1].score - ROUNDING
    return min(1.0, sum(hit.score >= floor for hit in found.hits) / len(truth.hits))


async def _pass(
    service: SearchService, queries: Sequence[Query], nearest: Beam | Exact
) -> list[SearchResult]:
    return [
        await service.search(replace(query, nearest=nearest), Deadline.after(QUERY_TIMEOUT_S))
        for query in queries
    ]


def _latency(results: Sequence[SearchResult]) -> Latency:
    seconds = [result.timings["search"] for result in results]
    p50, p95 = np.percentile(seconds, [50, 95])
    return Latency(float(p50), float(p95))
