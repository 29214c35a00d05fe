"""Metrics against cases worked out by hand, and the laws of their intervals."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

pytest.importorskip("pytrec_eval")

from gateway.services.retrieval_metrics import METRICS, Judged, compare, estimate, score

TEN = tuple("abcdefghij")

CASES: dict[str, tuple[Judged, dict[str, float]]] = {
    # The only right answer stands first.
    "perfect": (
        Judged(TEN, {"a": 1}),
        {"recall@1": 1, "recall@10": 1, "precision@1": 1, "precision@10": 0.1, "mrr@10": 1,
         "ndcg@10": 1},
    ),
    # Two of three found, at ranks 2 and 4; grades 3, 1, and a 2 that is missing.
    "graded": (
        Judged(TEN, {"b": 3, "d": 1, "z": 2}),
        {"recall@1": 0, "recall@5": 2 / 3, "recall@10": 2 / 3, "precision@5": 2 / 5,
         "precision@10": 0.2, "mrr@10": 1 / 2,
         "ndcg@10": (3 / log2(3) + 1 / log2(5)) / (3 + 2 / log2(3) + 1 / log2(4))},
    ),
    # Precision counts k in full, even if fewer came.
    "short": (
        Judged(("x", "a"), {"a": 1}),
        {"recall@5": 1, "precision@5": 0.2, "precision@1": 0, "mrr@10": 1 / 2,
         "ndcg@10": 1 / log2(3)},
    ),
    "nothing came": (Judged((), {"a": 1}), dict.fromkeys(METRICS, 0)),
    "all wrong": (Judged(TEN, {"z": 1}), dict.fromkeys(METRICS, 0)),
    # What stands eleventh is not seen.
    "eleventh": (Judged((*TEN, "k"), {"k": 1}), dict.fromkeys(METRICS, 0)),
    # Twelve right answers, ten places: recall cannot be more than 10 / 12, the ideal order is full.
    "more right than places": (
        Judged(TEN, dict.fromkeys((*TEN, "k", "l"), 1)),
        {"recall@1": 1 / 12, "recall@5": 5 / 12, "recall@10": 10 / 12, "precision@1": 1,
         "precision@5": 1, "precision@10": 1, "mrr@10": 1, "ndcg@10": 1},
    ),
    # Each metric at its own k: right answers at ranks 5, 6 and 10.
    "at the edges of k": (
        Judged(TEN, {"e": 1, "f": 1, "j": 1}),
        {"recall@1": 0, "recall@5": 1 / 3, "recall@10": 1, "precision@1": 0, "precision@5": 1 / 5,
         "precision@10": 3 / 10, "mrr@10": 1 / 5,
         "ndcg@10": (1 / log2(6) + 1 / log2(7) + 1 / log2(11)) / (1 + 1 / log2(3) + 1 / log2(4))},
    ),
    # Equal grades tie: which of them comes first is worth the same.
    "equal grades": (
        Judged(("b", "a", "c"), {"a": 2, "b": 2, "c": 1}),
        {"recall@1": 1 / 3, "precision@1": 1, "mrr@10": 1, "ndcg@10": 1},
    ),
    # The ranking's order counts, not the ids': trec_eval would put equal scores by id.
    "last by name, first by rank": (
        Judged(("z", "y", "a"), {"z": 2, "y": 1}),
        {"recall@1": 1 / 2, "precision@5": 2 / 5, "mrr@10": 1, "ndcg@10": 1},
    ),
    "first by name, last by rank": (
        Judged(("z", "y", "a"), {"a": 1}),
        {"recall@1": 0, "recall@5": 1, "mrr@10": 1 / 3, "ndcg@10": 1 / log2(4)},
    ),
    # Grade 0 is as good as no grade.
    "grade zero": (Judged(TEN, {"a": 0, "b": 1}), {"recall@1": 0, "recall@5": 1, "mrr@10": 1 / 2}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_metric_has_the_value_worked_out_by_hand(case: str) -> None:
    judged, expected = CASES[case]
    values = score([judged])
    assert tuple(values) == METRICS
    assert {name: values[name][0] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_every_metric_has_a_case_with_a_value_between_nothing_and_all() -> None:
    between = {
        metric
        for _, expected in CASES.values()
        for metric, value in expected.items()
        if 0 < value < 1
    }
    # The first place is right or wrong, so precision@1 has nothing in between.
    assert between == set(METRICS) - {"precision@1"}


def test_queries_keep_their_order_and_do_not_mix() -> None:
    judged = [one for one, _ in CASES.values()]
    together = score(judged)
    for number, one in enumerate(judged):
        alone = score([one])
        for metric in METRICS:
            assert together[metric][number] == alone[metric][0]


def test_an_interval_holds_its_mean_and_comes_from_its_seed() -> None:
    values = np.random.default_rng(1).random(300)
    one = estimate(values, seed=5)
    assert one.low < one.mean < one.high
    assert one.mean == pytest.approx(values.mean())
    assert estimate(values, seed=5) == one
    assert estimate(values, seed=6) != one


def test_equal_values_leave_no_doubt() -> None:
    one = estimate(np.full(50, 0.25), seed=0)
    assert (one.low, one.mean, one.high) == (0.25, 0.25, 0.25)


def test_four_times_the_queries_halve_the_interval() -> None:
    values = np.random.default_rng(2).random(200)
    few, many = estimate(values, 0), estimate(np.tile(values, 4), 0)
    assert (many.high - many.low) / (few.high - few.low) == pytest.approx(0.5, abs=0.06)


def test_the_interval_is_the_normal_one_for_many_coin_tosses() -> None:
    one = estimate(np.array([0.0, 1.0] * 500), seed=0)
    half = 1.96 * 0.5 / np.sqrt(1000)
    assert (one.low, one.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.005)


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(200):
        one = estimate(rng.binomial(1, 0.7, size=150).astype(float), seed)
        held += one.low <= 0.7 <= one.high
    assert 0.90 <= held / 200 <= 0.99


def test_no_difference_is_not_significant_and_a_constant_one_is() -> None:
    values = np.random.default_rng(4).random(100)
    same = compare(values, values, seed=0)
    assert (same.difference.mean, same.p_value) == (0.0, 1.0)
    better = compare(values, values + 0.01, seed=0)
    assert better.difference.mean == pytest.approx(0.01)
    assert better.p_value < 0.001


def test_p_of_three_wins_in_three_is_a_quarter() -> None:
    # Of the 8 ways to flip three signs, 2 give a sum as far from zero.
    one = compare(np.zeros(3), np.ones(3), seed=0)
    assert one.p_value == pytest.approx(2 / 8, abs=0.03)


def test_chance_is_called_a_difference_one_time_in_twenty() -> None:
    rng = np.random.default_rng(5)
    called = sum(
        compare(rng.random(40), rng.random(40), seed).p_value < 0.05 for seed in range(300)
    )
    assert 0.02 <= called / 300 <= 0.09
