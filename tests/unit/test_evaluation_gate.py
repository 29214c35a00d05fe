"""Floors under a release's quality."""

from __future__ import annotations

import pytest

from gateway.domain.errors import StartupProblem
from gateway.services.evaluation import Evaluation, Group
from gateway.services.golden_set import QueryKind
from gateway.services.quality_gate import Floor, check_floors, parse_floor
from gateway.services.retrieval_metrics import METRICS, Estimate


def group(name: str, mean: float) -> Group:
    return Group(name, 10, dict.fromkeys(METRICS, Estimate(mean, 0.0, 1.0)))


EVALUATION = Evaluation("v1", "as asked", group("all", 0.8), (group("image", 0.5),), (), (), ())


def test_a_floor_is_a_metric_and_a_value_of_all_queries_or_of_one_kind() -> None:
    assert parse_floor("recall@10=0.8") == Floor(None, "recall@10", 0.8)
    assert parse_floor("image:mrr@10=1") == Floor(QueryKind.IMAGE, "mrr@10", 1.0)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("recall@10=0.8", True),
        ("recall@10=0.81", False),
        ("image:ndcg@10=0.5", True),
        ("image:ndcg@10=0.6", False),
        ("text:recall@1=0", False),  # no text query was run: nothing is known
    ],
)
def test_a_floor_holds_when_the_mean_is_at_least_its_value(text: str, *, held: bool) -> None:
    [result] = check_floors(EVALUATION, [parse_floor(text)])
    assert result.held is held


@pytest.mark.parametrize(
    "text",
    ["", "recall", "recall@10", "recall@3=0.5", "recall@10=1.5", "recall@10=1.2.3",
     "sound:recall@10=0.5", "recall@10=0.8,mrr@10=0.5", "recall@10=-1"],
)  # fmt: skip
def test_what_is_no_floor_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(StartupProblem, match="--min"):
        parse_floor(text)
