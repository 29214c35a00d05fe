"""TensorRT engines: built on a fake of TensorRT, whose names are those of the real one."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

import export.engine_builder
from export.engine_builder import build_engine, trtexec_command
from export.errors import ExportRefused
from export.formats import Target
from export.gpu_machine import Machine, load_tensorrt, this_machine
from export.release_engines import EnginePlace, build_engines, check_engines, engine_places
from export.release_export import ExportOrder, export_release
from export.release_writer import Destination
from gateway.adapters.release_files import load_release
from gateway.domain.release import Precision
from tests.export.fake_tensorrt import DataType, FakeTensorRT
from tests.export.models import CONFIGS, model_folder

L4 = Machine("NVIDIA L4", "8.9", "11.4.0.106")


@pytest.fixture(scope="module", name="exported_once")
def a_release_for_tensorrt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny` in fp16 for the target tensorrt, not yet built."""
    folder = tmp_path_factory.mktemp("engines")
    (folder / "model").mkdir()
    choice = model_folder(folder / "model", CONFIGS["timm-eos"])
    destination = Destination(folder / "repository", "tiny")
    export_release(
        ExportOrder(choice, destination, Target.TENSORRT, Precision.FP16), lambda _step: None
    )
    return destination.repository


@pytest.fixture(name="repository")
def a_repository_of_its_own(exported_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported_once, tmp_path / "repository")


@pytest.fixture(name="fake")
def a_fake_tensorrt() -> FakeTensorRT:
    """One that builds what `tiny` needs."""
    vector = (DataType.FLOAT, (-1, 48))
    return FakeTensorRT(
        tensors={
            "image": {"image": (DataType.UINT8, (-1, 32, 32, 3)), "vector": vector},
            "text": {"text": (DataType.INT64, (-1, -1)), "vector": vector},
        },
        engine_bytes=500_000,
    )


@pytest.fixture(name="places")
def where_the_engines_are(repository: Path, tmp_path: Path) -> list[EnginePlace]:
    return engine_places(repository, "tiny", L4, tmp_path / "timings")


def module(fake: FakeTensorRT) -> ModuleType:
    return cast(ModuleType, fake)


def test_a_network_is_strongly_typed_and_has_the_towers_shapes(
    places: list[EnginePlace], fake: FakeTensorRT
) -> None:
    for place in places:
        assert build_engine(module(fake), place.order) == bytes(fake.engine_bytes)
    image, text = fake.builds
    assert image.flags == text.flags == 1 << fake.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert image.graph.endswith("tiny-image/1/model.onnx")
    assert image.profile == {"image": ((1, 32, 32, 3), (32, 32, 32, 3), (64, 32, 32, 3))}
    assert text.profile == {"text": ((1, 8), (32, 16), (64, 24))}


def test_timings_are_kept_and_those_of_another_gpu_are_not_used(
    places: list[EnginePlace], fake: FakeTensorRT
) -> None:
    order = places[0].order
    build_engine(module(fake), order)
    assert fake.builds[-1].timings == b""
    build_engine(module(fake), order)
    assert fake.builds[-1].timings == b" and new"
    fake.foreign_timings = order.timing_cache.read_bytes()
    build_engine(module(fake), order)
    assert fake.builds[-1].timings == b""


Spoil = Callable[[FakeTensorRT], None]


def spoiled(field: str, value: object) -> Spoil:
    return lambda fake: setattr(fake, field, value)


def in_half(fake: FakeTensorRT) -> None:
    fake.tensors["image"]["vector"] = (DataType.HALF, (-1, 48))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (spoiled("parser_errors", ("node 3: no such operator",)), "does not take .*no such op"),
        (spoiled("builds_nothing", True), "built no engine"),
        (spoiled("loads", False), "does not load on this machine"),
        (in_half, "tensors are .*HALF"),
        (spoiled("engine_bytes", 10), "does not compute in the graph's precision"),
        (spoiled("engine_bytes", 90_000_000), "does not compute in the graph's precision"),
    ],
    ids=["unknown operator", "nothing built", "other gpu", "half output", "tiny", "huge"],
)
def test_an_engine_that_is_not_what_was_asked_for_is_refused(
    places: list[EnginePlace], fake: FakeTensorRT, spoil: Spoil, sentence: str
) -> None:
    spoil(fake)
    with pytest.raises(ExportRefused, match=sentence):
        build_engine(module(fake), places[0].order)


def test_an_engine_for_other_shapes_is_refused(
    places: list[EnginePlace], fake: FakeTensorRT
) -> None:
    order = places[0].order
    build_engine(module(fake), order)
    wider = replace(order, shapes=replace(order.shapes, most=(128, 32, 32, 3)))
    with pytest.raises(ExportRefused, match="takes the shapes"):
        export.engine_builder.check_engine(module(fake), bytes(fake.engine_bytes), wider)


