"""The evaluation of the toy shop, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log2
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytrec_eval")

from gateway.domain.errors import GoldenInvalid, Overloaded
from gateway.services.evaluation import (
    PATIENCE_S,
    Evaluation,
    Group,
    check_items,
    compare_releases,
    evaluate,
    worst,
)
from gateway.services.golden_set import GoldenQuery
from gateway.services.retrieval_metrics import METRICS
from gateway.services.subject import AS_ASKED, ReleaseInProcess
from tests.golden import BY_GREEN, BY_ORANGE, BY_YELLOW, golden_set, photo, words
from tests.shop import MAX_IN_FLIGHT, Shop

RELEASE = "colours-v1"

# The grades' order is not the answer's: the best item comes second, the second best fourth.
GRADED = photo(
    "orange",
    {"red-shoe": 3, "green-shoe": 2, "yellow-hat": 1},
    id="graded",
    variant="photo",
    category="shoes",
)
THIRD = photo("green", {"white-shirt": 1}, id="third", variant="photo", category="shirts")
FIRST = words("shirt", {"white-shirt": 1}, id="first", variant="title", category="shirts") | {
    "mode": "text"
}
SECOND = {
    "id": "second", "query": [{"image_file": "yellow.png"}, {"text": "yellow"}], "mode": "vector",
    "relevant": {"white-shirt": 1}, "variant": "detail", "category": "shirts",
}  # fmt: skip
ROWS = (GRADED, THIRD, FIRST, SECOND)

GRADED_NDCG = (1 + 3 / log2(3) + 2 / log2(5)) / (3 + 2 / log2(3) + 1 / log2(4))


def ignore(_: int) -> None:
    """For progress that nobody watches."""


async def evaluated(shop: Shop, golden: Sequence[GoldenQuery], seed: int = 0) -> Evaluation:
    subject = ReleaseInProcess(RELEASE, shop.gateway.search)
    return await evaluate(subject, golden, AS_ASKED, seed, ignore)


def means(groups: Sequence[Group], metric: str) -> dict[str, float]:
    return {group.name: group.metrics[metric].mean for group in groups}


async def test_every_query_has_the_figures_worked_out_by_hand(shop: Shop, tmp_path: Path) -> None:
    found = await evaluated(shop, golden_set(tmp_path, *ROWS))
    graded, third, first, second = found.outcomes
    assert graded.ranking == BY_ORANGE
    assert third.ranking[:3] == BY_GREEN
    assert first.ranking == ("white-shirt",)
    assert second.ranking[:2] == BY_YELLOW
    assert graded.metrics == pytest.approx(
        {"recall@1": 1 / 3, "recall@5": 1, "recall@10": 1, "precision@1": 1, "precision@5": 0.6,
         "precision@10": 0.3, "mrr@10": 1, "ndcg@10": GRADED_NDCG},
    )  # fmt: skip
    assert third.metrics == pytest.approx(
        {"recall@1": 0, "recall@5": 1, "recall@10": 1, "precision@1": 0, "precision@5": 0.2,
         "precision@10": 0.1, "mrr@10": 1 / 3, "ndcg@10": 1 / log2(4)},
    )  # fmt: skip
    assert (first.metrics["mrr@10"], first.metrics["ndcg@10"]) == (1, 1)
    assert second.metrics["ndcg@10"] == pytest.approx(1 / log2(3))


async def test_a_better_grade_in_the_same_place_is_worth_more(shop: Shop, tmp_path: Path) -> None:
    """orange: yellow-hat, red-shoe, …: the same two items, graded either way round."""
    right = photo("orange", {"yellow-hat": 3, "red-shoe": 1})
    wrong = photo("orange", {"yellow-hat": 1, "red-shoe": 3})
    better, worse = (await evaluated(shop, golden_set(tmp_path, right, wrong))).outcomes
    assert better.metrics["ndcg@10"] == pytest.approx(1)
    expected = (1 + 3 / log2(3)) / (3 + 1 / log2(3))
    assert worse.metrics["ndcg@10"] == pytest.approx(expected)
    assert better.metrics["recall@10"] == worse.metrics["recall@10"] == 1


async def test_groups_are_the_means_of_their_queries(shop: Shop, tmp_path: Path) -> None:
    found = await evaluated(shop, golden_set(tmp_path, *ROWS))
    assert (found.release, found.method) == (RELEASE, "as asked")
    assert means(found.kinds, "ndcg@10") == pytest.approx(
        {"hybrid": 1 / log2(3), "image": (GRADED_NDCG + 1 / 2) / 2, "text": 1}
    )
    assert means(found.variants, "recall@1") == pytest.approx(
        {"detail": 0, "photo": 1 / 6, "title": 1}
    )
    assert means(found.categories, "mrr@10") == pytest.approx(
        {"shirts": (1 / 3 + 1 + 1 / 2) / 3, "shoes": 1}
    )
    assert {g.name: g.queries for g in found.categories} == {"shirts": 3, "shoes": 1}
    assert found.overall.queries == 4
    for metric in METRICS:
        estimate = found.overall.metrics[metric]
        values = [outcome.metrics[metric] for outcome in found.outcomes]
        assert estimate.mean == pytest.approx(sum(values) / 4)
        assert min(values) <= estimate.low <= estimate.mean <= estimate.high <= max(values)


async def test_queries_without_variant_or_category_are_in_no_such_group(
    shop: Shop, tmp_path: Path
) -> None:
    found = await evaluated(shop, golden_set(tmp_path, words("hat", {"blue-hat": 1}), FIRST))
    assert [group.name for group in found.variants] == ["title"]
    assert [group.name for group in found.categories] == ["shirts"]
    assert [(group.name, group.queries) for group in found.kinds] == [("text", 2)]


async def test_the_same_seed_gives_the_same_report(shop: Shop, tmp_path: Path) -> None:
    golden = golden_set(tmp_path, *ROWS)
    one = await evaluated(shop, golden, seed=3)
    assert await evaluated(shop, golden, seed=3) == one
    other = await evaluated(shop, golden, seed=4)
    assert other.outcomes == one.outcomes
    assert other.overall.metrics["ndcg@10"].mean == one.overall.metrics["ndcg@10"].mean


async def test_what_a_line_asks_for_in_limit_and_offset_does_not_change_what_is_judged(
    shop: Shop, tmp_path: Path
) -> None:
    paged = THIRD | {"id": "paged", "limit": 1, "offset": 1}
    plain, other = (await evaluated(shop, golden_set(tmp_path, THIRD, paged))).outcomes
    assert other.metrics == plain.metrics


async def test_a_filter_and_a_least_score_are_part_of_the_query(shop: Shop, tmp_path: Path) -> None:
    hats = {"must": [{"key": "category", "match": {"value": "hats"}}]}
    filtered = photo("orange", {"blue-hat": 1}) | {"filter": hats}
    # blue is 0.05 from orange: what is asked for is not good enough to be shown.
    cut = photo("orange", {"blue-hat": 1}) | {"min_score": 0.4}
    second, none = (await evaluated(shop, golden_set(tmp_path, filtered, cut))).outcomes
    assert second.ranking == ("yellow-hat", "blue-hat")
    assert second.metrics["mrr@10"] == 1 / 2
    assert none.metrics == dict.fromkeys(METRICS, 0)


async def test_items_that_the_catalogue_does_not_have_are_named(shop: Shop, tmp_path: Path) -> None:
    subject = ReleaseInProcess(RELEASE, shop.gateway.search)
    good = words("hat", {"blue-hat": 1, "yellow-hat": 1}, id="good")
    await check_items(subject, golden_set(tmp_path, good), ignore)
    bad = words("x", {"blue-hat": 1, "gone-1": 1, "gone-2": 2, "gone-3": 1, "gone-4": 1}, id="bad")
    with pytest.raises(GoldenInvalid) as caught:
        await check_items(subject, golden_set(tmp_path, good, bad), ignore)
    assert caught.value.detail == (
        "4 of the golden set's 6 items are not in the catalogue of colours-v1: "
        "'gone-1', 'gone-2', 'gone-3', …; the first is in query bad."
    )


UNANSWERABLE: dict[str, tuple[dict[str, Any], str]] = {
    "unknown item": ({"query": [{"item": "gone"}]}, "no item 'gone'"),
    "no picture": ({"query": [{"image": "aGVsbG8="}]}, "picture"),
    "unknown field": (
        {"query": [{"text": "hat"}], "filter": {"must": [{"key": "x", "match": {"value": "y"}}]}},
        "'x'",
    ),
    "vector of another space": ({"query": [{"vector": [1, 0]}]}, "has 2 numbers"),
    "words wanted": ({"query": [{"item": "blue-hat"}], "mode": "text"}, "needs a text part"),
}


@pytest.mark.parametrize("fault", UNANSWERABLE)
async def test_a_query_that_cannot_be_answered_is_named(
    shop: Shop, tmp_path: Path, fault: str
) -> None:
    body, words_of_it = UNANSWERABLE[fault]
    golden = golden_set(tmp_path, FIRST, body | {"id": "q-bad", "relevant": {"blue-hat": 1}})
    with pytest.raises(GoldenInvalid, match=r"^Query q-bad cannot be answered: ") as caught:
        await evaluated(shop, golden)
    assert words_of_it in caught.value.detail


async def test_a_full_gateway_is_waited_for(shop: Shop, tmp_path: Path) -> None:
    """More queries are under way than the shop has slots for."""
    rows = [photo("green", {"green-shoe": 1}, id=str(n)) for n in range(3 * MAX_IN_FLIGHT)]
    golden = golden_set(tmp_path, *rows)
    counted: list[int] = []
    subject = ReleaseInProcess(RELEASE, shop.gateway.search)
    found = await evaluate(subject, golden, AS_ASKED, 0, counted.append)
    assert found.overall.metrics["recall@1"].mean == 1
    assert counted == list(range(1, len(rows) + 1))


async def test_what_asks_for_more_patience_than_there_is_is_given_up(
    shop: Shop, tmp_path: Path
) -> None:
    shop.inference.failing = Overloaded("Triton's queue is full.", retry_after_s=PATIENCE_S + 1)
    with pytest.raises(Overloaded, match="queue is full"):
        await evaluated(shop, golden_set(tmp_path, photo("red", {"red-shoe": 1})))


async def test_a_release_compared_with_itself_does_not_differ(shop: Shop, tmp_path: Path) -> None:
    found = await evaluated(shop, golden_set(tmp_path, *ROWS))
    same = compare_releases(found, found, seed=0)
    # The toy shop has five items and one query finds only one: alike is alike all the same.
    assert (same.overlap.low, same.overlap.mean, same.overlap.high) == (1, 1, 1)
    for difference in (*same.overall.values(), *same.kinds["text"].values()):
        assert (difference.difference.mean, difference.p_value) == (0, 1)


async def test_a_comparison_is_second_minus_first_query_by_query(
    shop: Shop, tmp_path: Path
) -> None:
    first = await evaluated(shop, golden_set(tmp_path, *ROWS))
    # Another release would find something else for the two photos: here, the photos are others.
    swapped = golden_set(
        tmp_path, photo("yellow", GRADED["relevant"], id="graded"),
        photo("white", THIRD["relevant"], id="third"), FIRST, SECOND,
    )  # fmt: skip
    second = replace(await evaluated(shop, swapped), release="colours-v2")
    found = compare_releases(first, second, seed=0)
    assert (found.first, found.second) == ("colours-v1", "colours-v2")
    mrr = found.overall["mrr@10"]
    assert mrr.first == pytest.approx((1 + 1 / 3 + 1 + 1 / 2) / 4)
    assert mrr.second == pytest.approx((1 + 1 + 1 + 1 / 2) / 4)
    assert mrr.difference.mean == pytest.approx(2 / 3 / 4)
    # One of four differs: any flip of its sign is as far from zero.
    assert mrr.p_value == 1
    assert found.kinds["image"]["mrr@10"].difference.mean == pytest.approx(1 / 3)
    assert found.kinds["text"]["mrr@10"].difference.mean == 0
    assert set(found.kinds) == {"hybrid", "image", "text"}


async def test_the_overlap_is_what_both_give_of_what_either_gives(
    shop: Shop, tmp_path: Path
) -> None:
    whole = await evaluated(shop, golden_set(tmp_path, photo("orange", {"red-shoe": 1})))
    # The same query, cut after the first two: 0.95 and 0.90; white is 0.78.
    cut = photo("orange", {"red-shoe": 1}) | {"min_score": 0.85}
    part = await evaluated(shop, golden_set(tmp_path, cut))
    nothing = await evaluated(shop, golden_set(tmp_path, cut | {"min_score": 0.99}))
    assert compare_releases(whole, part, 0).overlap.mean == pytest.approx(2 / 5)
    assert compare_releases(part, whole, 0).overlap.mean == pytest.approx(2 / 5)
    assert compare_releases(whole, nothing, 0).overlap.mean == 0
    assert compare_releases(nothing, nothing, 0).overlap.mean == 1


async def test_the_worst_come_first_and_the_perfect_not_at_all(shop: Shop, tmp_path: Path) -> None:
    found = await evaluated(shop, golden_set(tmp_path, *ROWS))
    # 0.5, 1 / log2(3) = 0.63, and the graded one.
    assert [outcome.query_id for outcome in worst(found, 10)] == ["third", "second", "graded"]
    assert [outcome.query_id for outcome in worst(found, 1)] == ["third"]


async def test_equally_bad_queries_take_turns_by_how_they_were_made(
    shop: Shop, tmp_path: Path
) -> None:
    rows = [
        words("shirt", {"blue-hat": 1}, id=f"{variant}-{n}", variant=variant) | {"mode": "text"}
        for variant in ("title", "typo")
        for n in (1, 2)
    ]
    found = await evaluated(shop, golden_set(tmp_path, *rows))
    order = [outcome.query_id for outcome in worst(found, 4)]
    assert {o.partition("-")[0] for o in order[:2]} == {"title", "typo"}
