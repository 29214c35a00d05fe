"""Releases as tables that fit 80 columns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_STYLES = {
    "active": "bold green",
    "previous": "cyan",
    "building": "yellow",
    "incomplete": "yellow",
    "unusable": "red",
}
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
RECALL = "recall@10"


def releases_table(releases: Sequence[Mapping[str, Any]]) -> Table:
    """One line a release."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("release", overflow="fold")
    table.add_column("state", overflow="fold")
    for column in ("pictures", "precision", "recall\n@10", "age"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("finger-\nprint", no_wrap=True)
    for release in releases:
        table.add_row(
            release["id"],
            _state(release),
            _number(release["points"]),
            release["precision"] or "-",
            _recall(release),
            age(release["made_at_s"]),
            (release["fingerprint"] or "-")[:8],
        )
    return table


def release_table(release: Mapping[str, Any], shadow: Mapping[str, Any] | None) -> Table:
    """All that is known of one release, a line each."""
    table = Table(show_header=False, show_edge=False, pad_edge=False, box=None)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    rows = [
        ("release", release["id"]),
        ("state", _state(release)),
        ("architecture", release["architecture"]),
        ("precision", release["precision"]),
        ("dim", _number(release["dim"])),
        ("fingerprint", release["fingerprint"]),
        ("pictures", _number(release["points"])),
        ("collection made", f"{age(release['made_at_s'])} ago" if release["made_at_s"] else None),
        (RECALL, _recall(release)),
        ("build", _build(release["build"])),
        ("trial", _trial(release["trial"])),
        ("shadow", _shadow(shadow)),
        ("problem", release["problem"]),
    ]
    for name, value in rows:
        if value not in (None, "-"):
            table.add_row(name, str(value))
    return table


def age(made_at_s: float | None) -> str:
    """How long ago, in the largest unit that is not 0."""
    if made_at_s is None:
        return "-"
    seconds = max(0, int(time.time() - made_at_s))
    size, unit = next(((s, u) for s, u in _UNITS if seconds >= s), _UNITS[-1])
    return f"{seconds // size} {unit}"


def _state(release: Mapping[str, Any]) -> str:
    state = release["state"]
    styled = f"[{_STYLES[state]}]{state}[/]" if state in _STYLES else str(state)
    trial = release["trial"]
    return styled if trial is None else f"{styled} ({_trial(trial)})"


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _recall(release: Mapping[str, Any]) -> str:
    value = (release["evaluation"] or {}).get(RECALL)
    return "-" if value is None else f"{value:.3f}"


def _build(build: Mapping[str, Any] | None) -> str | None:
    if build is None:
        return None
    said = f"{build['state']}, {build['done']:,} of {build['items']:,} items"
    if build["remaining_s"] is not None and build["done"] < build["items"]:
        said += f", {build['items_per_second']:,.0f}/s, {build['remaining_s']:,.0f} s to go"
    if build["failed"]:
        said += f", {build['failed']:,} failed"
    return said if build["reason"] is None else f"{said}: {build['reason']}"


def _trial(trial: Mapping[str, Any] | None) -> str | None:
    if trial is None:
        return None
    shares = [f"{name} {trial[name]:.4g}" for name in ("canary", "shadow") if trial[name]]
    return ", ".join(shares) or "no share"


def _shadow(shadow: Mapping[str, Any] | None) -> str | None:
    if shadow is None:
        return None
    rank = shadow["rank_correlation"]
    ranks = "" if rank is None else f", rank correlation {rank:.2f}"
    return (
        f"{shadow['compared']:,} compared: overlap@10 {shadow['overlap_at_10']:.2f}{ranks}, "
        f"{shadow['difference_s'] * 1000:+.1f} ms"
    )
