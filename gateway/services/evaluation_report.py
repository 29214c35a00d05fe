"""All that one run of `lookalike evaluate` found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import orjson

from gateway.services.approximate_recall import BeamCurve
from gateway.services.evaluation import Comparison, Evaluation
from gateway.services.quality_gate import FloorResult


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """`queries` of the golden set's `total` were run, drawn by `seed`. `against` and `comparison`
    are of the second release; `beams` is None for a gateway that is measured from outside."""

    golden: str
    queries: int
    total: int
    seed: int
    seconds: float
    evaluation: Evaluation
    against: Evaluation | None
    comparison: Comparison | None
    beams: BeamCurve | None
    floors: tuple[FloorResult, ...]


@dataclass(frozen=True, slots=True)
class NotedFigures:
    """What is noted beside a release: metric → mean over all queries, and of which set."""

    release: str
    golden: str
    queries: int
    means: Mapping[str, float]


def noted_figures(report: EvaluationReport) -> NotedFigures:
    """The report in a few numbers."""
    overall = report.evaluation.overall
    means = {name: estimate.mean for name, estimate in overall.metrics.items()}
    return NotedFigures(report.evaluation.release, report.golden, report.queries, means)


def to_json(report: object) -> bytes:
    """A report, or any other dataclass of this package, as JSON: its fields by their names."""
    return orjson.dumps(asdict(report), option=orjson.OPT_INDENT_2) + b"\n"  # type: ignore[call-overload]  # reports are dataclasses
