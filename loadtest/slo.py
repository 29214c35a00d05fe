"""A service level objective as text, and whether a run held it.

    p99=150ms,errors=0.1%,refused=1%,image.p95=300ms,knee=200

Latencies are of the answered requests; `errors` and `refused` are shares of all that were due;
`knee`, for runs with steps, is the least load that must hold everything else. A name and a dot
in front asks it of one kind of request.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from loadtest.record import Tally

_TERM = re.compile(r"(?:(?P<kind>[a-z]+)\.)?(?P<metric>[a-z0-9.]+)=(?P<value>[0-9.]+)(?P<unit>.*)")
_PERCENTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]+)?)")
_MS = {"ms": 1.0, "s": 1000.0}
KNEE = "knee"


class Share(StrEnum):
    """Shares of the requests that can be bounded."""

    ERRORS = "errors"
    REFUSED = "refused"


class BadSlo(ValueError):
    """The text is no SLO; says which part and what it should be."""


@dataclass(frozen=True, slots=True)
class Term:
    """One bound. `limit` is in milliseconds for a latency, a fraction for a share, a load for
    `knee`; `percent` is a latency's percentile from 0 to 100."""

    text: str
    kind: str | None
    metric: str
    limit: float
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A term and what was measured, in the term's unit; NaN if there was nothing to measure."""

    term: Term
    measured: float

    @property
    def held(self) -> bool:
        """Whether the measured value is within the limit; nothing measured holds nothing."""
        if self.term.metric == KNEE:
            return self.measured >= self.term.limit
        return self.measured <= self.term.limit

    def __str__(self) -> str:
        return f"{self.term.text}: {_shown(self.term, self.measured)}"


def parse(text: str) -> tuple[Term, ...]:
    """The terms of an SLO; BadSlo says what is wrong. Nothing is no SLO."""
    return tuple(_term(part.strip()) for part in text.split(",") if part.strip())


def judge(terms: tuple[Term, ...], tally_of: Callable[[str | None], Tally]) -> list[Verdict]:
    """Each term, but `knee`, against the requests that `tally_of(kind)` counts."""
    return [Verdict(t, _measured(t, tally_of(t.kind))) for t in terms if t.metric != KNEE]


def _term(text: str) -> Term:
    found = _TERM.fullmatch(text)
    if found is None:
        raise BadSlo(f"{text!r} is no bound: write p99=150ms, errors=0.1% or image.p95=0.3s.")
    kind, metric, unit = found["kind"], found["metric"], found["unit"].strip()
    try:
        value = float(found["value"])
    except ValueError as exc:
        raise BadSlo(f"{text!r}: {found['value']} is no number.") from exc
    if percentile := _PERCENTILE.fullmatch(metric):
        if unit not in _MS:
            raise BadSlo(f"{text!r}: a latency is in ms or s.")
        return Term(text, kind, metric, value * _MS[unit], float(percentile[1]))
    if metric in list(Share):
        if unit != "%":
            raise BadSlo(f"{text!r}: a share is in %.")
        return Term(text, kind, metric, value / 100)
    if metric == KNEE and kind is None and unit in ("", "/s"):
        return Term(text, None, metric, value)
    raise BadSlo(f"{text!r}: the metrics are p50, p99, p99.9 …, errors, refused and knee.")


def _measured(term: Term, tally: Tally) -> float:
    if term.percent is not None:
        return tally.answered.percentile_ms(term.percent)
    if not tally.count:
        return math.nan
    part = tally.error_count if term.metric == Share.ERRORS else tally.refused.count
    return part / tally.count


def _shown(term: Term, value: float) -> str:
    if math.isnan(value):
        return "nothing was answered" if term.percent is not None else "nothing was asked"
    if term.percent is not None:
        return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
    return f"{value:g}" if term.metric == KNEE else f"{value:.2%}"
