"""Tuning the fusion on the toy shop, where words are right and looks are wrong."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pytrec_eval")

from gateway.domain.errors import GoldenInvalid
from gateway.domain.query import LegWeights
from gateway.services.evaluation import Evaluation
from gateway.services.fusion_tuning import ALL, EQUAL, GRID, TUNED_METRIC, LegReport, tune
from gateway.services.golden_set import GoldenQuery, halves
from gateway.services.retrieval_metrics import compare
from gateway.services.subject import ReleaseInProcess
from tests.golden import golden_set, photo, words
from tests.shop import Shop

RELEASE = "colours-v1"
SEED = 1
# Looks say the hat (or the shirt), the words say the shoe and then the hat. With equal weights the
# shoe has 1 / 60 + 1 / 62 at best and the hat 1 / 61 + 1 / 60, so the shoe comes second.
WORDS_RIGHT = [
    words(f"{colour} {rest}", {item: 1}, variant=variant)
    for rest, item, variant in (
        ("running leather", "red-shoe", "material"),
        ("canvas bluefinch", "green-shoe", "brand"),
    )
    for colour in ("blue", "white")
]


def golden(folder: Path, *more: Mapping[str, Any], times: int = 2) -> tuple[GoldenQuery, ...]:
    rows = [
        row | {"id": f"{n}-{turn}"} for turn in range(times) for n, row in enumerate(WORDS_RIGHT)
    ]
    return golden_set(folder, *rows, *more)


async def tuned(shop: Shop, queries: tuple[GoldenQuery, ...], seed: int = SEED) -> LegReport:
    subject = ReleaseInProcess(RELEASE, shop.gateway.search)
    return await tune(subject, queries, seed, lambda _title, _total: lambda _: None)


def values(evaluation: Evaluation, metric: str = TUNED_METRIC) -> list[float]:
    return [outcome.metrics[metric] for outcome in evaluation.outcomes]


async def test_where_words_are_right_weights_are_found_that_follow_them(
    shop: Shop, tmp_path: Path
) -> None:
    """By `LegWeights`, words that count 0.02 give their first rank 1 / 109 and their second only
    1 / 159: more of a difference than a few ranks by looks make."""
    report = await tuned(shop, golden(tmp_path))
    only_words, _, equal, best = report.columns
    assert report.best == LegWeights(1, 0.02)
    assert values(only_words) == values(best) == [1.0] * report.reported_on
    assert values(equal) == pytest.approx([1 / log2(3)] * report.reported_on)
    assert report.gain[TUNED_METRIC].difference.mean == pytest.approx(1 - 1 / log2(3))


async def test_the_tuned_weights_are_the_best_of_the_grid_and_never_worse_than_equal_ones(
    shop: Shop, tmp_path: Path
) -> None:
    # What helps some of these hurts others.
    looks = [
        words(f"{colour} shoe", {item: 1}, id=f"look-{colour}", variant="looks")
        for colour, item in (("blue", "blue-hat"), ("yellow", "yellow-hat"))
    ]
    for seed in range(3):
        report = await tuned(shop, golden(tmp_path, *looks, times=1), seed)
        means = {point.weights: point.mean for point in report.grid}
        assert [point.weights for point in report.grid] == list(GRID)
        assert means[report.best] == max(means.values()) >= means[EQUAL]


async def test_a_draw_leaves_the_weights_equal(shop: Shop, tmp_path: Path) -> None:
    """Both legs agree on these, so no weights are better than others."""
    rows = [words("white shirt", {"white-shirt": 1}, id=str(n)) for n in range(4)]
    report = await tuned(shop, golden_set(tmp_path, *rows))
    assert report.best == EQUAL == LegWeights(1, 1)
    assert report.gain[TUNED_METRIC].p_value == 1


async def test_what_is_reported_was_not_tuned_on(shop: Shop, tmp_path: Path) -> None:
    queries = golden(tmp_path)
    report = await tuned(shop, queries)
    tuning, held_out = halves(queries, SEED)
    assert (report.tuned_on, report.reported_on) == (len(tuning), len(held_out))
    for column in report.columns:
        assert [o.query_id for o in column.outcomes] == [query.id for query in held_out]
    assert {query.id for query in tuning}.isdisjoint(query.id for query in held_out)


async def test_the_same_seed_tunes_to_the_same_report(shop: Shop, tmp_path: Path) -> None:
    queries = golden(tmp_path)
    assert await tuned(shop, queries) == await tuned(shop, queries)


async def test_the_gain_is_a_paired_test_on_the_held_out_queries(
    shop: Shop, tmp_path: Path
) -> None:
    report = await tuned(shop, golden(tmp_path))
    _, _, equal, best = report.columns
    expected = compare(np.array(values(equal)), np.array(values(best)), SEED)
    assert report.gain[TUNED_METRIC] == expected
    # All four held-out queries gain as much. Of the 16 ways to flip four signs, 2 are as far from
    # zero.
    assert report.reported_on == 4
    assert expected.p_value == pytest.approx(2 / 16, abs=0.03)


async def test_words_and_vectors_are_compared_over_all_and_by_variant(
    shop: Shop, tmp_path: Path
) -> None:
    report = await tuned(shop, golden(tmp_path))
    evidence = report.words_or_vectors
    assert list(evidence) == [ALL, "brand", "material"]
    only_words, vectors, _, _ = report.columns
    assert evidence[ALL].first == pytest.approx(np.mean(values(only_words)))
    assert evidence[ALL].second == pytest.approx(np.mean(values(vectors)))
    assert evidence["brand"].first == 1
    assert evidence["brand"].second < 1


async def test_a_golden_set_without_variants_has_its_evidence_all_the_same(
    shop: Shop, tmp_path: Path
) -> None:
    rows = [words("blue running leather", {"red-shoe": 1}) for _ in range(4)]
    report = await tuned(shop, golden_set(tmp_path, *rows))
    assert list(report.words_or_vectors) == [ALL]


async def test_queries_that_full_text_cannot_answer_are_left_out(
    shop: Shop, tmp_path: Path
) -> None:
    picture_only = photo("red", {"red-shoe": 1}, id="picture")
    # Words that are not wanted are no words to search for.
    unlike = {
        "query": [{"item": "yellow-hat"}, {"text": "red", "weight": -0.5}],
        "relevant": {"white-shirt": 1}, "id": "unlike",
    }  # fmt: skip
    report = await tuned(shop, golden(tmp_path, picture_only, unlike))
    assert report.tuned_on + report.reported_on == 2 * len(WORDS_RIGHT)


async def test_too_few_queries_with_words_are_refused(shop: Shop, tmp_path: Path) -> None:
    rows = [words("hat", {"blue-hat": 1}) for _ in range(3)]
    pictures = [photo("red", {"red-shoe": 1}) for _ in range(5)]
    with pytest.raises(GoldenInvalid, match="at least 4 queries with words; there are 3"):
        await tuned(shop, golden_set(tmp_path, *rows, *pictures))


async def test_the_second_stage_orders_by_looks_whatever_found_the_candidates(
    shop: Shop, tmp_path: Path
) -> None:
    """All methods find all five items here, so with their order by cosine they are the same."""
    report = await tuned(shop, golden(tmp_path))
    assert [e.method for e in report.rescored] == [f"{e.method}, rescored" for e in report.columns]
    _, by_looks, *_ = report.columns
    _, vectors, equal, best = report.rescored
    assert values(vectors) == values(equal) == values(best) == values(by_looks)
