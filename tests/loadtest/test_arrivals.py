"""The open model: arrivals know nothing of the service, and latency counts from when they were
due. A clock that only moves when told makes it exact."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from loadtest.arrivals import arrivals, measure, pace
from loadtest.record import ANSWERED, NOT_SENT
from loadtest.steps import Constant, StepPlan


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_gaps_are_exponential_with_the_rates_mean() -> None:
    times = list(itertools.islice(arrivals(Constant(50), random.Random(1)), 20_000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert statistics.mean(gaps) == pytest.approx(1 / 50, rel=0.03)
    # Of an exponential law, and of few others, the deviation is the mean.
    assert statistics.stdev(gaps) == pytest.approx(1 / 50, rel=0.05)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    one, other = (arrivals(Constant(9), random.Random("x")) for _ in range(2))
    assert list(itertools.islice(one, 100)) == list(itertools.islice(other, 100))


def test_steps_have_their_rates_and_then_it_ends() -> None:
    plan = StepPlan(100, 300, 100, seconds=20)
    times = list(arrivals(plan, random.Random(1)))
    counts = [sum(20 * n <= t < 20 * (n + 1) for t in times) for n in range(3)]
    assert counts == [pytest.approx(20 * rate, rel=0.1) for rate in (100, 200, 300)]
    assert times == sorted(times)
    assert times[-1] < 60


def test_two_halves_make_the_whole_load() -> None:
    def half(seed: int) -> list[float]:
        clock, chance, times = Clock(), random.Random(seed), list[float]()
        due = arrivals(StepPlan(100, 100, 1, seconds=60), chance)
        pace(due, clock.now, clock.sleep, times.append, lambda: chance.random() < 0.5)
        return times

    assert len(half(1) + half(2)) == pytest.approx(6_000, rel=0.05)


def test_a_process_without_users_lets_time_pass() -> None:
    clock, times = Clock(), list[float]()
    due = arrivals(StepPlan(50, 50, 1, seconds=10), random.Random(1))
    pace(due, clock.now, clock.sleep, times.append, lambda: clock.now() > 4)
    assert min(times) > 4
    assert len(times) == pytest.approx(300, rel=0.2)


def test_nothing_is_handed_over_early_and_nothing_is_left_out() -> None:
    clock, handed = Clock(), list[tuple[float, float]]()
    pace(
        iter([0.5, 1.0, 1.5]), clock.now, clock.sleep, lambda due: handed.append((due, clock.now()))
    )
    assert handed == [(0.5, 0.5), (1.0, 1.0), (1.5, 1.5)]
    clock.now_s = 9.0
    pace(iter([2.0]), clock.now, clock.sleep, lambda due: handed.append((due, clock.now())))
    assert handed[-1] == (2.0, 9.0)


def test_a_stall_is_charged_to_every_request_that_it_delayed() -> None:
    """One slot, ten requests due each second, answered in 0.1 s, but the first takes 5 s. A closed
    model would see one slow request; from when they were due, all of them waited."""
    clock = Clock()

    def slow_then_quick() -> str:
        clock.sleep(5.0 if clock.now_s < 1.5 else 0.1)
        return ANSWERED

    latencies = []
    for due_s in range(1, 11):
        clock.now_s = max(clock.now_s, due_s)
        measured = measure(due_s, clock.now, 60.0, slow_then_quick)
        latencies.append(round(measured.latency_s, 3))
        assert measured.lag_s == pytest.approx(measured.latency_s - (5.0 if due_s == 1 else 0.1))
    assert latencies == [5.0, 4.1, 3.2, 2.3, 1.4, 0.5, 0.1, 0.1, 0.1, 0.1]


def test_who_has_waited_too_long_is_gone() -> None:
    clock = Clock()
    clock.now_s = 7.0

    def never() -> str:
        raise AssertionError("it was sent")

    measured = measure(1.0, clock.now, 5.0, never)
    assert (measured.outcome, measured.latency_s) == (NOT_SENT, 6.0)
