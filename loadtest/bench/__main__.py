"""`make bench`: the benchmarks, one after the other, into one JSON file and one page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import say
from loadtest.bench import gateway_cost, pixels
from loadtest.bench.figures import machine

NAMES = ("gateway", "pixels")


def command(
    folder: Annotated[Path, typer.Option("--out", help="Folder for results and state.")] = Path(
        ".lookalike/bench"
    ),
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
    only: Annotated[list[str] | None, typer.Option(help=f"Of: {', '.join(NAMES)}.")] = None,
) -> None:
    """Measure the gateway's own cost, and decoding and resizing."""
    chosen = only or list(NAMES)
    page = [f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; median (least-greatest) of 5 runs", ""]
    results: dict[str, object] = {"machine": machine(), "at": datetime.now(UTC).isoformat()}
    folder.mkdir(parents=True, exist_ok=True)
    if "gateway" in chosen:
        costs = gateway_cost.measure(folder, repository)
        results["gateway"] = {kind: asdict(cost) for kind, cost in costs.items()}
        page += ["The gateway's own cost, inference free:", "", *gateway_cost.shown(costs), ""]
    if "pixels" in chosen:
        found = pixels.measure(folder, repository)
        results["pixels"] = {name: _plain(by_way) for name, by_way in found.items()}
        page += ["From JPEG bytes to the tower's pixels, one thread:", "", *pixels.shown(found)]
    (folder / "bench.json").write_text(json.dumps(results, indent=1))
    (folder / "bench.md").write_text("\n".join(page) + "\n")
    for line in page:
        say(line)


def _plain(by_way: Mapping[str, pixels.WayResult]) -> dict[str, object]:
    return {way: asdict(result) for way, result in by_way.items()}


if __name__ == "__main__":
    typer.run(command)
