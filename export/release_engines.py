"""The engines of a release for the target `tensorrt`: built beside its graphs, named by what they
are bound to, and entered into its configs.

The release itself does not change: its graphs are what the fingerprint covers, and engines of
several GPUs may stand beside them. Triton chooses by the GPU's compute capability.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from export.config_file import read_config, write_config
from export.engine_builder import EngineOrder, build_engine, trtexec_command
from export.errors import ExportRefused
from export.formats import Target
from export.gpu_machine import Machine
from export.triton_config import TowerConfig, release_towers
from gateway.adapters.release_files import digest, read_manifest
from gateway.domain.release import Release

ENGINE_SUFFIX = ".plan"
GRAPH_FILE = "model.onnx"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """A tower's engine for this machine: how it is built, and the file that it is kept in."""

    order: EngineOrder
    config: Path
    engine: Path

    @property
    def command(self) -> str:
        """The `trtexec` command that builds the same."""
        return trtexec_command(self.order, self.engine)


def engine_places(
    repository: Path, release_id: str, machine: Machine, timing_cache: Path
) -> list[EnginePlace]:
    """Where both towers' engines for `machine` are, or would be.

    Raises NotFound for an unknown release, ExportRefused for one of another target, one whose graph
    was changed, or one whose config cannot be read.
    """
    release = read_manifest(repository, release_id)
    if release.target != Target.TENSORRT:
        raise ExportRefused(
            f"{release_id} is served by {release.target}, without engines; export it with --target "
            f"{Target.TENSORRT}."
        )
    return [
        _place(repository, release, tower, machine, timing_cache)
        for tower in release_towers(release)
    ]


def check_engines(places: list[EnginePlace], machine: Machine) -> None:
    """Raises ExportRefused if a tower has no engine for this machine, and names those it has."""
    for place in places:
        if place.engine.is_file() and _is_entered(place, machine):
            continue
        others = sorted(file.name for file in place.engine.parent.glob(f"*{ENGINE_SUFFIX}"))
        raise ExportRefused(
            f"{place.order.tower.model} has no engine for this machine ({machine.gpu}, "
            f"{machine.sm}, TensorRT {machine.tensorrt}); it has: {', '.join(others) or 'none'}. "
            "Build it here with `lookalike-export build-engine`."
        )


def build_engines(
    tensorrt: ModuleType, places: list[EnginePlace], machine: Machine, report: Report
) -> None:
    """Builds what is missing, checks it, and enters it into the towers' configs."""
    for place in places:
        if place.engine.is_file():
            report(f"{place.engine.name} is there")
        else:
            report(f"Building {place.engine.name} for {machine.gpu}")
            _keep(place.engine, build_engine(tensorrt, place.order))
        _enter(place, machine)


def _place(
    repository: Path, release: Release, tower: TowerConfig, machine: Machine, timing_cache: Path
) -> EnginePlace:
    folder = repository / tower.model
    graph = folder / "1" / GRAPH_FILE
    sha256 = _checked_digest(repository, release, graph)
    max_batch_size = read_config(folder / "config.pbtxt").max_batch_size
    bound_to = f"{machine.sm}-trt{machine.tensorrt}"
    order = EngineOrder(
        graph=graph,
        tower=tower,
        shapes=tower.shapes(max_batch_size),
        timing_cache=timing_cache / f"{bound_to}.timing",
    )
    name = f"{bound_to}-b{max_batch_size}-{sha256[:12]}{ENGINE_SUFFIX}"
    return EnginePlace(order, folder / "config.pbtxt", graph.with_name(name))


def _checked_digest(repository: Path, release: Release, graph: Path) -> str:
    """The graph's digest. What an engine is built from is checked: nothing checks it later."""
    files = [graph, *graph.parent.glob(f"{graph.name}.*")]
    for file in files:
        name = file.relative_to(repository).as_posix()
        if not file.is_file() or digest(file) != release.digests.get(name):
            raise ExportRefused(f"{name} is not the file that release {release.id} was made with.")
    return digest(graph)


def _is_entered(place: EnginePlace, machine: Machine) -> bool:
    names = read_config(place.config).cc_model_filenames
    return bool(names.get(machine.compute_capability, "") == place.engine.name)


def _enter(place: EnginePlace, machine: Machine) -> None:
    config = read_config(place.config)
    config.cc_model_filenames[machine.compute_capability] = place.engine.name
    write_config(place.config, config)


def _keep(path: Path, engine: bytes) -> None:
    """Wholly or not at all: what is there counts as built."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(engine)
    os.replace(temporary, path)
