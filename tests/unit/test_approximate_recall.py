"""The approximate index against exact search: on a scan, and on a graph poor enough to miss."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gateway.adapters.bm25 import Bm25Model
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.qdrant_edge_query import EdgeOptions
from gateway.adapters.query_pictures import NoQueryPictures
from gateway.domain.items import Item, point_id
from gateway.domain.payload import to_payload
from gateway.domain.ports import CollectionInfo, CollectionSpec, Point
from gateway.domain.query import Hit, Mode, SearchResult
from gateway.services.active_release import ActiveRelease, PinnedRelease
from gateway.services.admission import Admission
from gateway.services.approximate_recall import BeamCurve, measure_beams, recall
from gateway.services.encoder import Encoder, TextVectorCache
from gateway.services.golden_set import GoldenQuery
from gateway.services.part_vectors import PartVectors
from gateway.services.search import SearchService
from gateway.telemetry import Metrics
from tests.fakes import DIM, ColourInference, colour_release
from tests.golden import golden_set, photo, words
from tests.shop import LIMITS, Shop

POINTS = 3_000
ASKED = 20


def ignore(_: int) -> None:
    """For progress that nobody watches."""


def result(*scores: float) -> SearchResult:
    hits = tuple(Hit(str(n), score, "", {}) for n, score in enumerate(scores))
    return SearchResult(hits, "r", Mode.VECTOR)


RECALLS: dict[str, tuple[tuple[float, ...], tuple[float, ...], float]] = {
    "all found": ((0.9, 0.8), (0.9, 0.8), 1),
    "the second missed": ((0.9, 0.8), (0.9, 0.7), 1 / 2),
    "nothing found": ((0.9, 0.8), (), 0),
    "fewer came": ((0.9, 0.8, 0.7), (0.9,), 1 / 3),
    "another one, as near as the last": ((0.9, 0.8), (0.9, 0.8 - 1e-7), 1),
    "a little less near is missed": ((0.9, 0.8), (0.9, 0.8 - 1e-5), 1 / 2),
    "nothing to find": ((), (), 1),
}


@pytest.mark.parametrize("case", RECALLS)
def test_recall_is_the_part_of_the_exact_answer_that_was_found(case: str) -> None:
    truth, found, expected = RECALLS[case]
    assert recall(result(*truth), result(*found)) == pytest.approx(expected)


async def measured(
    shop: Shop, golden: Sequence[GoldenQuery], beams: Sequence[int], counted: list[int]
) -> BeamCurve:
    info = await shop.index.describe("colours-v1")
    assert info is not None
    return await measure_beams(shop.gateway.search, golden, beams, info, counted.append)


async def test_a_collection_that_is_scanned_loses_nothing_and_says_so(
    shop: Shop, tmp_path: Path
) -> None:
    golden = golden_set(
        tmp_path, photo("orange", {"red-shoe": 1}), words("green hat", {"blue-hat": 1}),
        words("shirt", {"white-shirt": 1}) | {"mode": "text"},
    )  # fmt: skip
    counted: list[int] = []
    curve = await measured(shop, golden, (1, 64), counted)
    assert (curve.graph, curve.points, curve.queries) == (False, 6, 3)  # yellow-hat has 2 pictures
    assert [(beam.ef, beam.recall) for beam in curve.beams] == [(1, 1.0), (64, 1.0)]
    for latency in (curve.exact, *(beam.latency for beam in curve.beams)):
        assert 0 < latency.p50_s <= latency.p95_s < 1
    assert counted == [1, 2, 3]  # the exact pass, then the beams


@pytest.fixture
async def poor(tmp_path: Path) -> AsyncIterator[tuple[SearchService, CollectionInfo]]:
    """Random vectors behind a graph with so few links that a narrow beam misses much."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(POINTS, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = EdgeIndex.open(
        tmp_path / "index", EdgeOptions(indexing_kb=1, full_scan_kb=1, m=2, ef_construct=4)
    )
    spec = CollectionSpec("colours-v1", DIM, "f1", {})
    await index.create(spec)
    lexical = Bm25Model()
    await index.upsert(
        spec.name,
        [
            Point(
                point_id(str(number), 0),
                row,
                lexical.document("thing"),
                to_payload(Item(str(number), "Thing", ("a.png",)), 0, ""),
            )
            for number, row in enumerate(rows)
        ],
    )
    await index.optimize(spec.name)
    info = await index.describe(spec.name)
    assert info is not None
    metrics = Metrics()
    with ThreadPoolExecutor(1) as workers:
        encoder = Encoder(ColourInference(), LIMITS, workers, TextVectorCache(10, metrics))
        release = PinnedRelease(ActiveRelease(colour_release(), info))
        vectors = PartVectors(encoder, index, NoQueryPictures())
        yield SearchService(release, vectors, index, lexical, Admission(4, metrics)), info
    await index.close()


async def test_a_graph_loses_something_and_a_wider_beam_loses_less(
    poor: tuple[SearchService, CollectionInfo], tmp_path: Path
) -> None:
    service, info = poor
    asked = np.random.default_rng(6).normal(size=(ASKED, DIM))
    golden = golden_set(
        tmp_path, *({"query": [{"vector": row.tolist()}], "relevant": {"0": 1}} for row in asked)
    )
    curve = await measure_beams(service, golden, (1, 512), info, ignore)
    narrow, wide = curve.beams
    assert (curve.graph, curve.points, curve.queries) == (True, POINTS, ASKED)
    assert 0 < narrow.recall < wide.recall <= 1
    assert 0 < curve.exact.p50_s <= curve.exact.p95_s
