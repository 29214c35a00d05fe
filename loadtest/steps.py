"""Load in steps, and the knee: the least load at which a service breaks its SLO."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from loadtest.record import Record, Tally
from loadtest.slo import KNEE, Term, Verdict, judge

# The first part of a step is the step before it, still draining.
SETTLE = 0.2

# Locust's shape and its workers start their clocks one after the other.
CLOCKS_APART_S = 0.5


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Loads `first`, `first + by`, … up to `last`, each for `seconds`. A load is arrivals a second
    in the open model and users in the closed one."""

    first: float
    last: float
    by: float
    seconds: int

    @classmethod
    def parse(cls, text: str, seconds: int) -> StepPlan:
        """From `20:200:20`; ValueError says what is wrong."""
        try:
            first, last, by = (float(number) for number in text.split(":"))
        except ValueError as exc:
            raise ValueError(
                f"{text!r} is no plan: write FIRST:LAST:BY, such as 20:200:20."
            ) from exc
        if not 0 < first <= last or by <= 0 or seconds < 2:
            raise ValueError(f"{text!r}: 0 < FIRST <= LAST, BY > 0, and at least 2 seconds a step.")
        return cls(first, last, by, seconds)

    @property
    def count(self) -> int:
        """How many steps."""
        return math.floor((self.last - self.first) / self.by + 1e-9) + 1

    @property
    def total_s(self) -> int:
        """How long all of it takes."""
        return self.count * self.seconds

    def load(self, number: int) -> float:
        """The load of a step, counted from 0."""
        return self.first + number * self.by

    def load_at(self, at_s: float) -> float:
        """The load at a time from the start; 0 after the end."""
        number = int(at_s // self.seconds)
        return self.load(number) if number < self.count else 0.0

    def next_change_s(self, at_s: float) -> float:
        """When the load changes next, from the start."""
        return (at_s // self.seconds + 1) * self.seconds

    def window(self, number: int) -> range:
        """The whole seconds of a step that are measured: without the first fifth."""
        start = number * self.seconds
        return range(start + math.ceil(SETTLE * self.seconds), start + self.seconds)


@dataclass(frozen=True)
class Constant:
    """One load from the start on."""

    load: float

    def load_at(self, at_s: float) -> float:
        """The load."""
        return self.load

    def next_change_s(self, at_s: float) -> float:
        """Never."""
        return math.inf


@dataclass(frozen=True)
class Step:
    """One step as it was measured."""

    load: float
    seconds: int
    tally: Tally
    verdicts: list[Verdict]

    @property
    def held(self) -> bool:
        """Whether no term was broken."""
        return all(verdict.held for verdict in self.verdicts)

    @property
    def answered_per_s(self) -> float:
        """Requests answered a second."""
        return self.tally.answered.count / self.seconds


@dataclass(frozen=True)
class Knee:
    """Between which loads the service bends. `broken_at` is the least load that broke the SLO
    (None: none did), `held_at` the greatest below it that held (None: not even the first). If
    `unsteady`, a greater load held again: the steps are too short for their noise."""

    held_at: float | None
    broken_at: float | None
    unsteady: bool = False


def measured(record: Record, plan: StepPlan, slo: tuple[Term, ...], ran_s: float) -> list[Step]:
    """The steps of a run that lasted `ran_s`, but for one that was cut short."""
    done = []
    for number in range(plan.count):
        window = plan.window(number)
        if window.stop > ran_s + CLOCKS_APART_S:
            break
        verdicts = judge(slo, functools.partial(record.tally, seconds=window))
        step = Step(plan.load(number), len(window), record.tally(None, window), verdicts)
        done.append(step)
    return done


def knee(steps: list[Step]) -> Knee:
    """The least load that broke a term of the SLO, and the greatest below that held."""
    broken = next((n for n, step in enumerate(steps) if not step.held), None)
    if broken is None:
        return Knee(steps[-1].load if steps else None, None)
    held_at = steps[broken - 1].load if broken else None
    return Knee(held_at, steps[broken].load, any(step.held for step in steps[broken:]))


def knee_verdicts(found: Knee, slo: tuple[Term, ...]) -> list[Verdict]:
    """The term `knee`, if the SLO has it: the greatest load that held, against what must hold."""
    at = 0.0 if found.held_at is None else found.held_at
    return [Verdict(term, at) for term in slo if term.metric == KNEE]
