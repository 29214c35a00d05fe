"""What both stores promise about fusion, strategies, second stages, boosts and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.qdrant_paging import LEG_POINTS, RESULT_SET_POINTS, Window
from gateway.domain.boosts import Boost, Flagged, Fresh, Near, Popular
from gateway.domain.deadline import Deadline
from gateway.domain.items import Item, point_id
from gateway.domain.payload import to_payload
from gateway.domain.plan import BestScore, Diversify, Rescore, SearchPlan, Sparse
from gateway.domain.ports import CatalogIndex, Point
from gateway.domain.query import Fusion, Hit
from gateway.domain.vectors import Batch, Vector
from tests.contract.catalog import (
    DIM,
    MIDSUMMER,
    NO_WORDS,
    SPEC,
    SPEC_OF_ALL_FIELDS,
    Shelf,
    ids,
    plan,
    shelf,
    stocked,
    unit_rows,
)
from tests.contract.test_search import BM25, with_words, word_point

NORTH, EAST, SOUTH = np.eye(DIM, dtype=np.float32)[:3]
TERMS = Sparse((1, 5, 9), (1.0, 1.0, 1.0))


def single_pictures(seed: int, items: int) -> Shelf:
    """A catalogue in which every item has one picture."""
    return shelf(seed, items=items, most_pictures=1)


async def stock_with_words(index: CatalogIndex, stock: Shelf, seed: int) -> None:
    await index.create(SPEC)
    await index.upsert(SPEC.name, with_words(stock, seed))


def scaled(scores: Sequence[float]) -> list[float]:
    """A leg's scores as DBSF takes them: mean less three standard deviations is 0, plus is 1."""
    low, high = (np.mean(scores) + sign * 3 * np.std(scores, ddof=1) for sign in (-1, 1))
    return [float((score - low) / (high - low)) for score in scores]


async def test_dbsf_adds_the_scaled_scores_of_both_legs(
    index: CatalogIndex, soon: Deadline
) -> None:
    await stock_with_words(index, single_pictures(40, 40), 40)
    expected: dict[str, float] = {}
    for leg in (plan(NORTH, limit=1000), plan(lexical=TERMS, limit=1000)):
        hits = await index.search(SPEC.name, leg, soon)
        for hit, share in zip(hits, scaled([hit.score for hit in hits]), strict=True):
            expected[hit.item_id] = expected.get(hit.item_id, 0.0) + share
    fused = replace(plan(NORTH, TERMS, limit=1000), fusion=Fusion.DBSF)
    hits = await index.search(SPEC.name, fused, soon)
    assert {hit.item_id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-4)


async def test_best_score_compares_with_the_example_that_is_most_alike(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, single_pictures(41, 80))
    examples = BestScore((NORTH, EAST), (SOUTH,))
    hits = await index.search(SPEC.name, plan(examples, limit=1000), soon)

    def by_hand(vector: Vector) -> tuple[bool, float]:
        wanted, unwanted = max(vector[0], vector[1]), vector[2]
        return (True, float(wanted)) if wanted > unwanted else (False, -float(unwanted))

    best = {name: by_hand(vectors[0]) for name, vectors in stock.vectors.items()}
    assert ids(hits) == sorted(best, key=lambda name: best[name], reverse=True)
    assert all((hit.score > 0) == best[hit.item_id][0] for hit in hits)


