"""One export from beginning to end: load, convert, trace, compare, write."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from export.errors import ExportRefused
from export.formats import Device, Target
from export.golden import golden_set
from export.model_source import ModelChoice, Pixels, SourceModel, load_model
from export.onnx_graph import GraphInput, GraphRunner, write_graph
from export.parity import TowerParity, image_parity, require, text_parity
from export.release_writer import Destination, staged
from export.tensor_names import IMAGE_INPUT, TEXT_INPUT
from export.tokenizer_json import ConvertedTokenizer, convert, text_half
from export.towers import ImageTowerModule, buckets_for, text_tower
from export.triton_config import (
    INT64,
    UINT8,
    TowerConfig,
    config_text,
    image_profile,
    text_profile,
)
from gateway.adapters.release_files import (
    digest,
    load_release,
    write_golden,
    write_manifest,
)
from gateway.domain.loaded_release import Golden
from gateway.domain.release import ImageTower, Precision, Release, TextTower, fingerprint

Report = Callable[[str], None]

# Copied beside the graph for the target `onnx-cpu`; never imported here.
_BACKEND_MODEL = Path(__file__).with_name("python_backend_model.py")


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What to export, as what, and to where."""

    choice: ModelChoice
    destination: Destination
    target: Target
    precision: Precision = Precision.FP32
    device: Device = Device.AUTO


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written: the manifest, how close each tower is to PyTorch, and the files' bytes."""

    release: Release
    random_weights: bool
    image_parity: TowerParity
    text_parity: TowerParity
    file_bytes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the steps of one export share."""

    source: SourceModel
    tokenizer: ConvertedTokenizer
    golden: Golden
    image: ImageTower
    text: TextTower


def export_release(order: ExportOrder, report: Report) -> ExportResult:
    """Exports a release; `report` gets a line before each step.

    Raises ExportRefused, or ReleaseInvalid if what was written cannot be read back. Then nothing
    is left in the repository.
    """
    _check_order(order)
    with staged(order.destination) as folder:
        parts = _load(order, report)
        report("Tracing the image tower")
        image_file = _write_image_tower(parts, folder)
        report("Tracing the text tower")
        text_file = _write_text_tower(parts, folder)
        report("Comparing both with PyTorch")
        image = image_parity(GraphRunner(image_file), parts.golden)
        require(image, "image", order.precision)
        text = text_parity(
            GraphRunner(text_file), parts.golden, parts.text.buckets, parts.text.pad_id
        )
        require(text, "text", order.precision)
        report("Writing the release")
        _write_configs(parts, folder, order)
        release = _write_documents(parts, folder, order)
        load_release(folder, release.id)
        sizes = {name: (folder / name).stat().st_size for name in release.digests}
    return ExportResult(release, parts.source.random_weights, image, text, sizes)


def _check_order(order: ExportOrder) -> None:
    if order.precision is not Precision.FP32:
        raise ExportRefused(f"Only fp32 is exported, not {order.precision}.")
    if order.target is Target.ONNX_CPU and order.device is Device.GPU:
        raise ExportRefused("The target onnx-cpu has no GPU; use --target onnx.")


def _load(order: ExportOrder, report: Report) -> _Parts:
    report(f"Loading {order.choice.name}")
    source = load_model(order.choice)
    report("Converting the tokenizer")
    tokenizer = convert(source.tokenizer)
    report("Computing golden vectors")
    golden = golden_set(source)
    release_id, pixels = order.destination.release_id, source.pixels
    buckets = buckets_for(
        source.network, tokenizer.context_length, tokenizer.pad_id, tokenizer.end_id
    )
    return _Parts(
        source=source,
        tokenizer=tokenizer,
        golden=golden,
        image=_image_half(f"{release_id}-image", pixels),
        text=text_half(tokenizer, f"{release_id}-text", buckets),
    )


def _image_half(model: str, pixels: Pixels) -> ImageTower:
    return ImageTower(
        model=model,
        height_px=pixels.height_px,
        width_px=pixels.width_px,
        resize_mode=pixels.resize_mode,
        interpolation=pixels.interpolation,
        fill=pixels.fill,
    )


def _write_image_tower(parts: _Parts, folder: Path) -> Path:
    image = parts.image
    tower = ImageTowerModule(parts.source.network, parts.source.pixels)
    example = torch.zeros(2, image.height_px, image.width_px, 3, dtype=torch.uint8)
    graph_input = GraphInput(IMAGE_INPUT, example, {0: "batch"})
    return _write_tower(tower, graph_input, folder / image.model)


def _write_text_tower(parts: _Parts, folder: Path) -> Path:
    text = parts.text
    tower = text_tower(parts.source.network, text.buckets)
    axes = {0: "batch", 1: "tokens"} if len(text.buckets) > 1 else {0: "batch"}
    rows = parts.golden.texts[:2]  # real tokens: some towers look for their end
    graph_input = GraphInput(TEXT_INPUT, torch.from_numpy(rows), axes)
    return _write_tower(tower, graph_input, folder / text.model)


def _write_tower(tower: nn.Module, graph_input: GraphInput, folder: Path) -> Path:
    version = folder / "1"
    version.mkdir(parents=True)
    return write_graph(tower, graph_input, version)


def _write_configs(parts: _Parts, folder: Path, order: ExportOrder) -> None:
    dim = parts.golden.image_vectors.shape[1]
    image, text = parts.image, parts.text
    shape = (image.height_px, image.width_px, 3)
    tokens = -1 if len(text.buckets) > 1 else text.context_length
    towers = (
        (
            TowerConfig(image.model, IMAGE_INPUT, UINT8, shape, dim, shape),
            image_profile(order.target),
        ),
        (
            TowerConfig(text.model, TEXT_INPUT, INT64, (tokens,), dim, (text.buckets[0],)),
            text_profile(order.target),
        ),
    )
    for tower, profile in towers:
        config = config_text(tower, profile, order.target, order.device)
        (folder / tower.model / "config.pbtxt").write_text(config, encoding="utf-8")
        if order.target is Target.ONNX_CPU:
            shutil.copyfile(_BACKEND_MODEL, folder / tower.model / "1" / "model.py")


def _write_documents(parts: _Parts, folder: Path, order: ExportOrder) -> Release:
    """The tokenizer, the golden file and, over all files, the manifest."""
    release_id = order.destination.release_id
    tokenizer_file, golden_file = f"{release_id}.tokenizer.json", f"{release_id}.golden.npz"
    (folder / tokenizer_file).write_text(parts.tokenizer.document, encoding="utf-8")
    write_golden(folder / golden_file, parts.golden)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # Not the configs: batch sizes and queues are for the operator to change, and change no vector.
    fixed = [path for path in files if path.name != "config.pbtxt"]
    digests = {path.relative_to(folder).as_posix(): digest(path) for path in fixed}
    weights = {
        f"{tower}/{path.name}": digest(path)
        for tower, model in (("image", parts.image.model), ("text", parts.text.model))
        for path in sorted((folder / model / "1").glob("model.onnx*"))
    }
    release = Release(
        id=release_id,
        architecture=parts.source.architecture,
        dim=parts.golden.image_vectors.shape[1],
        precision=order.precision,
        target=order.target.value,
        image=parts.image,
        text=parts.text,
        tokenizer_file=tokenizer_file,
        golden_file=golden_file,
        fingerprint=fingerprint(
            weights, digests[tokenizer_file], parts.image, parts.text, order.precision
        ),
        digests=digests,
        weights=weights,
    )
    write_manifest(folder, release)
    return release
