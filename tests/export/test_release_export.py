"""From an open_clip model to a release on disk."""

from __future__ import annotations

import filecmp
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export import parity
from export.errors import ExportRefused
from export.formats import Device, Hardware, Target
from export.golden import STRINGS
from export.model_source import ModelChoice
from export.onnx_graph import GraphRunner
from export.parity import image_parity, text_parity
from export.release_export import ExportOrder, ExportResult, export_release
from export.release_writer import Destination
from gateway.adapters.release_files import list_releases, load_release
from gateway.domain.release import PARITY_FLOOR, Precision
from gateway.domain.vectors import cosine
from tests.export.conftest import MOST_LOST, Lowered
from tests.export.models import ANY_LENGTH, CONFIGS, model_folder


def test_a_release_has_the_files_of_its_contract_and_no_others(
    exported: ExportResult, repository: Path
) -> None:
    found = {path.relative_to(repository).as_posix() for path in repository.rglob("*.*")}
    assert found == {
        "tiny-v1.release.json",
        "tiny-v1.tokenizer.json",
        "tiny-v1.golden.npz",
        *(f"tiny-v1-{tower}/config.pbtxt" for tower in ("image", "text")),
        *(f"tiny-v1-{tower}/1/model.onnx" for tower in ("image", "text")),
        *(f"tiny-v1-{tower}/1/model.py" for tower in ("image", "text")),
    }
    # The configs are the operator's to change, so no digest holds them.
    configs = {name for name in found if name.endswith("config.pbtxt")}
    assert {*exported.release.digests, "tiny-v1.release.json"} == found - configs
    assert list_releases(repository) == ("tiny-v1",)


def test_the_manifest_describes_the_model(exported: ExportResult) -> None:
    release = exported.release
    assert exported.random_weights
    assert (release.dim, release.precision, release.target) == (48, "fp32", "onnx-cpu")
    assert (release.image.model, release.text.model) == ("tiny-v1-image", "tiny-v1-text")
    assert (release.image.height_px, release.image.width_px) == (32, 32)
    assert release.text.buckets == (8, 16, 24)
    assert release.architecture == "open_clip image test_resnet, text 2x32"


def test_the_gateway_loads_it_and_its_tokenizer_gives_the_golden_rows(
    exported: ExportResult, repository: Path
) -> None:
    loaded = load_release(repository, exported.release.id)
    assert loaded.golden.strings == STRINGS
    for text, golden_row in zip(loaded.golden.strings, loaded.golden.texts, strict=True):
        row = loaded.tokenizer.encode(text)
        np.testing.assert_array_equal(golden_row[: len(row)], row)
        assert not golden_row[len(row) :].any()


def test_a_texts_vector_is_the_same_at_every_length_of_its_row(
    exported: ExportResult, repository: Path
) -> None:
    run = GraphRunner(repository / "tiny-v1-text/1/model.onnx")
    row = load_release(repository, "tiny-v1").tokenizer.encode("red shoe")
    assert len(row) == exported.release.text.buckets[0]
    shortest = run(row[None])
    for bucket in exported.release.text.buckets[1:]:
        longer = run(np.pad(row, (0, bucket - len(row)))[None])
        assert cosine(shortest, longer)[0] > 1 - 1e-9


