"""What both stores promise about a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import numpy as np
import pytest

from gateway.adapters.bm25 import Bm25Model
from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.domain import payload as payloads
from gateway.domain.deadline import Deadline
from gateway.domain.filters import Filter, MatchValue
from gateway.domain.items import Item, point_id
from gateway.domain.plan import SearchPlan, Sparse
from gateway.domain.ports import CatalogIndex, Point
from gateway.domain.query import Hit
from gateway.domain.vectors import Vector
from tests.contract.catalog import DIM, SPEC, Shelf, ids, plan, shelf, stocked, unit_rows

NORTH, EAST = np.eye(DIM, dtype=np.float32)[:2]
HATS = MatchValue("category", "hats")


async def test_items_come_in_the_order_of_their_best_pictures_exact_cosine(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(10, items=120))
    for query in unit_rows(np.random.default_rng(10), 20):
        hits = await index.search(SPEC.name, plan(query, limit=1000), soon)
        expected = stock.nearest(query)
        assert ids(hits) == [name for name, _ in expected]
        scores = [score for _, score in expected]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=1e-5)


async def test_a_hit_names_its_best_picture(index: CatalogIndex, soon: Deadline) -> None:
    stock = await stocked(index, shelf(11))
    for item in stock.items[:10]:
        for number, vector in enumerate(stock.vectors[item.id]):
            hit = (await index.search(SPEC.name, plan(vector, limit=1), soon))[0]
            assert (hit.item_id, hit.picture) == (item.id, item.pictures[number])
            assert hit.score == pytest.approx(1.0, abs=1e-5)


async def test_pages_of_any_size_are_slices_of_one_ranking(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(12, items=90))
    query = unit_rows(np.random.default_rng(12), 1)[0]
    whole = [name for name, _ in stock.nearest(query)]
    for size in (1, 7, 20, 64):
        pages = [
            ids(await index.search(SPEC.name, plan(query, limit=size, offset=offset), soon))
            for offset in range(0, len(whole) + size, size)
        ]
        assert list(chain.from_iterable(pages)) == whole
        assert pages[-1] == [] or len(pages[-1]) < size


async def test_pages_of_a_hybrid_search_neither_repeat_nor_skip(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = with_words(shelf(13, items=150, most_pictures=5), seed=13)
    await index.create(SPEC)
    await index.upsert(SPEC.name, stock)
    query = plan_of_both_legs(13)
    seen: list[str] = []
    for offset in range(0, 160, 20):
        page = await index.search(SPEC.name, query(20, offset), soon)
        assert len(page) == min(20, 150 - offset) if offset < 150 else not page
        seen += ids(page)
    assert len(seen) == len(set(seen)) == 150


async def test_many_pictures_of_one_item_do_not_make_a_page_short(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = shelf(14, items=30, most_pictures=1)
    crowd = Item("crowd", "crowd", tuple(f"{n}.jpg" for n in range(300)))
    close = NORTH + 0.01 * unit_rows(np.random.default_rng(14), 300)
    close /= np.linalg.norm(close, axis=1, keepdims=True)
    await stocked(index, Shelf((*stock.items, crowd), {**stock.vectors, "crowd": close}))
    hits = await index.search(SPEC.name, plan(NORTH, limit=20), soon)
    assert ids(hits) == ["crowd", *(name for name, _ in stock.nearest(NORTH)[:19])]


async def test_excluded_items_do_not_answer(index: CatalogIndex, soon: Deadline) -> None:
    stock = await stocked(index, shelf(16))
    ranking = [name for name, _ in stock.nearest(NORTH)]
    out = (ranking[0], ranking[3])
    hits = await index.search(SPEC.name, plan(NORTH, exclude=out, limit=1000), soon)
    assert ids(hits) == [name for name in ranking if name not in out]
    hats = [item.id for item in stock.items if item.category == "hats"]
    both = plan(NORTH, only=Filter(must=(HATS,)), exclude=(hats[0],), limit=1000)
    assert set(ids(await index.search(SPEC.name, both, soon))) == set(hats[1:])


async def test_min_score_is_a_least_cosine(index: CatalogIndex, soon: Deadline) -> None:
    stock = await stocked(index, shelf(17))
    expected = [name for name, score in stock.nearest(NORTH) if score >= 0.3]
    assert 0 < len(expected) < len(stock.items)
    hits = await index.search(SPEC.name, plan(NORTH, min_score=0.3, limit=1000), soon)
    assert ids(hits) == expected


async def test_an_item_shows_the_fields_that_were_asked_for(
    index: CatalogIndex, soon: Deadline
) -> None:
    stock = await stocked(index, shelf(18, items=3))
    whole = {item.id: payloads.to_payload(item, 0, "") for item in stock.items}
    for fields in (None, ("title", "price"), ("id",), (), ("unknown",)):
        for hit in await index.search(SPEC.name, plan(NORTH, fields=fields), soon):
            assert hit.item == payloads.public(whole[hit.item_id], fields)


BM25 = Bm25Model()


def word_point(item_id: str, text: str, image: Vector) -> Point:
    """An item that is one picture and some words."""
    payload = payloads.to_payload(Item(item_id, text, (f"{item_id}.jpg",)), 0, "")
    return Point(point_id(item_id, 0), image, BM25.document(text), payload)


async def test_a_rare_word_counts_more_than_a_common_one(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC)
    common = [word_point(f"shoe-{n}", "shoe", NORTH) for n in range(20)]
    await index.upsert(SPEC.name, [*common, word_point("rare", "sandal", NORTH)])
    hits = await index.search(SPEC.name, plan(lexical=BM25.query("shoe sandal")), soon)
    assert ids(hits)[0] == "rare"
    # The formula of Robertson and Spärck Jones, with the 1 that keeps it above zero.
    idf = np.log(1 + (21 - 1 + 0.5) / (1 + 0.5))
    assert hits[0].score == pytest.approx(idf * BM25.document("sandal").values[0], rel=1e-4)
    assert len(hits) == 20


async def test_words_alone_find_only_items_that_have_one(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC)
    texts = {"a": "red leather shoe", "b": "blue hat", "c": "", "d": "shoes, two of them"}
    await index.upsert(SPEC.name, [word_point(k, text, NORTH) for k, text in texts.items()])
    hits = await index.search(SPEC.name, plan(lexical=BM25.query("Shoes")), soon)
    assert set(ids(hits)) == {"a", "d"}


async def test_words_that_say_nothing_find_nothing(index: CatalogIndex, soon: Deadline) -> None:
    await index.create(SPEC)
    await index.upsert(SPEC.name, [word_point("a", "red shoe", NORTH)])
    for nothing in ("", "the of", "?!"):
        words = BM25.query(nothing)
        assert await index.search(SPEC.name, plan(lexical=words), soon) == []
        hits = await index.search(SPEC.name, plan(NORTH, words), soon)
        assert [hit.score for hit in hits] == pytest.approx([1.0])


async def test_a_hybrid_search_fuses_the_ranks_of_both_legs(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC)
    between = ((NORTH + EAST) / np.sqrt(2)).astype(np.float32)
    await index.upsert(
        SPEC.name,
        [
            word_point("looks", "hat", NORTH),
            word_point("reads", "sandal sandal sandal", -NORTH),
            word_point("both", "sandal and other things besides", between),
        ],
    )
    hits = await index.search(SPEC.name, plan(NORTH, BM25.query("sandal")), soon)
    # Ranks from 0: "reads" is third by its picture and first by its words.
    assert ids(hits) == ["reads", "both", "looks"]
    expected = [1 / 62 + 1 / 60, 1 / 61 + 1 / 61, 1 / 60]
    assert [hit.score for hit in hits] == pytest.approx(expected, rel=1e-5)


async def test_a_filter_holds_for_both_legs_and_min_score_for_the_dense_one(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC)
    points = [word_point("a", "sandal", -NORTH), word_point("b", "sandal", NORTH)]
    points += [word_point("c", "hat", EAST), word_point("d", "hat", NORTH)]
    await index.upsert(SPEC.name, points)
    only = Filter(must_not=(MatchValue("id", "b"),))
    query = plan(NORTH, BM25.query("sandal"), only=only, min_score=0.5)
    assert set(ids(await index.search(SPEC.name, query, soon))) == {"a", "d"}


def with_words(stock: Shelf, seed: int) -> list[Point]:
    """The shelf's points with random weights of 30 terms: no two scores are equal."""
    rng = np.random.default_rng(seed)
    points = []
    for point in stock.points():
        terms = tuple(int(t) for t in sorted(rng.choice(30, size=8, replace=False)))
        weights = tuple(float(w) for w in rng.uniform(0.5, 2.0, size=8))
        points.append(Point(point.id, point.image, Sparse(terms, weights), point.payload))
    return points


