"""What both stores promise about a plan's weights and beam."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gateway.adapters import qdrant_cluster_query, qdrant_edge_query
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.qdrant_edge_query import EdgeOptions
from gateway.adapters.qdrant_paging import Window
from gateway.domain.deadline import Deadline
from gateway.domain.plan import SearchPlan
from gateway.domain.ports import CatalogIndex
from gateway.domain.query import Beam, Exact, LegWeights
from tests.contract.catalog import DIM, SPEC, ids, plan, shelf, stocked, unit_rows
from tests.contract.test_search import BM25, word_point

NORTH, EAST = np.eye(DIM, dtype=np.float32)[:2]
BETWEEN = ((NORTH + EAST) / np.sqrt(2)).astype(np.float32)
BOTH_LEGS = plan(NORTH, BM25.query("sandal"))


async def stock_two_opinions(index: CatalogIndex) -> None:
    """By looks: looks, both, reads. By words: reads, both."""
    await index.create(SPEC)
    await index.upsert(
        SPEC.name,
        [
            word_point("looks", "hat", NORTH),
            word_point("reads", "sandal sandal sandal", -NORTH),
            word_point("both", "sandal and other things besides", BETWEEN),
        ],
    )


def rrf(rank: int, weight: float) -> float:
    """What a leg gives its rank, counted from 0."""
    return 1 / ((rank + 1) / weight + 59)


@pytest.mark.parametrize("weights", [LegWeights(), LegWeights(3, 1), LegWeights(1, 0.1)])
async def test_weights_divide_the_ranks_of_their_own_leg(
    index: CatalogIndex, soon: Deadline, weights: LegWeights
) -> None:
    await stock_two_opinions(index)
    hits = await index.search(SPEC.name, replace(BOTH_LEGS, weights=weights), soon)
    expected = {
        "looks": rrf(0, weights.dense),
        "both": rrf(1, weights.dense) + rrf(1, weights.lexical),
        "reads": rrf(2, weights.dense) + rrf(0, weights.lexical),
    }
    assert {hit.item_id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-5)
    assert ids(hits) == sorted(expected, key=lambda name: -expected[name])


async def test_a_small_weight_lets_the_other_leg_decide(
    index: CatalogIndex, soon: Deadline
) -> None:
    await stock_two_opinions(index)
    looks = replace(BOTH_LEGS, weights=LegWeights(1, 0.0))
    reads = replace(BOTH_LEGS, weights=LegWeights(0.001, 1))
    assert ids(await index.search(SPEC.name, looks, soon)) == ["looks", "both", "reads"]
    assert ids(await index.search(SPEC.name, reads, soon)) == ["reads", "both", "looks"]


async def test_equal_weights_are_what_a_plan_has_if_it_says_nothing(
    index: CatalogIndex, soon: Deadline
) -> None:
    await stock_two_opinions(index)
    silent = await index.search(SPEC.name, BOTH_LEGS, soon)
    equal = await index.search(SPEC.name, replace(BOTH_LEGS, weights=LegWeights(1, 1)), soon)
    assert [(h.item_id, h.score) for h in silent] == [(h.item_id, h.score) for h in equal]


async def test_exact_search_is_the_answer_worked_out_by_hand(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(30, items=100))
    for query in unit_rows(np.random.default_rng(30), 5):
        hits = await index.search(SPEC.name, replace(plan(query), nearest=Exact()), soon)
        assert ids(hits) == [name for name, _ in stock.nearest(query)[:20]]


PLANS = [plan(NORTH), BOTH_LEGS]


@pytest.mark.parametrize("one", PLANS, ids=["one-leg", "two-legs"])
def test_the_beam_reaches_the_dense_leg_of_either_store(one: SearchPlan) -> None:
    window = Window(256, 48)
    for nearest, expected in ((Beam(77), (77, False)), (Exact(), (None, True))):
        changed = replace(one, nearest=nearest)
        cluster = qdrant_cluster_query.search_request(changed, window, None)
        edge = qdrant_edge_query.search_request(changed, window, None)
        params = [
            cluster.params or cluster.prefetch[0].params,  # type: ignore[index]  # a list
            edge.params or edge.prefetches[0].params,
        ]
        for found in params:
            assert found is not None
            assert (found.hnsw_ef, bool(found.exact)) == expected


@pytest.mark.slow
async def test_a_wider_beam_of_a_graph_finds_more_and_exact_search_finds_all(
    tmp_path: Path, soon: Deadline
) -> None:
    dim = 64
    spec = replace(SPEC, dim=dim, fields={})
    # A poor graph, so that what the beam misses is much.
    index = EdgeIndex.open(
        tmp_path, EdgeOptions(indexing_kb=1, full_scan_kb=1, m=4, ef_construct=8)
    )
    stock = shelf(31, items=3_000, most_pictures=1, dim=dim)
    await index.create(spec)
    await index.upsert(spec.name, stock.points())
    await index.optimize(spec.name)
    found = {"narrow": 0, "wide": 0, "exact": 0}
    searches: dict[str, Beam | Exact] = {"narrow": Beam(1), "wide": Beam(1_000), "exact": Exact()}
    for query in unit_rows(np.random.default_rng(31), 20, dim):
        truth = {name for name, _ in stock.nearest(query)[:10]}
        for name, nearest in searches.items():
            one = replace(plan(query, limit=10), nearest=nearest)
            found[name] += len(truth & set(ids(await index.search(spec.name, one, soon))))
    await index.close()
    assert found["exact"] == 200
    assert found["narrow"] < found["wide"] <= 200
