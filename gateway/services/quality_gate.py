"""Floors under a release's quality: `recall@10=0.8`, or `image:recall@10=0.9` for one kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.errors import StartupProblem
from gateway.services.evaluation import Evaluation
from gateway.services.golden_set import QueryKind
from gateway.services.retrieval_metrics import METRICS, Estimate

_FORM = re.compile(r"(?:(?P<kind>\w+):)?(?P<metric>[a-z]+@\d+)=(?P<least>[0-9.]+)")


@dataclass(frozen=True, slots=True)
class Floor:
    """The least mean of a metric, over the queries of one kind or (None) over all."""

    kind: QueryKind | None
    metric: str
    least: float

    def __str__(self) -> str:
        prefix = "" if self.kind is None else f"{self.kind}:"
        return f"{prefix}{self.metric}"


@dataclass(frozen=True, slots=True)
class FloorResult:
    """A floor and what was found; `found` None if the golden set has no such query.

    The mean decides. Its interval is for the reader: one that holds the floor says that another
    draw of queries could have ended otherwise.
    """

    floor: Floor
    found: Estimate | None

    @property
    def held(self) -> bool:
        """Whether the release may pass. What was not measured does not."""
        return self.found is not None and self.found.mean >= self.floor.least


def parse_floor(text: str) -> Floor:
    """The floor that `text` means; StartupProblem, saying what is possible, if it means none."""
    found = _FORM.fullmatch(text)
    kinds = [str(kind) for kind in QueryKind]
    if (
        found is None
        or found["metric"] not in METRICS
        or (found["kind"] is not None and found["kind"] not in kinds)
    ):
        raise StartupProblem(
            f"--min {text} is no floor. Write METRIC=VALUE or KIND:METRIC=VALUE; metrics: "
            f"{', '.join(METRICS)}; kinds: {', '.join(kinds)}."
        )
    try:
        least = float(found["least"])
    except ValueError:
        least = 2.0
    if least > 1:
        raise StartupProblem(f"--min {text}: the value is a number from 0 to 1.")
    kind = None if found["kind"] is None else QueryKind(found["kind"])
    return Floor(kind, found["metric"], least)


def check_floors(evaluation: Evaluation, floors: Sequence[Floor]) -> tuple[FloorResult, ...]:
    """Each floor with what it is under."""
    return tuple(FloorResult(floor, _found(evaluation, floor)) for floor in floors)


def _found(evaluation: Evaluation, floor: Floor) -> Estimate | None:
    if floor.kind is None:
        return evaluation.overall.metrics[floor.metric]
    for group in evaluation.kinds:
        if group.name == floor.kind:
            return group.metrics[floor.metric]
    return None