def plan_of_both_legs(seed: int) -> Callable[[int, int], SearchPlan]:
    """Plans of one hybrid query, by limit and offset."""
    dense = unit_rows(np.random.default_rng(seed + 1), 1)[0]
    return lambda limit, offset: plan(
        dense, Sparse((1, 5, 9), (1.0, 1.0, 1.0)), limit=limit, offset=offset
    )


def ranking(hits: Sequence[Hit]) -> list[tuple[float, str]]:
    """Scores and items, with equal scores in one order."""
    return sorted(((round(hit.score, 4), hit.item_id) for hit in hits), key=lambda p: (-p[0], p[1]))


async def test_both_stores_give_the_same_answers(
    edge: EdgeIndex, cluster: ClusterIndex, soon: Deadline
) -> None:
    points = with_words(shelf(19, items=120), seed=19)
    dense, *others = unit_rows(np.random.default_rng(20), 20)
    terms = Sparse((1, 5, 9), (1.0, 1.0, 1.0))
    plans = [
        plan(dense),
        plan(lexical=terms),
        plan(dense, terms),
        plan(dense, terms, only=Filter(must=(HATS,)), min_score=0.1, offset=5),
        plan(dense, terms, limit=200),
        *(plan(other, terms) for other in others),
    ]
    for index in (edge, cluster):
        await index.create(SPEC)
        await index.upsert(SPEC.name, points)
    for each in plans:
        one = await edge.search(SPEC.name, each, soon)
        other = await cluster.search(SPEC.name, each, soon)
        assert ranking(one) == ranking(other)
        assert {h.item_id: (h.picture, h.item) for h in one} == {
            h.item_id: (h.picture, h.item) for h in other
        }
