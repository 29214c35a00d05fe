"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gateway.cli.evaluation_pictures import ANSWERS_SHOWN, WorstQuery
from gateway.cli.svg_charts import Bars, bar_chart, curve
from gateway.services.approximate_recall import BeamCurve
from gateway.services.evaluation import Comparison, Evaluation, Group, Shown
from gateway.services.evaluation_report import EvaluationReport
from gateway.services.quality_gate import FloorResult
from gateway.services.retrieval_metrics import METRICS, Estimate

CHARTED = ("recall@1", "recall@10", "ndcg@10")

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#d9dee7;--paper:#fff;
--a:#2f6fde;--b:#e08a1e;--good:#157f3b;--bad:#b42318}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf2;--soft:#98a2b3;--line:#2d3645;
--paper:#12161d;--a:#6b9cf5;--b:#f0a94e;--good:#4cc07a;--bad:#f97066}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:1000px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem}p,figcaption{color:var(--soft)}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;text-align:right;
border-bottom:1px solid var(--line);font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}
figure{margin:1.2rem 0;overflow-x:auto}svg{width:100%;
min-width:560px;font:12px system-ui,sans-serif}
svg text{fill:var(--ink)}svg .value{fill:var(--soft)}.s0,circle{fill:var(--a)}.s1{fill:var(--b)}
.whisker,.axis{stroke:var(--ink);fill:none}.line{stroke:var(--a);fill:none;stroke-width:2}
.exact{stroke:var(--b);fill:none;stroke-dasharray:4 4}
.good{color:var(--good)}.bad{color:var(--bad)}.key{display:inline-block;width:.8em;height:.8em}
.worst{border-top:1px solid var(--line);padding:1rem 0;display:flex;gap:1.5rem;flex-wrap:wrap}
.worst>div>b{display:block;font-size:.8rem;color:var(--soft);font-weight:400}
.shelf{display:flex;gap:.6rem;flex-wrap:wrap}.shelf figure{margin:0;width:104px;font-size:.8rem}
.shelf img,.none{width:96px;height:96px;object-fit:contain;background:#fff;border-radius:6px;
border:2px solid var(--line);box-sizing:border-box}.none{display:grid;place-items:center;
color:#667085}.right img,.right .none{border-color:var(--good)}q{font-size:1.1rem}
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
        *(_chart(metric, runs) for metric in CHARTED),
        "<h2>By kind of query</h2>",
        *(_table(run.release, (run.overall, *run.kinds)) for run in runs),
        _comparison(report.comparison) if report.comparison else "",
        _beams(report.beams) if report.beams else "",
        "<h2>By how the query was made</h2>",
        _table(runs[0].release, runs[0].variants),
        "<h2>By category, the weakest first</h2>",
        _table(runs[0].release, _weakest_first(runs[0].categories)),
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
        f'<svg class="key" viewBox="0 0 1 1" style="min-width:0;width:.8em">'
        f'<rect class="s{n}" width="1" height="1"/></svg> {escape(run.release)}'
        for n, run in enumerate(runs)
    )
    return f"<p>{' &nbsp; '.join(keys)}</p>"


def _gate(floors: Sequence[FloorResult]) -> str:
    if not floors:
        return ""
    rows = [
        (
            escape(str(result.floor)),
            "not measured" if result.mean is None else f"{result.mean:.3f}",
            f"{result.floor.least:g}",
            '<span class="good">held</span>' if result.held else '<span class="bad">broken</span>',
        )
        for result in floors
    ]
    return "<h2>Gate</h2>" + _rows(("floor", "found", "least", ""), rows)


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


def _weakest_first(groups: Iterable[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: group.metrics["ndcg@10"].mean)


def _comparison(comparison: Comparison) -> str:
    rows = [
        (
            metric,
            f"{one.first:.3f}",
            f"{one.second:.3f}",
            _signed(one.difference),
            f"{one.p_value:.4f}",
        )
        for metric, one in comparison.overall.items()
    ]
    overlap = comparison.overlap
    return (
        f"<h2>{escape(comparison.second)} minus {escape(comparison.first)}</h2>"
        + _rows(("", comparison.first, comparison.second, "difference", "p"), rows)
        + f"<p>Both give {overlap.mean:.0%} of the first ten answers alike. p is the paired "
        "randomisation test's.</p>"
    )


def _signed(estimate: Estimate) -> str:
    return f"{estimate.mean:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _beams(beams: BeamCurve) -> str:
    rows = [
        (str(b.ef), f"{b.recall:.4f}", *_milliseconds(b.latency.p50_s, b.latency.p95_s))
        for b in beams.beams
    ]
    rows.append(("exact", "1.0000", *_milliseconds(beams.exact.p50_s, beams.exact.p95_s)))
    same = all(b.recall == 1 for b in beams.beams)
    note = "<p>Every beam found all: a collection this small is scanned.</p>" if same else ""
    head = ("ef", "recall@10", "p50 ms", "p95 ms")
    return "<h2>The approximate index</h2>" + curve(beams) + _rows(head, rows) + note


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
        _shelf_item(shown, one, f"{n}.", right=shown.item_id in query.relevant)
        for n, shown in enumerate(one.outcome.answer[:ANSWERS_SHOWN], start=1)
    )
    about = " · ".join(escape(w) for w in (query.id, query.variant, query.category) if w)
    return (
        f'<div class="worst"><div><b>{about}</b><div class="shelf">{picture}{words}</div></div>'
        f'<div><b>wanted</b><div class="shelf">{wanted}</div></div>'
        f'<div><b>came</b><div class="shelf">{came or "nothing"}</div></div></div>'
    )


def _shelf_item(shown: Shown, one: WorstQuery, note: str, *, right: bool) -> str:
    mark = ' class="right"' if right else ""
    image = _picture(one.thumbnails.get(shown.picture, ""), shown.title)
    return f"<figure{mark}>{image}<br>{escape(note)} {escape(shown.title)}</figure>"


def _picture(uri: str, text: str) -> str:
    if not uri:
        return '<span class="none">no picture</span>'
    return f'<img src="{uri}" alt="{escape(text)}">'


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are HTML already."""
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"
