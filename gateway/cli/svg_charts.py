"""Two charts as inline SVG: they need no library, and scale, copy and print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from gateway.services.approximate_recall import BeamCurve
from gateway.services.retrieval_metrics import Estimate

# A bar chart is as wide as a phone's screen; the page puts as many side by side as there is room.
WIDTH = 360
BAR_PX = 16
ROW_GAP_PX = 14
LABEL_PX = 52
VALUE_PX = 142
CURVE_WIDTH = 520
CURVE_PX = 300
MARGIN_PX = 56


@dataclass(frozen=True, slots=True)
class Bars:
    """One row of a bar chart: a bar for each series, from 0 to 1."""

    label: str
    estimates: tuple[Estimate, ...]


def bar_chart(title: str, rows: Sequence[Bars]) -> str:
    """Horizontal bars with their 95 % intervals as whiskers."""
    parts, y = [], 8
    for row in rows:
        height = BAR_PX * len(row.estimates)
        middle = y + height / 2 + 4
        parts.append(
            f'<text x="{LABEL_PX - 8}" y="{middle}" text-anchor="end">{escape(row.label)}</text>'
        )
        for series, estimate in enumerate(row.estimates):
            parts.append(_bar(estimate, y + series * BAR_PX, series))
        y += height + ROW_GAP_PX
    return _svg(title, WIDTH, y, parts)


def _bar(estimate: Estimate, y: float, series: int) -> str:
    end, low, high = (_across(value) for value in (estimate.mean, estimate.low, estimate.high))
    middle = y + BAR_PX / 2 - 1
    value = f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
    return (
        f'<rect class="s{series}" x="{LABEL_PX}" y="{y}" width="{end - LABEL_PX:.1f}" '
        f'height="{BAR_PX - 2}" rx="2"/>'
        f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8'
        f'M{high:.1f} {middle - 4}v8"/>'
        f'<text class="value" x="{WIDTH - VALUE_PX + 8}" y="{middle + 4}">{value}</text>'
    )


def _across(value: float) -> float:
    return LABEL_PX + value * (WIDTH - LABEL_PX - VALUE_PX)


def curve(beams: BeamCurve) -> str:
    """Recall of the approximate index against its median latency, each point with its `ef`, and
    the latency of exact search as a line."""
    points = [(beam.latency.p50_s * 1e3, beam.recall, beam.ef) for beam in beams.beams]
    exact_ms = beams.exact.p50_s * 1e3
    most_ms = max(exact_ms, *(p[0] for p in points)) * 1.1
    # Never less than a hundredth, so that rounding does not look like a slope.
    least = min(0.99, math.floor(min(p[1] for p in points) * 100) / 100)
    span_x, span_y = CURVE_WIDTH - 2 * MARGIN_PX, CURVE_PX - 2 * MARGIN_PX

    def at(ms: float, recall: float) -> tuple[float, float]:
        x = MARGIN_PX + ms / most_ms * span_x
        return round(x, 1), round(MARGIN_PX + (1 - recall) / (1 - least) * span_y, 1)

    placed = [(*at(ms, recall), ef) for ms, recall, ef in points]
    left, bottom = at(0, least)
    line = "M" + "L".join(f"{x} {y}" for x, y, _ in placed)
    exact_x, top = at(exact_ms, 1)
    parts = [
        f'<path class="axis" d="M{left} {top}V{bottom}H{CURVE_WIDTH - MARGIN_PX}"/>',
        f'<path class="exact" d="M{exact_x} {top}V{bottom}"/>',
        f'<text x="{exact_x}" y="{top - 24}" text-anchor="middle">exact {exact_ms:.2f} ms</text>',
        f'<path class="line" d="{line}"/>',
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end">1.00</text>',
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">{least:.2f}</text>',
        f'<text x="{CURVE_WIDTH - MARGIN_PX}" y="{bottom + 18}" text-anchor="end">{most_ms:.2f} ms'
        "</text>",
        f'<text x="{CURVE_WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">'
        "median time in the index, one search at a time</text>",
    ]
    for x, y, ef in placed:
        # Below and to the right: the curve goes up and to the right.
        parts.append(f'<circle cx="{x}" cy="{y}" r="4"/>')
        parts.append(f'<text class="value" x="{x + 6}" y="{y + 15}">{ef}</text>')
    return _svg("recall@10 against exact search, by ef", CURVE_WIDTH, CURVE_PX, parts)


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg></figure>"
    )