async def test_rescoring_orders_the_candidates_by_exact_cosine(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = single_pictures(42, 90)
    await stock_with_words(index, stock, 42)
    for legs in (plan(NORTH, TERMS, limit=1000), plan(lexical=TERMS, limit=1000)):
        candidates = set(ids(await index.search(SPEC.name, legs, soon)))
        again = replace(legs, second=Rescore(EAST))
        hits = await index.search(SPEC.name, again, soon)
        expected = stock.nearest(EAST, candidates)
        assert ids(hits) == [name for name, _ in expected]
        cosines = [score for _, score in expected]
        assert [hit.score for hit in hits] == pytest.approx(cosines, abs=1e-5)
        warm = await index.search(SPEC.name, replace(again, min_score=0.2), soon)
        assert min(hit.score for hit in warm) >= 0.2


def mmr(vectors: Batch, query: Vector, diversity: float) -> list[int]:
    """Maximal marginal relevance, the slow way."""
    relevance = vectors @ query
    chosen = [int(np.argmax(relevance))]
    while len(chosen) < len(vectors):
        alike = (vectors @ vectors[chosen].T).max(axis=1)
        worth = (1 - diversity) * relevance - diversity * alike
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
    return chosen


@pytest.mark.parametrize("diversity", [0.2, 0.7])
async def test_diversity_is_maximal_marginal_relevance(
    index: CatalogIndex, soon: Deadline, diversity: float
) -> None:
    stock = await stocked(index, single_pictures(43, 60))
    vectors = np.concatenate([stock.vectors[item.id] for item in stock.items])
    for query in unit_rows(np.random.default_rng(43), 4):
        one = replace(plan(query, limit=1000), second=Diversify(query, diversity))
        hits = await index.search(SPEC.name, one, soon)
        expected = [stock.items[number].id for number in mmr(vectors, query, diversity)]
        assert ids(hits) == expected
        cosines = dict(stock.nearest(query))
        assert [h.score for h in hits] == pytest.approx([cosines[n] for n in expected], abs=1e-5)


async def test_diverse_hits_come_from_both_legs(index: CatalogIndex, soon: Deadline) -> None:
    stock = single_pictures(44, 60)
    await stock_with_words(index, stock, 44)
    both = plan(NORTH, TERMS, limit=1000)
    candidates = ids(await index.search(SPEC.name, both, soon))
    diverse = replace(both, second=Diversify(NORTH, 0.5))
    assert set(ids(await index.search(SPEC.name, diverse, soon))) == set(candidates)


BOOSTS: dict[str, tuple[Boost, Callable[[Item], float]]] = {
    "a true flag": (
        Flagged("attributes.sale", 0.4),
        lambda i: 0.4 if i.attributes["sale"] is True else 0.0,
    ),
    "a number": (
        Popular("attributes.stock", 0.8, 2.0),
        lambda i: 0.8 * number(i, "stock") / (number(i, "stock") + 2.0),
    ),
    "a date": (
        Fresh("attributes.added", 1.5, 90.0),
        lambda i: 1.5 * 0.5 ** (age_days(i) / 90.0),
    ),
    "a price": (
        Near("price", 0.9, 60.0, 25.0),
        lambda i: 0.0 if i.price is None else 0.9 * 0.5 ** (((i.price - 60.0) / 25.0) ** 2),
    ),
    "something unwanted": (
        Flagged("attributes.sale", -0.5),
        lambda i: -0.5 if i.attributes["sale"] is True else 0.0,
    ),
}


def number(item: Item, name: str) -> float:
    value = item.attributes[name]
    assert isinstance(value, int)
    return float(value)


def age_days(item: Item) -> float:
    """Days before midsummer; no end of them for an item without a date."""
    added = item.attributes.get("added")
    if added is None:
        return float("inf")
    return (MIDSUMMER - datetime.fromisoformat(str(added))).total_seconds() / 86_400


def boosted(scores: dict[str, float], stock: Shelf, cases: Sequence[str]) -> dict[str, float]:
    """The formula of `gateway.domain.boosts`, by hand."""
    items = {item.id: item for item in stock.items}
    return {
        name: score + abs(score) * sum(BOOSTS[case][1](items[name]) for case in cases)
        for name, score in scores.items()
    }


async def test_boosts_add_their_share_of_the_score(index: CatalogIndex, soon: Deadline) -> None:
    stock = await stocked(index, single_pictures(45, 80), SPEC_OF_ALL_FIELDS)
    scores = dict(stock.nearest(NORTH))
    for cases in (*((case,) for case in BOOSTS), ("a true flag", "a number", "a date", "a price")):
        boosts = tuple(BOOSTS[case][0] for case in cases)
        one = replace(plan(NORTH, limit=1000), boosts=boosts, at=MIDSUMMER)
        hits = await index.search(SPEC.name, one, soon)
        expected = boosted(scores, stock, cases)
        assert {h.item_id: h.score for h in hits} == pytest.approx(expected, abs=1e-4), cases
        assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)


