"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gateway.cli.evaluation_pictures import ANSWERS_SHOWN, WorstQuery
from gateway.cli.evaluation_tables import SIGNIFICANT
from gateway.cli.svg_charts import Bars, bar_chart, curve
from gateway.services.approximate_recall import BeamCurve
from gateway.services.evaluation import Comparison, Evaluation, Group, Shown
from gateway.services.evaluation_report import EvaluationReport
from gateway.services.quality_gate import FloorResult
from gateway.services.retrieval_metrics import METRICS, Difference, Estimate

CHARTED = ("recall@1", "recall@10", "ndcg@10")
ROWS_UNFOLDED = 12

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#d9dee7;--paper:#fff;
--a:#2f6fde;--b:#e08a1e;--good:#157f3b;--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf2;--soft:#98a2b3;--line:#2d3645;
--paper:#12161d;--a:#6b9cf5;--b:#f0a94e;--good:#4cc07a;--bad:#f97066}}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1060px;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2.5rem}
p,figcaption,summary{color:var(--soft)}figure{margin:0}
.table{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-size:.9rem}
th,td{padding:.25rem .55rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums}th{font-size:.8rem;color:var(--soft)}
th:first-child,td:first-child{text-align:left;padding-left:0;position:sticky;left:0;
background:var(--paper)}td:first-child{white-space:normal;min-width:6.5rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr));gap:1.2rem;
margin:1.5rem 0}
svg{width:100%;font:12px system-ui,sans-serif}.curve svg{max-width:560px}
.charts svg{max-width:460px}svg text{fill:var(--ink)}svg .value{fill:var(--soft);
font-size:10.5px}
.s0,circle{fill:var(--a)}.s1{fill:var(--b)}.whisker,.axis{stroke:var(--ink);fill:none}
.line{stroke:var(--a);fill:none;stroke-width:2}.exact{stroke:var(--b);stroke-dasharray:4 4}
.good{color:var(--good)}.bad{color:var(--bad)}svg.key{width:.8em;height:.8em}
.key+b{font-weight:400;margin-right:1.2em}
.worst{border-top:1px solid var(--line);padding:.8rem 0;display:grid;gap:.3rem 1.5rem;
grid-template-columns:190px 104px 1fr}.worst h3{grid-column:1/-1;margin:0;font-size:.8rem;
font-weight:400;color:var(--soft)}
.shelf{display:flex;gap:.6rem;flex-wrap:wrap}.shelf figure{width:96px;font-size:.8rem}
.shelf figure,.shelf figcaption{line-height:1.3;color:inherit}small{color:var(--soft);display:block}
.shelf img,.none{width:96px;height:96px;object-fit:contain;background:#fff;border-radius:6px;
border:2px solid var(--line)}.none{display:grid;place-items:center;color:#667085;font-size:.8rem}
.right img,.right .none{border-color:var(--good)}q{font-size:1.1rem}
@media(max-width:860px){.worst{grid-template-columns:auto 1fr}
.worst>div:last-child{grid-column:1/-1}}
"""


def page(report: EvaluationReport, worst: Sequence[WorstQuery]) -> str:
    """The whole document."""
    runs = [report.evaluation] + ([report.against] if report.against else [])
    title = " against ".join(run.release for run in runs)
    parts = [
        f"<h1>Release {escape(title)}</h1>",
        f"<p>{report.queries:,} of the {report.total:,} queries in {escape(report.golden)}, drawn "
        f"with seed {report.seed}, in {report.seconds:.0f} s. Bars and brackets are 95 % bootstrap "
        "intervals over queries.</p>",
        _legend(runs) if len(runs) > 1 else "",
        _gate(report.floors),
        f'<div class="charts">{"".join(_chart(metric, runs) for metric in CHARTED)}</div>',
        "<h2>By kind of query</h2>",
        *(_table(run.release, (run.overall, *run.kinds)) for run in runs),
        _comparison(report.comparison) if report.comparison else "",
        _beams(report.beams) if report.beams else "",
        "<h2>By how the query was made</h2>",
        _table(runs[0].release, runs[0].variants),
        "<h2>By category, the weakest first</h2>",
        _folded(_table(runs[0].release, _weakest_first(runs[0].categories)), runs[0].categories),
        f"<h2>The worst queries of {escape(runs[0].release)}</h2>",
        _worst_section(worst),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _legend(runs: Sequence[Evaluation]) -> str:
    keys = (
        f'<svg class="key" viewBox="0 0 1 1"><rect class="s{n}" width="1" height="1"/></svg> '
        f"<b>{escape(run.release)}</b>"
        for n, run in enumerate(runs)
    )
    return f"<p>{''.join(keys)}</p>"


def _gate(floors: Sequence[FloorResult]) -> str:
    if not floors:
        return ""
    rows = [
        (
            escape(str(result.floor)),
            '<span class="good">held</span>' if result.held else '<span class="bad">broken</span>',
            f"{result.floor.least:g}",
            "not measured" if result.found is None else _spread(result.found),
        )
        for result in floors
    ]
    return "<h2>Gate</h2>" + _rows(("floor", "", "least", "found"), rows)


def _chart(metric: str, runs: Sequence[Evaluation]) -> str:
    rows = [Bars("all", tuple(run.overall.metrics[metric] for run in runs))]
    for number, group in enumerate(runs[0].kinds):
        rows.append(Bars(group.name, tuple(run.kinds[number].metrics[metric] for run in runs)))
    return bar_chart(metric, rows)


def _table(release: str, groups: Sequence[Group]) -> str:
    rows = [
        (escape(g.name), f"{g.queries:,}", *(f"{g.metrics[m].mean:.3f}" for m in METRICS))
        for g in groups
    ]
    return _rows((escape(release), "queries", *METRICS), rows) if rows else "<p>None.</p>"


def _folded(table: str, rows: Sequence[Group]) -> str:
    """A long table is one click away: what matters comes after it."""
    if len(rows) <= ROWS_UNFOLDED:
        return table
    return f"<details><summary>{len(rows)} categories</summary>{table}</details>"


def _weakest_first(groups: Iterable[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: group.metrics["ndcg@10"].mean)


def _comparison(comparison: Comparison) -> str:
    first, second = escape(comparison.first), escape(comparison.second)
    rows = [_compared(metric, one) for metric, one in comparison.overall.items()]
    for kind, differences in comparison.kinds.items():
        rows += [_compared(f"{kind}: {metric}", differences[metric]) for metric in CHARTED]
    overlap = comparison.overlap
    return (
        f"<h2>{second} minus {first}</h2>"
        + _rows(("", first, second, "difference", "p"), rows)
        + f"<p>{overlap.mean:.0%} of the first ten answers are the same. p is the paired "
        "randomisation test's: how likely a difference as large is if both are as good. Among many "
        "rows, one in twenty is below 0.05 by chance.</p>"
    )


def _compared(name: str, one: Difference) -> tuple[str, ...]:
    difference = (
        f"{one.difference.mean:+.3f} [{one.difference.low:+.3f}, {one.difference.high:+.3f}]"
    )
    if one.p_value < SIGNIFICANT:
        mark = "good" if one.difference.mean > 0 else "bad"
        difference = f'<span class="{mark}">{difference}</span>'
    return escape(name), f"{one.first:.3f}", f"{one.second:.3f}", difference, f"{one.p_value:.4f}"


def _spread(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _beams(beams: BeamCurve) -> str:
    """Recall against latency; for a collection that is scanned there is no such curve."""
    title = "<h2>The approximate index</h2>"
    head = ("ef", "recall@10", "p50 ms", "p95 ms")
    exact = _milliseconds(beams.exact.p50_s, beams.exact.p95_s)
    if not beams.graph:
        return (
            f"{title}<p>{beams.points:,} pictures are too few for a graph, so they are scanned: "
            "every answer is exact, and <code>ef</code> changes nothing.</p>"
            + _rows(head, [("scan", "1.0000", *exact)])
        )
    rows = [
        (str(b.ef), f"{b.recall:.4f}", *_milliseconds(b.latency.p50_s, b.latency.p95_s))
        for b in beams.beams
    ]
    return (
        f"{title}<p>{beams.queries:,} queries on {beams.points:,} pictures, one at a time.</p>"
        f'<div class="curve">{curve(beams)}</div>'
        + _rows(head, [*rows, ("exact", "1.0000", *exact)])
    )


def _milliseconds(*seconds: float) -> tuple[str, ...]:
    return tuple(f"{value * 1e3:.2f}" for value in seconds)


def _worst_section(worst: Sequence[WorstQuery]) -> str:
    if not worst:
        return "<p>None: every answer is perfect.</p>"
    return "".join(_worst(one) for one in worst)


def _worst(one: WorstQuery) -> str:
    query = one.query
    words = f"<q>{escape(query.words())}</q>" if query.words() else ""
    picture = _picture(one.picture, "the query's picture") if one.picture else ""
    wanted = "".join(
        _shelf_item(shown, one, f"rank {rank}" if rank else "not in the first 10", right=True)
        for shown, rank in one.wanted
    )
    came = "".join(
        _shelf_item(shown, one, str(n), right=shown.item_id in query.relevant)
        for n, shown in enumerate(one.outcome.answer[:ANSWERS_SHOWN], start=1)
    )
    about = " · ".join(escape(w) for w in (query.id, query.variant, query.category) if w)
    columns = (("asked", picture + words), ("wanted", wanted), ("came", came or "nothing"))
    return (
        f'<div class="worst"><h3>{about}</h3>'
        + "".join(
            f'<div><small>{name}</small><div class="shelf">{content}</div></div>'
            for name, content in columns
        )
        + "</div>"
    )


def _shelf_item(shown: Shown, one: WorstQuery, note: str, *, right: bool) -> str:
    mark = ' class="right"' if right else ""
    image = _picture(one.thumbnails.get(shown.picture, ""), shown.title)
    caption = f"{escape(shown.title)}<small>{escape(note)}</small>"
    return f"<figure{mark}>{image}<figcaption>{caption}</figcaption></figure>"


def _picture(uri: str, text: str) -> str:
    if not uri:
        return '<span class="none">no picture</span>'
    return f'<img src="{uri}" alt="{escape(text)}">'


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="table"><table><tr>{top}</tr>{body}</table></div>'
