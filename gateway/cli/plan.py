"""`lookalike plan`: how many gateways, GPUs and Qdrant servers a shop needs, on paper."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gateway.cli.console import out, say
from gateway.domain.capacity import (
    MODELS,
    Asked,
    Constants,
    Demand,
    Gpu,
    Index,
    Model,
    Plan,
    constants_table,
)
from gateway.domain.errors import StartupProblem
from gateway.services.capacity_plan import plan as planned

_HALF_A_DAY_H = 12


def _print_sources(wanted: bool) -> None:
    if not wanted:
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("constant", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("where it is from", overflow="fold")
    for name, value, unit, source in constants_table():
        table.add_row(name, f"{value:,g}", unit, source)
    out.print(table)
    raise typer.Exit


def plan(
    items: Annotated[float, typer.Option(min=1, help="Items of the catalogue, such as 50e6.")],
    qps: Annotated[float, typer.Option(min=0, help="Searches a second at the peak.")],
    mix: Annotated[
        str,
        typer.Option(help="Shares of searches: image, hybrid, similar; the rest is text."),
    ] = "image=0.3",
    gpu: Annotated[Gpu, typer.Option(help="The GPU.")] = Gpu.L4,
    model: Annotated[Model, typer.Option(help="The model's size.")] = Model.B32,
    pictures: Annotated[float, typer.Option(min=0, help="Pictures an item.")] = 1.0,
    releases: Annotated[int, typer.Option(min=1, help="Releases kept at the same time.")] = 2,
    replicas: Annotated[int, typer.Option(min=1, help="Fewest copies of each shard.")] = 2,
    node_gb: Annotated[float, typer.Option(min=1, help="A Qdrant server's memory in GB.")] = 64,
    node_cores: Annotated[int, typer.Option(min=1, help="A Qdrant server's cores.")] = 16,
    build_cores: Annotated[
        int, typer.Option(min=1, help="Cores of the job that builds a release.")
    ] = 8,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="A constant of your own: upload_decode_ms=6.94; any number."),
    ] = None,
    constants: Annotated[
        Path | None, typer.Option(help="A JSON file with constants of your own.")
    ] = None,
    sources: Annotated[
        bool,
        typer.Option(
            "--sources",
            help="Only print the constants, and where they are from.",
            is_eager=True,
            callback=_print_sources,
        ),
    ] = False,
) -> None:
    """Say how many gateways, GPUs and Qdrant servers carry a shop's searches.

    On paper: from constants that were measured or published, each with its source (--sources) and
    to be replaced by your own (--set, --constants). docs/scaling.md says how it reckons.
    """
    demand = Demand(
        items=items, qps=qps, mix=parse_mix(mix), gpu=gpu, model=model,
        pictures_per_item=pictures, releases=releases, replicas=replicas,
        node_gb=node_gb, node_cores=node_cores, build_cores=build_cores,
    )  # fmt: skip
    _print(demand, planned(demand, _constants(constants, set_ or [])))


def parse_mix(text: str) -> dict[Asked, float]:
    """`image=0.3,similar=10%` as shares; what is left is text. StartupProblem for anything else."""
    mix: dict[Asked, float] = {}
    for part in filter(None, text.split(",")):
        name, _, share = part.strip().partition("=")
        try:
            number = float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
            kind = Asked(name)
        except ValueError as exc:
            kinds = ", ".join(Asked)
            raise StartupProblem(
                f"--mix: {part!r} is not KIND=SHARE, such as image=0.3; the kinds: {kinds}."
            ) from exc
        if not 0 <= number <= 1:
            raise StartupProblem(f"--mix: {share} is no share: write 0.3 or 30%.")
        mix[kind] = number
    rest = 1 - sum(mix.values())
    if rest < -1e-9 or (Asked.TEXT in mix and rest > 1e-9):
        raise StartupProblem(f"--mix: the shares add up to {1 - rest:g}, not to 1.")
    mix.setdefault(Asked.TEXT, max(0.0, rest))
    return mix


def _constants(file: Path | None, given: list[str]) -> Constants:
    changes: dict[str, object] = {}
    if file is not None:
        try:
            read = json.loads(file.read_text())
        except (OSError, ValueError) as exc:
            raise StartupProblem(f"{file} cannot be read as JSON: {exc}.") from exc
        if not isinstance(read, dict):
            raise StartupProblem(f"{file} must hold an object: names and numbers.")
        changes.update(read)
    for text in given:
        name, _, number = text.partition("=")
        changes[name] = number
    known = {one.name for one in fields(Constants)}
    numbers: dict[str, float] = {}
    for name, value in changes.items():
        if name not in known:
            raise StartupProblem(f"There is no constant {name!r}; `--sources` lists them.")
        try:
            numbers[name] = float(str(value))
        except ValueError as exc:
            raise StartupProblem(f"{name}: {value!r} is no number.") from exc
        if numbers[name] < 0 or (numbers[name] == 0 and name != "text_cache_hits"):
            raise StartupProblem(f"{name} must be more than 0.")
    return replace(Constants(), **numbers)


def _print(demand: Demand, found: Plan) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    gateways, gpus, rebuild = found.gateways, found.gpus, found.rebuild
    table.add_row(
        "gateways",
        f"{gateways.pods}",
        f"of {demand.pod_cores} cores; {gateways.cores:.1f} cores at work, "
        f"{gateways.decoding_cores:.1f} of them decoding",
    )
    table.add_row(
        f"{demand.gpu.upper()} GPUs",
        f"{gpus.count}",
        f"one to lose; {gpus.busy:.1f} at work; each {gpus.pictures_s:,.0f} pictures or "
        f"{gpus.texts_s:,.0f} texts a second",
    )
    for name, index in (("Qdrant, fp32", found.plain), ("Qdrant, int8", found.quantised)):
        table.add_row(name, f"{index.nodes}", _described(index, demand))
    table.add_row(
        "a new model",
        _time(rebuild.hours),
        f"to embed all pictures: {_time(rebuild.gpu_hours)} by the GPUs left over, "
        f"{_time(rebuild.decode_hours)} by {demand.build_cores} decoding cores",
    )
    out.print(table)
    out.print()
    for line in _drivers(demand, found):
        say(line)


def _described(index: Index, demand: Demand) -> str:
    return (
        f"servers of {demand.node_gb:g} GB and {demand.node_cores} cores: "
        f"{_counted(index.shards, 'shard')}, {index.copies} copies; "
        f"memory {index.memory_gb:,.0f} GB, disk {index.disk_gb:,.0f} GB, "
        f"{index.cores:.0f} cores at work"
    )


def _drivers(demand: Demand, found: Plan) -> list[str]:
    """What the sizes follow from, and what would change them."""
    saved = found.plain.nodes - found.quantised.nodes
    dim = MODELS[demand.model].dim
    lines = [
        f"- Memory: pictures x {dim} numbers x {demand.releases} releases x copies; "
        f"int8 saves {_counted(saved, 'server')}."
    ]
    if found.gateways.cores > 0:
        decoding = found.gateways.decoding_cores / found.gateways.cores
        lines.append(f"- Decoding uploads is {decoding:.0%} of the gateways' work.")
    slower = "GPUs" if found.rebuild.gpu_hours > found.rebuild.decode_hours else "decoding"
    lines.append(f"- A new model waits for {slower}.")
    return lines


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _time(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < _HALF_A_DAY_H else f"{hours:.0f} h"