async def test_boosts_count_the_same_in_any_unit_of_score(
    index: CatalogIndex, soon: Deadline
) -> None:
    """A fused score of 0.03 and a cosine of 0.3 grow by the same share."""
    stock = single_pictures(46, 60)
    await index.create(SPEC_OF_ALL_FIELDS)
    await index.upsert(SPEC.name, with_words(stock, 46))
    both = plan(NORTH, TERMS, limit=1000)
    plain = {h.item_id: h.score for h in await index.search(SPEC.name, both, soon)}
    again = replace(both, boosts=(BOOSTS["a true flag"][0],))
    hits = await index.search(SPEC.name, again, soon)
    expected = boosted(plain, stock, ["a true flag"])
    assert {h.item_id: h.score for h in hits} == pytest.approx(expected, rel=1e-4)


async def test_boosts_come_after_rescoring(index: CatalogIndex, soon: Deadline) -> None:
    stock = single_pictures(47, 60)
    await index.create(SPEC_OF_ALL_FIELDS)
    await index.upsert(SPEC.name, with_words(stock, 47))
    one = replace(
        plan(NORTH, TERMS, limit=1000),
        second=Rescore(NORTH),
        boosts=(BOOSTS["a price"][0],),
    )
    hits = await index.search(SPEC.name, one, soon)
    expected = boosted(dict(stock.nearest(NORTH, ids(hits))), stock, ["a price"])
    assert {h.item_id: h.score for h in hits} == pytest.approx(expected, abs=1e-4)


def styles(stock: Shelf) -> dict[str, object]:
    """What each item is grouped by; itself if it has no style."""
    return {item.id: item.attributes.get("style", item.id) for item in stock.items}


async def test_a_group_answers_once_by_its_best_item_and_names_the_others(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(48, items=60))
    one = replace(plan(NORTH, limit=1000, fields=("title",)), group_by="attributes.style")
    hits = await index.search(SPEC.name, one, soon)
    style_of = styles(stock)
    members: dict[object, list[str]] = {}
    for name, _ in stock.nearest(NORTH):
        members.setdefault(style_of[name], []).append(name)
    assert [[h.item_id, *h.others] for h in hits] == list(members.values())
    assert all(h.group == (style_of[h.item_id] if h.others else h.group) for h in hits)
    assert {h.group for h in hits if style_of[h.item_id] == h.item_id} == {None}
    assert all(set(h.item) == {"title"} for h in hits)


async def test_a_field_of_several_values_groups_by_all_of_them(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(49, items=40))
    one = replace(plan(NORTH, limit=1000), group_by="attributes.sizes")
    groups = [hit.group for hit in await index.search(SPEC.name, one, soon)]
    assert len(groups) == len(set(groups)) == len({i.attributes["sizes"] for i in stock.items})


