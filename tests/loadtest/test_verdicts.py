"""SLOs, steps, the knee, and the page that tells of them, on numbers made by hand."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtest.histogram import Histogram
from loadtest.plots import BY_LOAD, OVER_TIME
from loadtest.record import ANSWERED, REFUSED, Record, Run
from loadtest.report import RECORD, SUMMARY, judged
from loadtest.slo import BadSlo, Term, judge, parse
from loadtest.steps import Knee, Step, StepPlan, knee, knee_verdicts, measured


def record(*seconds: tuple[float, int, int]) -> Record:
    """A second each: the latency of its 100 answers, and how many more were refused and failed."""
    made = Record()
    for second, (ms, refused, failed) in enumerate(seconds):
        for _ in range(100):
            made.add(second, "text", ANSWERED, ms)
        for _ in range(refused):
            made.add(second, "text", REFUSED, 1.0)
        for _ in range(failed):
            made.add(second, "image", "HTTP 503", 1.0)
    return made


def test_percentiles_are_right_to_one_percent() -> None:
    chance = random.Random(1)
    values = [chance.lognormvariate(4, 1) for _ in range(5_000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for percent in (1, 50, 95, 99, 99.9, 100):
        exact = float(np.percentile(values, percent, method="inverted_cdf"))
        assert histogram.percentile_ms(percent) == pytest.approx(exact, rel=0.0101)
    assert histogram.max_ms == max(values)


def test_nothing_has_no_percentile() -> None:
    assert math.isnan(Histogram().percentile_ms(99))


def test_workers_counts_add_up_to_one_record() -> None:
    whole, parts = record((10, 1, 2), (30, 0, 0)), Record()
    for part in (record((10, 1, 2)), record((10, 0, 0), (30, 0, 0))):
        sent = json.loads(json.dumps(part.taken().to_json()))
        parts.merge(Record.from_json(sent))
        assert part.tally().count == 0
    assert parts.tally().count == whole.tally().count + 100
    assert parts.tally(None, range(1, 2)).answered.buckets == (
        whole.tally(None, range(1, 2)).answered.buckets
    )


def test_an_slo_is_read() -> None:
    assert parse("p99=150ms, errors=0.1%,image.p99.9=0.3s,refused=1%,knee=200/s") == (
        Term("p99=150ms", None, "p99", 150.0, 99.0),
        Term("errors=0.1%", None, "errors", 0.001),
        Term("image.p99.9=0.3s", "image", "p99.9", 300.0, 99.9),
        Term("refused=1%", None, "refused", 0.01),
        Term("knee=200/s", None, "knee", 200.0),
    )
    assert parse("") == ()


@pytest.mark.parametrize(
    "text", ["p99", "p99=150", "p99=1.2.3ms", "errors=0.1", "speed=3ms", "image.knee=3", "p199=1ms"]
)
def test_what_is_no_slo_is_named(text: str) -> None:
    with pytest.raises(BadSlo, match=text[:4]):
        parse(text)


@pytest.mark.parametrize(
    ("slo", "held"),
    [
        ("p99=55ms", [True]),
        ("p99=45ms", [False]),
        ("errors=2%", [True]),
        ("errors=1.5%", [False]),
        ("refused=3.5%", [True]),
        ("refused=3%", [False]),
        ("text.p50=10ms,p50=60ms", [False, True]),
        ("image.errors=99%,text.errors=0%", [False, True]),
        ("image.p50=1s", [False]),
        ("similar.errors=1%", [False]),
    ],
)
def test_a_run_holds_an_slo_or_breaks_it(slo: str, held: list[bool]) -> None:
    """Of 317 requests 11 were refused and 6 failed."""
    made = record((50, 4, 0), (50, 0, 4), (50, 7, 2))
    assert [v.held for v in judge(parse(slo), made.tally)] == held


def test_a_verdict_says_what_was_measured() -> None:
    verdicts = judge(parse("p99=150ms,errors=0.1%,image.p99=1s"), record((1_000, 0, 1)).tally)
    assert [str(v) for v in verdicts] == [
        "p99=150ms: 1000 ms",
        "errors=0.1%: 0.99%",
        "image.p99=1s: nothing was answered",
    ]


PLAN = StepPlan(20, 100, 20, seconds=5)


def test_a_plan_is_read_and_knows_its_steps() -> None:
    assert StepPlan.parse("20:100:20", 5) == PLAN
    assert (PLAN.count, PLAN.total_s) == (5, 25)
    assert [PLAN.load_at(s) for s in (0, 4.9, 5, 24.9, 25)] == [20, 20, 40, 100, 0]
    assert PLAN.next_change_s(5.0) == 10
    assert PLAN.window(1) == range(6, 10)
    assert StepPlan.parse("0.1:0.7:0.1", 5).count == 7


@pytest.mark.parametrize("text", ["20:100", "a:b:c", "100:20:5", "0:10:1", "1:2:0"])
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        StepPlan.parse(text, 5)


def steps_of(*milliseconds: float, slo: str = "p99=150ms,errors=1%") -> list[Step]:
    """Five seconds of each latency, the first of each much slower."""
    seconds = [(ms * (9 if n == 0 else 1), 0, 0) for ms in milliseconds for n in range(5)]
    return measured(record(*seconds), PLAN, parse(slo), len(seconds))


def test_a_steps_first_seconds_are_the_step_before() -> None:
    assert [step.held for step in steps_of(20, 30, 40)] == [True, True, True]
    assert [step.answered_per_s for step in steps_of(20)] == [100]


def test_a_step_that_was_cut_short_is_none() -> None:
    seconds = [(20.0, 0, 0)] * 7
    assert [s.load for s in measured(record(*seconds), PLAN, parse("p99=1s"), 7)] == [20]


@pytest.mark.parametrize(
    ("milliseconds", "found"),
    [
        ((20, 30, 40, 200, 900), Knee(60, 80)),
        ((20, 30, 40, 50, 60), Knee(100, None)),
        ((200, 300), Knee(None, 20)),
        ((20, 200, 30, 40, 300), Knee(20, 40, unsteady=True)),
    ],
)
def test_the_knee_is_the_least_load_that_breaks_the_slo(
    milliseconds: tuple[float, ...], found: Knee
) -> None:
    assert knee(steps_of(*milliseconds)) == found


def test_errors_break_a_step_too() -> None:
    seconds = [(20.0, 0, 0)] * 5 + [(20.0, 0, 5)] * 5
    assert knee(measured(record(*seconds), PLAN, parse("p99=1s,errors=1%"), 10)) == Knee(20, 40)


@pytest.mark.parametrize(("slo", "held"), [("knee=60", True), ("knee=61", False), ("", True)])
def test_a_knee_can_be_asked_for(slo: str, held: bool) -> None:
    verdicts = knee_verdicts(Knee(60, 80), parse(slo))
    assert all(v.held for v in verdicts) == held
    assert not all(v.held for v in knee_verdicts(Knee(None, 20), parse("knee=1")))


def run_of(made: Record, slo: str, steps: str | None = None) -> Run:
    return Run(
        record=made, model="open", offered="20 to 100 requests a second", slo=slo, steps=steps,
        step_seconds=5, warm_up_s=0, ran_s=float(made.seconds.stop),
        started="2026-11-23T12:00:00+00:00", mix="image=40,text=60",
        pictures="200: 60 thumbnail (30 kB), 80 vga (100 kB), 40 2mp (600 kB), 20 phone (4,157 kB)",
    )  # fmt: skip


def test_the_first_seconds_are_warming_up() -> None:
    """They are in the plots, and in no verdict."""
    run = replace(run_of(record((900.0, 0, 9), (20.0, 0, 0)), "p99=150ms,errors=0%"), warm_up_s=1)
    assert judged(run).held
    assert not judged(replace(run, warm_up_s=0)).held


def test_the_page_fits_a_terminal_and_says_which_part_failed(tmp_path: Path) -> None:
    made = record(*[(123_456.0, 9_999, 1_000)] * 2)
    report = judged(run_of(made, "p99=150ms,refused=1%"))
    page = report.lines()
    assert max(map(len, page)) <= 80
    assert not report.held
    assert "- BROKEN: p99=150ms: 123456 ms" in page
    assert "- error: HTTP 503, 2,000 times" in page


def test_a_report_can_be_made_again_from_its_record(tmp_path: Path) -> None:
    seconds = [(ms, 0, 0) for ms in (20.0, 40.0, 400.0, 900.0) for _ in range(5)]
    report = judged(run_of(record(*seconds), "p99=150ms", "20:100:20"))
    report.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {RECORD, SUMMARY, OVER_TIME, BY_LOAD}
    assert "- knee: 60 breaks it, 40 holds it" in report.lines()
    assert judged(Run.load(tmp_path / RECORD)).lines() == report.lines()
    assert report.held
    assert max(map(len, report.lines())) <= 80
