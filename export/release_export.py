"""One export from beginning to end: load, convert, trace, compare, write."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from export.errors import ExportRefused
from export.formats import Device, Hardware, Target
from export.golden import golden_set
from export.model_source import ModelChoice, Pixels, load_model
from export.parity import TowerParity
from export.precision_cost import MOST_RECALL_LOSS, Graphs, PrecisionCost
from export.release_writer import Destination, staged
from export.served_graphs import GraphTask, Parts, Report, compare, served_graph, write_towers
from export.serving_profiles import image_profile, text_profile
from export.tokenizer_json import convert, text_half
from export.towers import buckets_for
from export.triton_config import (
    DEFAULT_ENGINE_CACHE,
    ServingChoice,
    config_text,
    image_tower_config,
    text_tower_config,
)
from gateway.adapters.release_files import (
    digest,
    load_release,
    write_golden,
    write_manifest,
)
from gateway.domain.release import ImageTower, Precision, Release, fingerprint

# Copied beside the graph for the target `onnx-cpu`; never imported here.
_BACKEND_MODEL = Path(__file__).with_name("python_backend_model.py")


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What to export, as what, and to where.

    `gpu` is what the queues and batches are made for, wherever the release is served on a GPU.
    `pairs` are pictures and texts, as finetune takes them: int8 is calibrated with them, and what
    a precision costs is measured on those that they hold out; `most_recall_loss` is its limit.
    """

    choice: ModelChoice
    destination: Destination
    target: Target
    precision: Precision = Precision.FP32
    device: Device = Device.AUTO
    gpu: Hardware = Hardware.L4
    engine_cache: PurePosixPath = DEFAULT_ENGINE_CACHE
    pairs: Path | None = None
    most_recall_loss: float = MOST_RECALL_LOSS

    @property
    def hardware(self) -> Hardware:
        """What the release's queues and batches are made for."""
        on_cpu = self.target is Target.ONNX_CPU or self.device is Device.CPU
        return Hardware.CPU if on_cpu else self.gpu

    @property
    def serving(self) -> ServingChoice:
        """What the towers' configs are written for."""
        return ServingChoice(self.target, self.device, self.precision, self.engine_cache)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written: the manifest, how close each tower is to PyTorch, what the precision costs
    (None in fp32, and without pairs), and the files' bytes."""

    release: Release
    random_weights: bool
    image_parity: TowerParity
    text_parity: TowerParity
    cost: PrecisionCost | None
    file_bytes: Mapping[str, int]


def export_release(order: ExportOrder, report: Report) -> ExportResult:
    """Exports a release; `report` gets a line before each step.

    Raises ExportRefused, or ReleaseInvalid if what was written cannot be read back. Then nothing
    is left in the repository.
    """
    _check_order(order)
    with (
        staged(order.destination) as folder,
        tempfile.TemporaryDirectory(prefix="lookalike-export-") as scratch,
    ):
        parts = _load(order, report)
        served = Graphs(
            served_graph(folder, parts.image.model), served_graph(folder, parts.text.model)
        )
        task = GraphTask(served, order.precision, order.pairs, order.most_recall_loss)
        cost = write_towers(parts, task, Path(scratch), report)
        report("Comparing both with PyTorch")
        image, text = compare(parts, task)
        report("Writing the release")
        _write_configs(parts, folder, order)
        release = _write_documents(parts, folder, order)
        load_release(folder, release.id)
        sizes = {name: (folder / name).stat().st_size for name in release.digests}
    return ExportResult(release, parts.source.random_weights, image, text, cost, sizes)


def _check_order(order: ExportOrder) -> None:
    target, precision = order.target, order.precision
    if target is Target.ONNX_CPU and order.device is Device.GPU:
        raise ExportRefused("The target onnx-cpu has no GPU; use --target onnx.")
    if target.needs_gpu and order.device is Device.CPU:
        raise ExportRefused(f"The target {target} is for GPUs; use --target onnx.")
    if target.needs_gpu and order.gpu is Hardware.CPU:
        raise ExportRefused(f"The target {target} is for GPUs; --gpu cpu is none.")
    if precision is not Precision.INT8:
        return
    if target.needs_gpu or order.device is Device.GPU:
        raise ExportRefused("int8 is made for CPUs here; on a GPU use --precision fp16.")
    if order.pairs is None:
        raise ExportRefused(
            "int8 is calibrated with examples: give --pairs FILE, in the format of finetune's "
            "--data. `lookalike-export sample-data` makes one to try with."
        )


def _load(order: ExportOrder, report: Report) -> Parts:
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
    return Parts(
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


def _write_configs(parts: Parts, folder: Path, order: ExportOrder) -> None:
    dim = parts.golden.image_vectors.shape[1]
    towers = (
        (image_tower_config(parts.image, dim), image_profile(order.hardware)),
        (text_tower_config(parts.text, dim), text_profile(order.hardware)),
    )
    for tower, profile in towers:
        config = config_text(tower, profile, order.serving)
        (folder / tower.model / "config.pbtxt").write_text(config, encoding="utf-8")
        if order.target is Target.ONNX_CPU:
            shutil.copyfile(_BACKEND_MODEL, folder / tower.model / "1" / "model.py")


def _write_documents(parts: Parts, folder: Path, order: ExportOrder) -> Release:
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