def test_a_second_export_of_a_model_is_the_same_release(
    exported: ExportResult, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    choice = model_folder(tmp_path / "model", CONFIGS["timm-eos"])
    again = export_release(
        ExportOrder(choice, Destination(tmp_path / "again", "tiny-v1"), Target.ONNX_CPU),
        lambda _step: None,
    )
    assert again.release == exported.release
    files = [*exported.release.digests, "tiny-v1.release.json"]
    assert filecmp.cmpfiles(repository, tmp_path / "again", files, shallow=False) == (files, [], [])


@pytest.mark.parametrize(
    "name",
    [
        "vit-argmax",
        *(pytest.param(n, marks=pytest.mark.slow) for n in CONFIGS if n != "vit-argmax"),
    ],
)
def test_models_of_every_kind_are_exported_for_stock_triton(tmp_path: Path, name: str) -> None:
    (tmp_path / "model").mkdir()
    order = ExportOrder(
        model_folder(tmp_path / "model", CONFIGS[name]),
        Destination(tmp_path / "repository", "v1"),
        Target.ONNX,
        device=Device.GPU,
    )
    result = export_release(order, lambda _step: None)
    assert result.image_parity.least_cosine > 0.9999
    assert result.text_parity.least_cosine > 0.9999
    assert (len(result.release.text.buckets) > 1) == (name in ANY_LENGTH)
    for tower in ("image", "text"):
        folder = tmp_path / f"repository/v1-{tower}"
        assert {path.name for path in (folder / "1").iterdir()} == {"model.onnx"}
        config = text_format.Parse((folder / "config.pbtxt").read_text(), pb.ModelConfig())
        assert config.backend == "onnxruntime"
        assert config.instance_group[0].kind == pb.ModelInstanceGroup.KIND_GPU


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_lower_precision_says_what_it_costs(
    lowered: Lowered, exported: ExportResult, precision: Precision
) -> None:
    result = lowered.results[precision]
    assert result.release.precision is precision
    assert result.release.fingerprint != exported.release.fingerprint
    floor = PARITY_FLOOR[precision]
    assert floor < result.image_parity.least_cosine <= 1 + 1e-6
    assert floor < result.text_parity.least_cosine <= 1 + 1e-6
    assert result.cost is not None
    assert (result.cost.texts, result.cost.pictures) == (400, 400)
    assert result.cost.recall_loss <= MOST_LOST
    assert result.cost.least_cosine > floor
    graph = f"tiny-{precision}-text/1/model.onnx"
    assert result.file_bytes[graph] < exported.file_bytes["tiny-v1-text/1/model.onnx"]


def test_one_fp16_graph_serves_every_target(tmp_path: Path) -> None:
    """So an index that was built on one may be searched on another."""
    (tmp_path / "model").mkdir()
    choice = model_folder(tmp_path / "model", CONFIGS["timm-eos"])
    order = ExportOrder(
        choice, Destination(tmp_path / "a", "v1"), Target.ONNX_CPU, precision=Precision.FP16
    )
    others = (Target.ONNX_TENSORRT, Target.TENSORRT)
    fingerprints = {
        export_release(
            replace(order, target=target, destination=Destination(tmp_path / target, "v1")),
            lambda _step: None,
        ).release.fingerprint
        for target in (Target.ONNX_CPU, *others)
    }
    assert len(fingerprints) == 1
    for target, backend in zip(others, ("onnxruntime", "tensorrt"), strict=True):
        text = (tmp_path / target / "v1-image/config.pbtxt").read_text()
        assert text_format.Parse(text, pb.ModelConfig()).backend == backend


def test_a_precision_that_is_too_far_from_pytorch_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "EXPORT_FLOOR", {Precision.FP16: 1.1})
    (tmp_path / "model").mkdir()
    choice = model_folder(tmp_path / "model", CONFIGS["timm-eos"])
    destination = Destination(tmp_path / "repository", "v1")
    order = ExportOrder(choice, destination, Target.ONNX_CPU, precision=Precision.FP16)
    with pytest.raises(ExportRefused, match=r"below 1\.1, the limit for fp16"):
        export_release(order, lambda _step: None)
    assert not (tmp_path / "repository").exists()


@pytest.mark.slow
def test_vit_b_32_is_exported_without_weights(tmp_path: Path) -> None:
    order = ExportOrder(
        ModelChoice("ViT-B-32"), Destination(tmp_path / "repository", "vit"), Target.ONNX
    )
    result = export_release(order, lambda _step: None)
    loaded = load_release(tmp_path / "repository", "vit")
    assert result.random_weights
    assert loaded.release.text.buckets == (8, 16, 32, 77)
    assert loaded.release.dim == 512
    image = GraphRunner(tmp_path / "repository/vit-image/1/model.onnx")
    assert image_parity(image, loaded.golden).least_cosine > 0.9999
    text = GraphRunner(tmp_path / "repository/vit-text/1/model.onnx")
    assert text_parity(text, loaded.golden, (8, 77), pad_id=0).least_cosine > 0.9999


def order_for(tmp_path: Path) -> ExportOrder:
    return ExportOrder(
        ModelChoice("ViT-B-32"), Destination(tmp_path / "repository", "v1"), Target.ONNX_CPU
    )


def test_what_is_not_offered_is_refused_before_any_work(tmp_path: Path) -> None:
    order = order_for(tmp_path)
    refusals = {
        "onnx-cpu has no GPU": replace(order, device=Device.GPU),
        "onnx-tensorrt is for GPUs; use": replace(
            order, target=Target.ONNX_TENSORRT, device=Device.CPU
        ),
        "tensorrt is for GPUs; --gpu cpu": replace(order, target=Target.TENSORRT, gpu=Hardware.CPU),
        "int8 is made for CPUs": replace(
            order, target=Target.TENSORRT, precision=Precision.INT8, pairs=tmp_path / "none"
        ),
        "give --pairs FILE": replace(order, precision=Precision.INT8),
    }
    for sentence, refused in refusals.items():
        with pytest.raises(ExportRefused, match=sentence):
            export_release(refused, print)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    steps: list[str] = []

    def stop_at_the_comparison(step: str) -> None:
        steps.append(step)
        if step.startswith("Comparing"):
            raise KeyboardInterrupt

    (tmp_path / "model").mkdir()
    choice = model_folder(tmp_path / "model", CONFIGS["timm-eos"])
    order = ExportOrder(choice, Destination(tmp_path / "out/repository", "v1"), Target.ONNX_CPU)
    with pytest.raises(KeyboardInterrupt):
        export_release(order, stop_at_the_comparison)
    assert len(steps) == 6
    assert not list(tmp_path.glob("out/*"))