async def test_few_groups_do_not_make_a_search_read_everything(
    edge: EdgeIndex, soon: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    await edge.create(SPEC)
    vectors = unit_rows(np.random.default_rng(50), 3_000)
    await edge.upsert(SPEC.name, [style_point(n, vector) for n, vector in enumerate(vectors)])
    from gateway.adapters import qdrant_edge_query

    original = qdrant_edge_query.search_request

    def counted(plan: SearchPlan, window: Window, keys: Sequence[str] | None) -> object:
        request = original(plan, window, keys)
        read.append(request.limit)
        return request

    monkeypatch.setattr(qdrant_edge_query, "search_request", counted)
    one = replace(plan(NORTH), group_by="attributes.style")
    hits = await edge.search(SPEC.name, one, soon)
    assert sorted(str(hit.group) for hit in hits) == ["a", "b"]
    assert read == [48, LEG_POINTS, RESULT_SET_POINTS]


def style_point(number: int, vector: Vector) -> Point:
    item = Item(f"sku-{number}", "t", ("a.jpg",), attributes={"style": "ab"[number % 2]})
    return Point(point_id(item.id, 0), vector, NO_WORDS, to_payload(item, 0, ""))


async def test_facets_count_the_items_of_the_result_set(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(53, items=70))
    near = [item for item in stock.items if dict(stock.nearest(NORTH))[item.id] >= 0.1]
    fields = ("category", "attributes.sale", "attributes.sizes", "attributes.stock")
    one = replace(plan(NORTH, limit=3, offset=2, min_score=0.1), second=Diversify(NORTH, 0.5))
    facets = await index.facets(SPEC.name, one, fields, soon)
    assert list(facets) == list(fields)
    for field in fields:
        expected: Counter[object] = Counter()
        for item in near:
            value = item.category if field == "category" else item.attributes[field[11:]]
            expected.update(value if isinstance(value, tuple) else [value])
        counts = facets[field]
        assert {c.value: c.count for c in counts} == expected
        assert [c.count for c in counts] == sorted((c.count for c in counts), reverse=True)
    assert {type(c.value) for c in facets["attributes.sale"]} == {bool}


async def test_facets_stop_at_the_result_set_and_of_nothing_are_empty(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC)
    vectors = unit_rows(np.random.default_rng(54), RESULT_SET_POINTS + 100)
    await index.upsert(SPEC.name, [style_point(n, vector) for n, vector in enumerate(vectors)])
    facets = await index.facets(SPEC.name, plan(NORTH), ("attributes.style",), soon)
    assert sum(c.count for c in facets["attributes.style"]) == RESULT_SET_POINTS
    nothing = await index.facets(SPEC.name, plan(lexical=NO_WORDS), ("attributes.style",), soon)
    assert nothing == {"attributes.style": ()}


OPTIONS: dict[str, SearchPlan] = {
    "dbsf": replace(plan(NORTH, TERMS), fusion=Fusion.DBSF),
    "best score": plan(BestScore((NORTH, EAST), (SOUTH,)), TERMS),
    "best score alone": plan(BestScore((NORTH,), (SOUTH,))),
    "rescored": replace(plan(NORTH, TERMS), second=Rescore(NORTH)),
    "rescored words": replace(plan(lexical=TERMS), second=Rescore(NORTH)),
    "diverse": replace(plan(NORTH), second=Diversify(NORTH, 0.4)),
    "diverse, both legs": replace(plan(NORTH, TERMS), second=Diversify(NORTH, 0.4)),
    "boosted": replace(
        plan(NORTH, TERMS), at=MIDSUMMER,
        boosts=tuple(BOOSTS[case][0] for case in ("a true flag", "a date", "a price")),
    ),
    "grouped": replace(plan(NORTH, TERMS), group_by="attributes.style"),
    "grouped, boosted": replace(
        plan(NORTH), group_by="attributes.sizes", boosts=(BOOSTS["a number"][0],)
    ),
}  # fmt: skip


async def test_pages_of_any_option_neither_repeat_nor_skip(
    index: CatalogIndex, soon: Deadline
) -> None:
    """More pictures than the candidates of the first pages, so that the windows grow."""
    stock = shelf(51, items=150, most_pictures=3)
    await index.create(SPEC_OF_ALL_FIELDS)
    await index.upsert(SPEC.name, with_words(stock, 51))
    assert len(stock.points()) > LEG_POINTS
    for case, one in OPTIONS.items():
        whole = await index.search(SPEC.name, replace(one, limit=1000), soon)
        pages: list[Hit] = []
        for offset in range(0, len(whole) + 75, 75):
            page = replace(one, limit=75, offset=offset)
            pages += await index.search(SPEC.name, page, soon)
        assert ids(pages) == ids(whole), case
        assert len(set(ids(whole))) == len(whole), case
        if one.group_by is None and one.dense is not None:
            assert len(whole) == len(stock.items), case


async def test_both_stores_give_the_same_answers_to_any_option(
    edge: EdgeIndex, cluster: ClusterIndex, soon: Deadline
) -> None:
    points = with_words(shelf(52, items=90, most_pictures=2), seed=52)
    for index in (edge, cluster):
        await index.create(SPEC_OF_ALL_FIELDS)
        await index.upsert(SPEC.name, points)
    for case, one in OPTIONS.items():
        ours = await edge.search(SPEC.name, replace(one, limit=60), soon)
        theirs = await cluster.search(SPEC.name, replace(one, limit=60), soon)
        assert ids(ours) == ids(theirs), case
        assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], abs=1e-4), case
        assert [(h.group, h.others) for h in ours] == [(h.group, h.others) for h in theirs], case


async def test_stages_of_nothing_find_nothing(index: CatalogIndex, soon: Deadline) -> None:
    await index.create(SPEC)
    await index.upsert(SPEC.name, [word_point("a", "red shoe", NORTH)])
    nothing = plan(lexical=BM25.query("sandal"))
    for one in (nothing, replace(nothing, second=Rescore(NORTH))):
        assert await index.search(SPEC.name, one, soon) == []
        assert await index.search(SPEC.name, replace(one, group_by="category"), soon) == []