def test_a_release_gets_its_engines_once_and_stays_the_same_release(
    repository: Path, places: list[EnginePlace], fake: FakeTensorRT
) -> None:
    with pytest.raises(ExportRefused, match=r"tiny-image has no engine .*sm89.* it has: none"):
        check_engines(places, L4)
    lines: list[str] = []
    build_engines(module(fake), places, L4, lines.append)
    build_engines(module(fake), places, L4, lines.append)
    check_engines(places, L4)
    assert len(fake.builds) == 2
    assert [line.endswith("is there") for line in lines] == [False, False, True, True]
    load_release(repository, "tiny")
    for place in places:
        assert re.fullmatch(r"sm89-trt11\.4\.0\.106-b64-[0-9a-f]{12}\.plan", place.engine.name)
        config = text_format.Parse(place.config.read_text(), pb.ModelConfig())
        assert config.cc_model_filenames["8.9"] == place.engine.name
        assert {file.suffix for file in place.engine.parent.iterdir()} == {".onnx", ".plan"}


def test_another_gpu_or_tensorrt_or_batch_asks_for_another_engine(
    repository: Path, places: list[EnginePlace], fake: FakeTensorRT, tmp_path: Path
) -> None:
    build_engines(module(fake), places, L4, lambda _line: None)
    for other in (
        replace(L4, gpu="NVIDIA A100", compute_capability="8.0"),
        replace(L4, tensorrt="10.13.0.35"),
    ):
        found = engine_places(repository, "tiny", other, tmp_path)
        with pytest.raises(ExportRefused, match=r"it has: sm89-trt11\.4\.0\.106-b64-"):
            check_engines(found, other)
    config = places[0].config
    config.write_text(config.read_text().replace("max_batch_size: 64", "max_batch_size: 16"))
    changed = engine_places(repository, "tiny", L4, tmp_path)
    assert changed[0].order.shapes.most[0] == 16
    assert changed[0].engine.name != places[0].engine.name


def test_what_no_engine_can_be_built_from_is_named(
    repository: Path, places: list[EnginePlace], tmp_path: Path
) -> None:
    with places[1].order.graph.open("ab") as graph:
        graph.write(b"x")
    with pytest.raises(ExportRefused, match=r"tiny-text/1/model\.onnx is not the file"):
        engine_places(repository, "tiny", L4, tmp_path)


def test_a_release_of_another_target_has_no_engines(tmp_path: Path) -> None:
    repository = Path(__file__).parents[2] / "model_repository"
    with pytest.raises(ExportRefused, match="sample-v1 is served by onnx-cpu, without engines"):
        engine_places(repository, "sample-v1", L4, tmp_path)


def test_trtexec_would_build_the_same(places: list[EnginePlace]) -> None:
    place = places[1]
    order = replace(place.order, graph=Path("g.onnx"), timing_cache=Path("t"))
    assert trtexec_command(order, Path("e.plan")) == (
        "trtexec --onnx=g.onnx --saveEngine=e.plan --stronglyTyped --minShapes=text:1x8 "
        "--optShapes=text:32x16 --maxShapes=text:64x24 --timingCacheFile=t --skipInference"
    )


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (None, "no nvidia-smi here"),
        ("echo 'No devices were found' >&2; exit 6", "no usable GPU: No devices were found"),
        ("true", "it names no GPU"),
    ],
)
def test_a_machine_without_a_gpu_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, sentence: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        write_program(tmp_path / "nvidia-smi", script)
    with pytest.raises(ExportRefused, match=sentence):
        this_machine(module(FakeTensorRT({}, 0)))


def test_the_first_gpu_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_program(tmp_path / "nvidia-smi", "echo 'NVIDIA L4, 8.9'; echo 'NVIDIA T4, 7.5'")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert this_machine(module(FakeTensorRT({}, 0))) == L4
    assert L4.sm == "sm89"


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.skipif(
    importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed here"
)
def test_without_tensorrt_the_command_says_where_to_get_it() -> None:
    with pytest.raises(ExportRefused, match=r"TensorRT cannot be loaded .* NVIDIA's Triton image"):
        load_tensorrt()


def names_used() -> set[str]:
    """Every name of TensorRT's in the builder."""
    source = Path(export.engine_builder.__file__).read_text(encoding="utf-8")
    objects = "tensorrt|builder|parser|config|profile|engine|network"
    found = set(re.findall(rf"\b(?:{objects})\.([A-Za-z_]\w*)", source))
    chained = set(re.findall(r"\)\.([a-z_]+)\(", source))
    constants = set(re.findall(r"tensorrt\.\w+\.([A-Z]\w+)", source))
    return (found | chained | constants) - {"config", "engine", "stat"}


def test_the_real_tensorrt_has_every_name_that_is_used() -> None:
    """Read in the file of its bindings: loading it takes gigabytes of libraries, and a GPU."""
    found = importlib.util.find_spec("tensorrt_bindings")
    if found is None or found.submodule_search_locations is None:
        pytest.skip("tensorrt-cu12-bindings is not installed")
    bindings = Path(found.submodule_search_locations[0]) / "tensorrt.so"
    content = bindings.read_bytes()
    names = names_used()
    assert {"STRONGLY_TYPED", "set_timing_cache", "get_tensor_profile_shape"} <= names
    assert [name for name in sorted(names) if name.encode() + b"\0" not in content] == []
    assert b"EXPLICIT_BATCH\0" not in content, "so a name that is gone would be noticed"
