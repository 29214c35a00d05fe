"""What the evaluation commands print: tables that keep one line a row in 80 columns.

Numbers never wrap; names of groups and releases, which may be long, are cut. All of it is in the
JSON and in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from gateway.services.approximate_recall import BeamCurve
from gateway.services.calibration import MIN_SCORES, Calibration
from gateway.services.evaluation import Comparison, Evaluation, Group
from gateway.services.fusion_tuning import TUNED_METRIC, LegReport
from gateway.services.golden_set import QueryKind
from gateway.services.quality_gate import FloorResult
from gateway.services.retrieval_metrics import Difference, Estimate

PRINTED = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
CATEGORIES_PRINTED = 5
# Of two releases a difference is called one when chance gives it less often than this.
SIGNIFICANT = 0.05


def evaluation_table(evaluation: Evaluation) -> Table:
    """Every metric over all queries with its interval, then its mean by kind, by variant and for
    the weakest categories."""
    table = _table(f"{evaluation.release}: means; all queries with 95 % intervals")
    _columns(table, "queries", "", *PRINTED)
    for group in (evaluation.overall, *evaluation.kinds):
        _add_means(table, group)
        if group is evaluation.overall:
            spans = (_interval(group.metrics[metric]) for metric in PRINTED)
            table.add_row("", "", *(f"[dim]{span}[/]" for span in spans))
    table.add_section()
    for group in evaluation.variants:
        _add_means(table, group)
    weakest = sorted(evaluation.categories, key=lambda g: g.metrics["ndcg@10"].mean)
    if weakest:
        table.add_section()
        table.add_row("[dim]the weakest:[/]")
    for group in weakest[:CATEGORIES_PRINTED]:
        _add_means(table, group)
    return table


def comparison_table(comparison: Comparison) -> Table:
    """Both releases side by side, over all queries and by kind."""
    first, second = comparison.first, comparison.second
    table = _table(f"{second} minus {first} (p: paired randomisation test)")
    table.add_column("")
    for release in (first, second):
        table.add_column(_name(release), justify="right")
    for name in ("difference", "95 %", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    _add_differences(table, comparison.overall.items(), "")
    for kind, differences in comparison.kinds.items():
        table.add_section()
        shown = ((m, differences[m]) for m in ("recall@10", "ndcg@10"))
        _add_differences(table, shown, f"{kind} ")
    return table


def overlap_line(comparison: Comparison) -> str:
    """How much of their answers the two releases share."""
    overlap = comparison.overlap
    return f"overlap@10: {overlap.mean:.3f} [{overlap.low:.3f}, {overlap.high:.3f}]"


def index_line(beams: BeamCurve) -> str:
    """What the table of beams is about, and whether it means anything."""
    asked = f"{beams.queries:,} queries, one at a time"
    if beams.graph:
        return f"the index against exact search on {beams.points:,} pictures: {asked}"
    return (
        f"the index: {beams.points:,} pictures are too few for a graph, so they are scanned:\n"
        f"every answer is exact, and ef changes nothing ({asked})"
    )


def beams_table(beams: BeamCurve) -> Table:
    """The index's recall and latency by `ef`; exact search alone if there is no graph."""
    table = Table()
    _columns(table, "ef", "recall@10", "p50 ms", "p95 ms")
    for beam in beams.beams if beams.graph else ():
        latency = beam.latency
        table.add_row(
            str(beam.ef), f"{beam.recall:.4f}", f"{latency.p50_s * 1e3:.2f}",
            f"{latency.p95_s * 1e3:.2f}",
        )  # fmt: skip
    exact = beams.exact
    name = "exact" if beams.graph else "scan"
    table.add_row(name, "1.0000", f"{exact.p50_s * 1e3:.2f}", f"{exact.p95_s * 1e3:.2f}")
    return table


