"""The open model: requests fall due at random times, whether or not the service keeps up.

A closed model sends the next request when the last is answered, so a stalled service is asked less
and its stall is seen once (Gil Tene's "coordinated omission"). Here arrivals are a Poisson process
and a latency counts from the time at which the request was due.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from loadtest.record import NOT_SENT


class LoadPlan(Protocol):
    """How many requests a second, when; constant between changes."""

    def load_at(self, at_s: float) -> float:
        """Arrivals a second at a time from the start."""

    def next_change_s(self, at_s: float) -> float:
        """When that changes next."""


def arrivals(plan: LoadPlan, chance: random.Random) -> Iterator[float]:
    """Times from the start, in seconds, of a Poisson process with the plan's rate; ends where the
    plan's load becomes 0."""
    at_s = 0.0
    while (rate := plan.load_at(at_s)) > 0:
        due_s, change_s = at_s + chance.expovariate(rate), plan.next_change_s(at_s)
        # The exponential law has no memory: what lies behind a change is drawn anew with its rate.
        at_s = min(due_s, change_s)
        if due_s < change_s:
            yield at_s


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of a request. `latency_s` counts from when it was due."""

    outcome: str
    latency_s: float
    lag_s: float  # how late it was sent


def pace(
    due_times: Iterator[float],
    now: Callable[[], float],
    sleep: Callable[[float], None],
    put: Callable[[float], None],
    mine: Callable[[], bool] = lambda: True,
) -> None:
    """Hands each time over when it has come, with the time itself, however late that may be.

    Only if it is `mine`: of the processes of a distributed run each draws all of the load and
    keeps its part. A Poisson process thinned by chance is one still.
    """
    for due_s in due_times:
        if (early_s := due_s - now()) > 0:
            sleep(early_s)
        if mine():
            put(due_s)


def measure(
    due_s: float, now: Callable[[], float], give_up_s: float, send: Callable[[], str]
) -> Measured:
    """Sends a request that was due, and counts from then. One that has waited `give_up_s` for a
    free slot is not sent any more: its caller has gone. That bounds the backlog and is an error."""
    lag_s = max(0.0, now() - due_s)
    if lag_s > give_up_s:
        return Measured(NOT_SENT, lag_s, lag_s)
    outcome = send()
    return Measured(outcome, now() - due_s, lag_s)
