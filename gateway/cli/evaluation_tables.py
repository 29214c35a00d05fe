"""What the evaluation commands print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from gateway.services.approximate_recall import BeamCurve
from gateway.services.evaluation import Comparison, Evaluation, Group
from gateway.services.fusion_tuning import TUNED_METRIC, LegReport
from gateway.services.quality_gate import FloorResult
from gateway.services.retrieval_metrics import Difference, Estimate

PRINTED = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
CATEGORIES_PRINTED = 5
# Of two releases a difference is called one when chance gives it less often than this.
SIGNIFICANT = 0.05


def evaluation_table(evaluation: Evaluation) -> Table:
    """Every metric over all queries, then its mean by kind and variant."""
    table = _table(f"{evaluation.release}: means, all queries with 95 % intervals below")
    table.add_column("queries")
    table.add_column("", justify="right")
    for metric in PRINTED:
        table.add_column(metric, justify="right")
    for group in (evaluation.overall, *evaluation.kinds):
        table.add_row(group.name, f"{group.queries:,}", *_means(group))
        if group is evaluation.overall:
            spans = (_interval(group.metrics[metric]) for metric in PRINTED)
            table.add_row("", "", *(f"[dim]{span}[/]" for span in spans))
    table.add_section()
    for group in evaluation.variants:
        table.add_row(group.name, f"{group.queries:,}", *_means(group))
    weakest = sorted(evaluation.categories, key=lambda g: g.metrics["ndcg@10"].mean)
    if weakest:
        table.add_section()
    for group in weakest[:CATEGORIES_PRINTED]:
        table.add_row(f"[dim]weak:[/] {group.name}", f"{group.queries:,}", *_means(group))
    return table


def comparison_table(comparison: Comparison) -> Table:
    """Both releases side by side, over all queries and by kind."""
    first, second = comparison.first, comparison.second
    table = _table(f"{second} minus {first} (p: paired randomisation test)")
    for name in ("", first, second, "difference", "95 %", "p"):
        table.add_column(name, justify="right" if name else "left")
    _add_differences(table, comparison.overall.items(), "")
    for kind, differences in comparison.kinds.items():
        table.add_section()
        shown = ((m, differences[m]) for m in ("recall@10", "ndcg@10"))
        _add_differences(table, shown, f"{kind} ")
    return table


def beams_table(beams: BeamCurve) -> Table:
    """The approximate index's recall and latency by `ef`."""
    table = _table(f"the index against exact search, {beams.queries} queries, one at a time")
    for name in ("ef", "recall@10", "p50 ms", "p95 ms"):
        table.add_column(name, justify="right")
    for beam in beams.beams:
        latency = beam.latency
        table.add_row(
            str(beam.ef), f"{beam.recall:.4f}", f"{latency.p50_s * 1e3:.2f}",
            f"{latency.p95_s * 1e3:.2f}",
        )  # fmt: skip
    exact = beams.exact
    table.add_row("exact", "1.0000", f"{exact.p50_s * 1e3:.2f}", f"{exact.p95_s * 1e3:.2f}")
    return table


def floor_lines(floors: Sequence[FloorResult]) -> list[str]:
    """One line a floor."""
    return [
        f"{'[green]held[/]  ' if f.held else '[red]BROKEN[/]'} {f.floor} ≥ {f.floor.least:g}: "
        + ("no such query" if f.mean is None else f"{f.mean:.3f}")
        for f in floors
    ]


def legs_table(report: LegReport) -> Table:
    """The methods side by side on the held-out half, by kind and variant."""
    table = _table(f"{report.release}: recall@10 / ndcg@10 on {report.reported_on:,} queries")
    table.add_column("queries")
    table.add_column("", justify="right")
    for column in report.columns:
        table.add_column(column.method, justify="right")
    for section in ("overall", "kinds", "variants"):
        for rows in zip(*(_section(column, section) for column in report.columns), strict=True):
            table.add_row(rows[0].name, f"{rows[0].queries:,}", *(_both(row) for row in rows))
        table.add_section()
    return table


def evidence_table(report: LegReport) -> Table:
    """Where vectors beat words: what `mode: auto` has to know."""
    table = _table(f"vectors minus words, {TUNED_METRIC}")
    for name in ("queries", "words", "vectors", "difference", "95 %", "p"):
        table.add_column(name, justify="left" if name == "queries" else "right")
    _add_differences(table, report.words_or_vectors.items(), "")
    return table


def _section(evaluation: Evaluation, name: str) -> tuple[Group, ...]:
    match name:
        case "overall":
            return (evaluation.overall,)
        case "kinds":
            return evaluation.kinds
        case _:
            return evaluation.variants


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", padding=(0, 1))


def _add_differences(table: Table, rows: Iterable[tuple[str, Difference]], prefix: str) -> None:
    for name, one in rows:
        style = ""
        if one.p_value < SIGNIFICANT:
            style = "green" if one.difference.mean > 0 else "red"
        table.add_row(
            f"{prefix}{name}", f"{one.first:.3f}", f"{one.second:.3f}",
            f"{one.difference.mean:+.3f}",
            f"{one.difference.low:+.3f}…{one.difference.high:+.3f}", f"{one.p_value:.4f}",
            style=style,
        )  # fmt: skip


def _means(group: Group) -> list[str]:
    return [f"{group.metrics[metric].mean:.3f}" for metric in PRINTED]


def _both(group: Group) -> str:
    return f"{group.metrics['recall@10'].mean:.3f} / {group.metrics['ndcg@10'].mean:.3f}"


def _interval(estimate: Estimate) -> str:
    """`.812-.834`: an interval that fits below its mean in 80 columns."""
    return "-".join(f"{end:.2f}"[-3:] if end < 1 else "1" for end in (estimate.low, estimate.high))
