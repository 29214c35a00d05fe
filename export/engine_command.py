"""`lookalike-export build-engine`: the engines of a TensorRT release, on the GPU's machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def build_engine(
    release: Annotated[str, typer.Argument(help="A release with the target tensorrt.")],
    repository: Annotated[Path, typer.Option(help="Triton's folder.")] = Path("model_repository"),
    timing_cache: Annotated[
        Path, typer.Option(help="Folder that keeps how fast kernels were.")
    ] = Path("/var/cache/lookalike/tensorrt"),
    check: Annotated[
        bool, typer.Option("--check", help="Build nothing; fail if an engine is missing.")
    ] = False,
    trtexec: Annotated[
        bool, typer.Option("--trtexec", help="Build nothing; print the commands that would.")
    ] = False,
) -> None:
    """Build a release's TensorRT engines for this machine's GPU; those that are there are kept."""
    from rich.console import Console
    from rich.text import Text

    from export.gpu_machine import load_tensorrt, this_machine
    from export.release_engines import build_engines, check_engines, engine_places

    console = Console(highlight=False, soft_wrap=True)
    tensorrt = load_tensorrt()
    machine = this_machine(tensorrt)
    places = engine_places(repository, release, machine, timing_cache)
    if trtexec:
        for place in places:
            console.print(Text(place.command))
        return
    if not check:
        build_engines(tensorrt, places, machine, lambda line: console.print(Text(f"· {line}")))
    check_engines(places, machine)
    console.print(
        f"{release} has its engines for {machine.gpu}. Serve it, then compare what it answers with "
        f"PyTorch: lookalike verify {release}"
    )
