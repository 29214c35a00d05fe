"""What a run comes to: one page in 80 columns, two plots, and the exit code.

`python -m loadtest.report FOLDER` writes page and plots again from the raw record.
"""

from __future__ import annotations

import functools
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import say
from loadtest import slo
from loadtest.record import Run, Tally
from loadtest.steps import Knee, Step, StepPlan, knee, knee_verdicts, measured

RECORD = "record.json"
SUMMARY = "summary.md"


# The page fits a terminal.
COLUMNS = 80


@dataclass(frozen=True, slots=True)
class _Table:
    """A Markdown table with columns of fixed widths, the first to the left."""

    widths: tuple[int, ...]

    def row(self, *cells: str) -> str:
        """A row."""
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, self.widths, strict=True)]
        padded[0] = f"{cells[0]:<{self.widths[0]}}"
        return f"| {' | '.join(padded)} |"

    def rule(self) -> str:
        """The line below the head."""
        dashes = ["-" * (width + 1) + ":" for width in self.widths]
        dashes[0] = "-" * (self.widths[0] + 2)
        return f"|{'|'.join(dashes)}|"


_KINDS = _Table((8, 7, 7, 6, 6, 6, 7, 6))
_STEPS = _Table((6, 7, 6, 6, 6, 7, 6, 6))


@dataclass(frozen=True)
class Report:
    """A run and the verdicts on it; with steps, what each came to and where the knee is."""

    run: Run
    verdicts: Sequence[slo.Verdict]
    steps: Sequence[Step]
    knee: Knee | None

    @property
    def held(self) -> bool:
        """Whether the SLO was held; with steps: by the first of them, and up to the knee that the
        SLO asks for."""
        if self.knee is not None and self.knee.held_at is None:
            return False
        return all(verdict.held for verdict in self.verdicts)

    def save(self, folder: Path) -> None:
        """Writes the record, the page and the plots."""
        from loadtest.plots import save_plots

        folder.mkdir(parents=True, exist_ok=True)
        self.run.save(folder / RECORD)
        (folder / SUMMARY).write_text("\n".join(self.lines()) + "\n")
        save_plots(self, folder)

    def lines(self) -> list[str]:
        """The page: Markdown that reads in a terminal."""
        return list(_lines(self))


def judged(run: Run) -> Report:
    """The report of a run."""
    terms = slo.parse(run.slo)
    if run.steps is None:
        return Report(
            run,
            slo.judge(terms, functools.partial(run.record.tally, seconds=run.seconds)),
            (),
            None,
        )
    done = measured(run.record, StepPlan.parse(run.steps, run.step_seconds), terms, run.ran_s)
    found = knee(done)
    return Report(run, knee_verdicts(found, terms), done, found)


def _lines(report: Report) -> Iterator[str]:
    run = report.run
    started = datetime.fromisoformat(run.started)
    yield f"# Load test of {started:%Y-%m-%d %H:%M} UTC"
    yield ""
    seconds, counted = len(run.record.seconds), len(run.seconds)
    warm_up = "" if run.steps else f", the last {counted} of which count"
    yield from _bullet(f"load: {run.model} model, {run.offered}; {seconds} s{warm_up}")
    yield from _bullet(f"mix: {run.mix}")
    yield from _bullet(f"pictures: {run.pictures}")
    yield ""
    yield from _by_kind(run)
    if run.model == "open":
        yield ""
        lag = run.record.lag(run.seconds).percentile_ms(99)
        yield "Latency counts from the time at which a request was due; 99 of 100 were sent"
        yield f"less than {lag:.1f} ms later."
    if report.steps:
        yield ""
        yield from _by_step(report.steps, run.model)
    yield from _verdict(report)


def _by_kind(run: Run) -> Iterator[str]:
    seconds = max(1, len(run.seconds))
    yield _KINDS.row("kind", "due", "done/s", "p50 ms", "p95 ms", "p99 ms", "refused", "errors")
    yield _KINDS.rule()
    for kind in run.record.kinds:
        yield _tally_row(kind, run.record.tally(kind, run.seconds), seconds)
    total = run.record.tally(None, run.seconds)
    yield _tally_row("all", total, seconds)
    if total.errors:
        yield ""
        for name, count in sorted(total.errors.items(), key=lambda each: -each[1]):
            yield f"- error: {name}, {count:,} times"


def _tally_row(name: str, tally: Tally, seconds: int) -> str:
    return _KINDS.row(
        name,
        f"{tally.count:,}",
        f"{tally.answered.count / seconds:,.1f}",
        *_latencies(tally, 50, 95, 99),
        f"{tally.refused.count:,}",
        f"{tally.error_count:,}",
    )


def _by_step(steps: Sequence[Step], model: str) -> Iterator[str]:
    load = "due/s" if model == "open" else "users"
    yield _STEPS.row(load, "done/s", "p50 ms", "p95 ms", "p99 ms", "refused", "errors", "SLO")
    yield _STEPS.rule()
    for step in steps:
        yield _STEPS.row(
            f"{step.load:g}",
            f"{step.answered_per_s:,.1f}",
            *_latencies(step.tally, 50, 95, 99),
            f"{step.tally.refused.count:,}",
            f"{step.tally.error_count:,}",
            "held" if step.held else "broken",
        )


def _verdict(report: Report) -> Iterator[str]:
    if not report.run.slo:
        return
    yield ""
    yield f"**SLO {'held' if report.held else 'BROKEN'}**: {report.run.slo}"
    yield ""
    if report.knee is not None:
        yield f"- {_knee_line(report.knee)}"
    for verdict in report.verdicts:
        yield f"- {'held' if verdict.held else 'BROKEN'}: {verdict}"


def _knee_line(found: Knee) -> str:
    if found.broken_at is None:
        return f"knee: none up to {found.held_at or 0:g}, the last step"
    if found.held_at is None:
        return f"knee: below {found.broken_at:g}, the first step, which broke it"
    line = f"knee: {found.broken_at:g} breaks it, {found.held_at:g} holds it"
    return f"{line}; a later step held again: use longer ones" if found.unsteady else line


def _latencies(tally: Tally, *percents: float) -> list[str]:
    values = [tally.answered.percentile_ms(percent) for percent in percents]
    return ["-" if math.isnan(ms) else f"{ms:.0f}" if ms >= 10 else f"{ms:.1f}" for ms in values]


def _bullet(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent="- ", subsequent_indent="  ")


def command(folder: Annotated[Path, typer.Argument(help="A run's --report folder.")]) -> None:
    """Judge and draw a run again from its record."""
    report = judged(Run.load(folder / RECORD))
    report.save(folder)
    for line in report.lines():
        say(line)


if __name__ == "__main__":
    typer.run(command)