def calibration_table(calibration: Calibration) -> Table:
    """The cut-offs by kind of query, and what each keeps and lets through."""
    table = _table(f"{calibration.release}: no good match below this cosine")
    _columns(table, "queries", "cosine", "right kept", "hopeless passed", "auc")
    for kind in QueryKind:
        rates = calibration.rates.get(str(kind))
        if rates is None:
            table.add_row(str(kind), f"[dim]fewer than {MIN_SCORES}[/]")
            continue
        table.add_row(
            str(kind), f"{rates.cosine:.3f}", f"{rates.true_positive_rate:.1%} of {rates.right:,}",
            f"{rates.false_positive_rate:.1%} of {rates.hopeless:,}", f"{rates.auc:.3f}",
        )  # fmt: skip
    return table


def floor_lines(floors: Sequence[FloorResult]) -> list[Text]:
    """One line a floor."""
    lines = []
    for result in floors:
        verdict = ("held  ", "green") if result.held else ("BROKEN", "red")
        found = "no such query"
        if result.found is not None:
            one = result.found
            found = f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"
        lines.append(Text.assemble(verdict, f" {result.floor} ≥ {result.floor.least:g}: {found}"))
    return lines


def legs_table(report: LegReport) -> Table:
    """The methods side by side on the held-out half, by kind and variant: recall@10 and nDCG@10."""
    table = _table(
        f"{report.release}: recall@10 and ndcg@10 on {report.reported_on:,} held-out queries"
    )
    _columns(table, "queries", "", *(c.method.replace(", ", ",\n") for c in report.columns))
    for section in ("overall", "kinds", "variants"):
        for rows in zip(*(_section(column, section) for column in report.columns), strict=True):
            cells = (_both(row) for row in rows)
            table.add_row(_name(rows[0].name), f"{rows[0].queries:,}", *cells)
        table.add_section()
    return table


def second_stage_table(report: LegReport) -> Table:
    """The same queries with and without the second stage."""
    table = _table("second stage: the candidates in the order of their exact cosine")
    _columns(table, "recall@10 / ndcg@10", "without", "with")
    for without, rescored in zip(report.columns, report.rescored, strict=True):
        table.add_row(without.method, _both(without.overall), _both(rescored.overall))
    return table


def evidence_table(report: LegReport) -> Table:
    """Where vectors beat words: what `mode: auto` has to know."""
    table = _table(f"vectors minus words, {TUNED_METRIC} (p: paired randomisation test)")
    _columns(table, "queries", "words", "vectors", "difference", "95 %", "p")
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
    return Table(
        title=escape(title), title_justify="left", title_style="bold", padding=(0, 1), min_width=72
    )


def _columns(table: Table, first: str, *others: str) -> None:
    """The first column gives way when there is no room; the others, which hold numbers, do not."""
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)


def _name(name: str) -> Text:
    """A name from the user's files: no markup, and cut where there is no room for it."""
    return Text(name, no_wrap=True, overflow="ellipsis")


def _add_means(table: Table, group: Group) -> None:
    means = (f"{group.metrics[metric].mean:.3f}" for metric in PRINTED)
    table.add_row(_name(group.name), f"{group.queries:,}", *means)


def _add_differences(table: Table, rows: Iterable[tuple[str, Difference]], prefix: str) -> None:
    for name, one in rows:
        style = ""
        if one.p_value < SIGNIFICANT:
            style = "green" if one.difference.mean > 0 else "red"
        table.add_row(
            _name(f"{prefix}{name}"), f"{one.first:.3f}", f"{one.second:.3f}",
            f"{one.difference.mean:+.3f}",
            f"{one.difference.low:+.3f}…{one.difference.high:+.3f}", f"{one.p_value:.4f}",
            style=style,
        )  # fmt: skip


def _both(group: Group) -> str:
    """`.874 .811`: two metrics that fit side by side, four times in 80 columns."""
    return " ".join(_short(group.metrics[metric].mean, 3) for metric in ("recall@10", "ndcg@10"))


def _interval(estimate: Estimate) -> str:
    """`.81-.83`: an interval that fits below its mean in 80 columns."""
    return "-".join(_short(end, 2) for end in (estimate.low, estimate.high))


def _short(value: float, digits: int) -> str:
    """From 0 to 1, without the zero before the point; 1 as `1.00`, as wide as the others."""
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("0") else text[:-1]
