"""Cut-offs against cases worked out by hand, and the scores that they are learned from."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pytrec_eval")

from gateway.domain.errors import GoldenInvalid
from gateway.services.calibration import (
    LEAST_KEPT,
    MIN_SCORES,
    Cutoff,
    ScoredQuery,
    calibrate,
    score_queries,
)
from gateway.services.golden_set import QueryKind
from gateway.services.subject import ReleaseInProcess
from tests.golden import golden_set, photo, words
from tests.shop import Shop

# Green is (0, 255, 0, 64) over its length, yellow has 255 twice and white three times.
NEAR_YELLOW = sqrt(69_121 / 134_146)
NEAR_WHITE = sqrt(69_121 / 199_171)
TEXT, IMAGE = QueryKind.TEXT, QueryKind.IMAGE


def scored(right: list[float], hopeless: list[float], kind: QueryKind = TEXT) -> list[ScoredQuery]:
    """Queries with these best cosines; a hopeless one's own answer was not right."""
    return [
        *(ScoredQuery(kind, True, score, None) for score in right),
        *(ScoredQuery(kind, False, 0.99, score) for score in hopeless),
    ]


CASES: dict[str, tuple[list[float], list[float], Cutoff]] = {
    "apart": (
        [0.5] * 10 + [0.6] * 10, [0.3] * 10 + [0.4] * 10,
        Cutoff(0.45, 1.0, 0.0, auc=1.0, right=20, hopeless=20),
    ),
    # At 0.5, J is 3/4 - 0, but a quarter of the right ones is lost; at 0.25 it is 1 - 1/2.
    "keeps what is right": (
        [0.3] * 5 + [0.6] * 15, [0.2] * 10 + [0.3] * 5 + [0.4] * 5,
        # pairs: 0.3 beats 10, ties 5; 0.6 beats all: (5 · 12.5 + 15 · 20) / 400.
        Cutoff(0.25, 1.0, 0.5, auc=(5 * 12.5 + 15 * 20) / 400, right=20, hopeless=20),
    ),
    # One of twenty may go: J at 0.5 is 19/20 - 0.
    "one in twenty is given up": (
        [0.2] + [0.6] * 19, [0.4] * 20,
        Cutoff(0.5, 0.95, 0.0, auc=0.95, right=20, hopeless=20),
    ),
    # Two may not: no cut-off that keeps them separates anything, so nothing is cut.
    "two in twenty are not": (
        [0.2] * 2 + [0.6] * 18, [0.4] * 20,
        Cutoff(0.2, 1.0, 1.0, auc=0.9, right=20, hopeless=20),
    ),
    "all alike": (
        [0.4] * 20, [0.4] * 30, Cutoff(0.4, 1.0, 1.0, auc=0.5, right=20, hopeless=30),
    ),
    "the wrong way round": (
        [0.1] * 20, [0.9] * 20, Cutoff(0.1, 1.0, 1.0, auc=0.0, right=20, hopeless=20),
    ),
    "negative cosines": (
        [-0.1] * 20, [-0.5] * 20, Cutoff(-0.3, 1.0, 0.0, auc=1.0, right=20, hopeless=20),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_cutoff_is_the_one_worked_out_by_hand(case: str) -> None:
    right, hopeless, expected = CASES[case]
    found = calibrate(scored(right, hopeless))[TEXT]
    assert found.cosine == pytest.approx(expected.cosine)
    assert (found.true_positive_rate, found.false_positive_rate) == pytest.approx(
        (expected.true_positive_rate, expected.false_positive_rate)
    )
    assert found.auc == pytest.approx(expected.auc)
    assert (found.right, found.hopeless) == (expected.right, expected.hopeless)


def test_no_other_cutoff_that_keeps_enough_separates_better() -> None:
    rng = np.random.default_rng(7)
    for _ in range(20):
        right = np.round(rng.normal(0.6, 0.15, size=80), 2)
        hopeless = np.round(rng.normal(0.4, 0.15, size=60), 2)
        found = calibrate(scored(right.tolist(), hopeless.tolist()))[TEXT]
        best = found.true_positive_rate - found.false_positive_rate
        assert found.true_positive_rate >= LEAST_KEPT
        for cut in np.arange(-0.2, 1.2, 0.005):
            kept, passed = (right >= cut).mean(), (hopeless >= cut).mean()
            assert kept < LEAST_KEPT or kept - passed <= best + 1e-12


def test_each_kind_has_its_own_and_the_order_of_queries_does_not_matter() -> None:
    text = scored([0.3] * 20, [0.1] * 20, TEXT)
    image = scored([0.9] * 20, [0.7] * 20, IMAGE)
    found = calibrate([*text, *image])
    assert {kind: cutoff.cosine for kind, cutoff in found.items()} == pytest.approx(
        {TEXT: 0.2, IMAGE: 0.8}
    )
    assert calibrate([*image, *text][::-1]) == found


def test_a_kind_with_too_few_queries_has_none() -> None:
    enough, few = [0.5] * MIN_SCORES, [0.4] * (MIN_SCORES - 1)
    assert calibrate(scored(enough, few)) == {}
    assert calibrate(scored(few, enough)) == {}
    assert list(calibrate(scored(enough, enough))) == [TEXT]
    assert calibrate([]) == {}


def test_a_wrong_answer_is_no_example_of_a_good_one() -> None:
    """However near it is: only what was right says what a good match looks like."""
    wrong = [ScoredQuery(TEXT, False, 0.99, None)] * 50
    queries = scored([0.5] * 20, [0.3] * 20)
    assert calibrate([*queries, *wrong]) == calibrate(queries)


def test_an_empty_answer_has_no_cosine_to_learn_from() -> None:
    empty = [ScoredQuery(TEXT, False, None, None)] * 50
    queries = scored([0.5] * 20, [0.3] * 20)
    assert calibrate([*queries, *empty]) == calibrate(queries)


async def scores(shop: Shop, folder: Path, *rows: Mapping[str, object]) -> list[ScoredQuery]:
    subject = ReleaseInProcess("colours-v1", shop.gateway.search)
    counted: list[int] = []
    found = await score_queries(subject, golden_set(folder, *rows), counted.append)
    assert counted == list(range(1, 2 * len(rows) + 1))
    return found


async def test_a_query_is_scored_with_its_right_answers_and_without(
    shop: Shop, tmp_path: Path
) -> None:
    found = await scores(
        shop,
        tmp_path,
        photo("green", {"green-shoe": 1}),  # then yellow-hat: 69,121 / (262.9 · 366.3)
        words("green", {"green-shoe": 1, "yellow-hat": 1}),  # then white-shirt
        photo("blue", {"gone": 1}),
    )
    assert [one.kind for one in found] == [IMAGE, TEXT, IMAGE]
    assert [one.right for one in found] == [True, True, False]
    assert [one.top for one in found] == pytest.approx([1, 1, 1], abs=1e-5)
    assert [one.top_without for one in found] == pytest.approx(
        [NEAR_YELLOW, NEAR_WHITE, 1], abs=1e-5
    )


async def test_scores_are_cosines_whatever_mode_and_least_score_the_query_asks_for(
    shop: Shop, tmp_path: Path
) -> None:
    [one] = await scores(
        shop,
        tmp_path,
        words("green", {"green-shoe": 1}) | {"mode": "text", "min_score": 0.9, "limit": 1},
    )
    assert one.top == pytest.approx(1, abs=1e-5)
    assert one.top_without == pytest.approx(NEAR_YELLOW, abs=1e-5)


async def test_an_item_is_not_its_own_best_match(shop: Shop, tmp_path: Path) -> None:
    [one] = await scores(
        shop, tmp_path, {"query": [{"item": "green-shoe"}], "relevant": {"white-shirt": 1}}
    )
    assert (one.top, one.top_without) == pytest.approx((NEAR_YELLOW, NEAR_YELLOW), abs=1e-5)
    assert one.right


async def test_a_query_whose_every_item_is_taken_out_has_nothing_left(
    shop: Shop, tmp_path: Path
) -> None:
    hats = {"must": [{"key": "category", "match": {"value": "shirts"}}]}
    [one] = await scores(shop, tmp_path, photo("red", {"white-shirt": 1}) | {"filter": hats})
    assert one.top is not None
    assert one.top_without is None


async def test_a_query_that_cannot_be_answered_is_named(shop: Shop, tmp_path: Path) -> None:
    row = {"id": "q", "query": [{"item": "gone"}], "relevant": {"blue-hat": 1}}
    with pytest.raises(GoldenInvalid, match=r"^Query q cannot be answered"):
        await scores(shop, tmp_path, row)
