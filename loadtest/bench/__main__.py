"""`make bench`: the benchmarks, one after the other, into one JSON file and one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from gateway.adapters.release_files import list_releases
from gateway.cli.console import say
from loadtest.bench import batching, end_to_end, engine, gateway_cost, pixels, start
from loadtest.bench.figures import machine
from loadtest.bench.subject import Subject


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured, by what, and how it is shown."""

    title: str
    measure: Callable[[Subject], Any]
    shown: Callable[[Any], list[str]]


BENCHMARKS: Mapping[str, Benchmark] = {
    "end-to-end": Benchmark(
        "Over HTTP and all cores shared, against the towers alone:",
        end_to_end.measure,
        end_to_end.shown,
    ),
    "gateway": Benchmark(
        "The gateway's own cost, inference free:", gateway_cost.measure, gateway_cost.shown
    ),
    "pixels": Benchmark(
        "From JPEG bytes to the tower's pixels, one thread:", pixels.measure, pixels.shown
    ),
    "batching": Benchmark(
        "The image tower on Triton, with and without dynamic batching:",
        batching.measure,
        batching.shown,
    ),
    "engine": Benchmark(
        "The engine in the gateway's process, as the catalogue grows:",
        engine.measure,
        engine.shown,
    ),
    "start": Benchmark("The gateway's start:", start.measure, start.shown),
}


def _require_release(repository: Path, release: str | None, option: str) -> None:
    there = list_releases(repository)
    if release is not None and release not in there:
        known = ", ".join(there) or "none"
        raise typer.BadParameter(
            f"{repository} has no release {release}; it has: {known}", param_hint=option
        )


def command(
    folder: Annotated[Path, typer.Option("--out", help="Folder for results and state.")] = Path(
        ".lookalike/bench"
    ),
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
    release: Annotated[str, typer.Option(help="The release to measure with.")] = "sample-v1",
    int8: Annotated[
        str | None, typer.Option(help="The same model's release in int8, for end-to-end.")
    ] = None,
    items: Annotated[
        int | None, typer.Option(min=1, help="A size of the catalogue more for engine.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Of: {', '.join(BENCHMARKS)}.")] = None,
) -> None:
    """Measure what the deployment does on this machine, and what the gateway's part of it is."""
    unknown = set(only or ()) - set(BENCHMARKS)
    if unknown:
        raise typer.BadParameter(
            f"no such benchmark: {', '.join(sorted(unknown))}", param_hint="--only"
        )
    for option, name in (("--release", release), ("--int8", int8)):
        _require_release(repository, name, option)
    folder.mkdir(parents=True, exist_ok=True)
    subject = Subject(folder, repository, release, int8, items)
    page = [f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; median (least-greatest) of 5 runs", ""]
    results: dict[str, object] = {"machine": machine(), "at": datetime.now(UTC).isoformat()}
    for name, benchmark in BENCHMARKS.items():
        if only and name not in only:
            continue
        found = benchmark.measure(subject)
        results[name] = found
        page += [benchmark.title, "", *benchmark.shown(found), ""]
    json = orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)
    (folder / "bench.json").write_bytes(json)
    (folder / "bench.md").write_text("\n".join(page))
    for line in page:
        say(line)


if __name__ == "__main__":
    typer.run(command)
