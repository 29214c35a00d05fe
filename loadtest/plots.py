"""The plots of a report: over time, and against the load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtest.record import Tally

if TYPE_CHECKING:
    from loadtest.report import Report

OVER_TIME, BY_LOAD = "over-time.png", "by-load.png"
PERCENTS = (50, 95, 99)
_SHADES = ("#7aa6d8", "#2f6db5", "#12355b")
_ANSWERED, _REFUSED, _ERRORS = "#3f8f5f", "#d9a520", "#b8322a"
_DPI = 120


def save_plots(report: Report, folder: Path) -> None:
    """Writes OVER_TIME, and BY_LOAD if the run had steps."""
    _over_time(report).savefig(folder / OVER_TIME, dpi=_DPI)
    if report.steps:
        _by_load(report).savefig(folder / BY_LOAD, dpi=_DPI)


def _figure(title: str) -> tuple[Any, Any, Any]:
    # The object interface: no global state, and no window system to find.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    figure.suptitle(title, fontsize=11)
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, upper, lower


def _over_time(report: Report) -> Any:  # noqa: ANN401 - matplotlib's figure
    """Requests a second by outcome, stacked, above the latency percentiles of each second."""
    run = report.run
    figure, upper, lower = _figure(f"{run.model} model, {run.offered}")
    seconds, tallies = zip(*run.record.by_second(), strict=True) if run.record.seconds else ((), ())
    outcomes = {
        "answered": [t.answered.count for t in tallies],
        "refused (429)": [t.refused.count for t in tallies],
        "errors": [t.error_count for t in tallies],
    }
    colours = (_ANSWERED, _REFUSED, _ERRORS)
    upper.stackplot(
        seconds, *outcomes.values(), labels=list(outcomes), colors=colours, alpha=0.8, step="mid"
    )
    upper.set_ylabel("requests a second,\nby when they were due")
    upper.legend(loc="upper left", fontsize=8, ncols=3)
    _latency(lower, list(seconds), list(tallies))
    lower.set_xlabel("seconds from the start")
    _limits(report, lower)
    return figure


def _by_load(report: Report) -> Any:  # noqa: ANN401 - matplotlib's figure
    """What was answered, above the latency percentiles, against the load that was offered."""
    unit = "requests due a second" if report.run.model == "open" else "users"
    figure, upper, lower = _figure(f"{report.run.model} model, {report.run.offered}")
    loads = [step.load for step in report.steps]
    answered = [step.answered_per_s for step in report.steps]
    upper.plot(loads, answered, "o-", color=_ANSWERED, label="answered")
    refused = [step.tally.refused.count / step.seconds for step in report.steps]
    upper.plot(loads, refused, "s-", color=_REFUSED, label="refused (429)")
    errors = [step.tally.error_count / step.seconds for step in report.steps]
    upper.plot(loads, errors, "x-", color=_ERRORS, label="errors")
    if report.run.model == "open":
        upper.plot(loads, loads, ":", color="grey", label="due")
    upper.set_ylabel("requests a second")
    _latency(lower, loads, [step.tally for step in report.steps])
    lower.set_xlabel(unit)
    _limits(report, lower)
    for axes in (upper, lower):
        if report.knee is not None and report.knee.broken_at is not None:
            axes.axvline(report.knee.broken_at, color=_ERRORS, alpha=0.6, label="SLO broken")
    upper.legend(loc="upper left", fontsize=8)
    return figure


def _latency(axes: Any, at: list[float], tallies: list[Tally]) -> None:  # noqa: ANN401 - matplotlib's axes
    for percent, colour in zip(PERCENTS, _SHADES, strict=True):
        values = [tally.answered.percentile_ms(percent) for tally in tallies]
        axes.plot(at, values, "o-", markersize=2.5, color=colour, label=f"p{percent}")
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds")
    axes.legend(loc="upper left", fontsize=8, ncols=3)


def _limits(report: Report, axes: Any) -> None:  # noqa: ANN401 - matplotlib's axes
    """The SLO's bounds on all latencies, as lines."""
    from loadtest import slo

    for term in slo.parse(report.run.slo):
        if term.percent is not None and term.kind is None:
            axes.axhline(term.limit, linestyle="--", color="grey", linewidth=1)
            axes.annotate(
                term.text, (1, term.limit), xycoords=("axes fraction", "data"),
                ha="right", va="bottom", fontsize=8, color="grey",
            )  # fmt: skip
