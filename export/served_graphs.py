"""Both towers' graphs in the precision that is asked for, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from export.examples import ExampleSets, read_examples
from export.fp16_graph import to_fp16
from export.int8_graph import OPSET as INT8_OPSET
from export.int8_graph import Rows, to_int8
from export.model_source import SourceModel
from export.onnx_graph import GRAPH_FILE, OPSET, GraphInput, GraphRunner, save_graph, write_graph
from export.parity import TowerParity, image_parity, require, text_parity
from export.precision_cost import Graphs, PrecisionCost, precision_cost, require_recall
from export.tensor_names import IMAGE_INPUT, TEXT_INPUT
from export.tokenizer_json import ConvertedTokenizer
from export.towers import ImageTowerModule, text_tower
from gateway.domain.loaded_release import Golden
from gateway.domain.release import ImageTower, Precision, TextTower
from gateway.preprocess.text import TextTokenizer

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the steps of one export share."""

    source: SourceModel
    tokenizer: ConvertedTokenizer
    golden: Golden
    image: ImageTower
    text: TextTower


@dataclass(frozen=True, slots=True)
class GraphTask:
    """The graphs to write, in which precision, the examples for it, and the most recall@10 that it
    may lose."""

    served: Graphs
    precision: Precision
    pairs: Path | None
    most_recall_loss: float


def served_graph(folder: Path, model: str) -> Path:
    """Where Triton looks for a model's graph; makes the folders above it."""
    version = folder / model / "1"
    version.mkdir(parents=True)
    return version / GRAPH_FILE


def write_towers(
    parts: Parts, task: GraphTask, scratch: Path, report: Report
) -> PrecisionCost | None:
    """Writes both graphs; returns what their precision costs, if there are pairs to measure it by.

    Raises ExportRefused for a tower that cannot be traced, and for a precision that costs too much.
    """
    if task.precision is Precision.FP32:
        _trace(parts, task.served, task.precision, report)
        return None
    fp32 = Graphs(scratch / "image" / GRAPH_FILE, scratch / "text" / GRAPH_FILE)
    for graph in (fp32.image, fp32.text):
        graph.parent.mkdir()
    _trace(parts, fp32, task.precision, report)
    examples = _examples(parts, task, report)
    report(f"Converting both to {task.precision}")
    image_batches = list(examples.calibration.image_batches()) if examples else []
    text_batches = [rows for _, rows in examples.calibration.text_batches()] if examples else []
    _lower(fp32.image, task.served.image, task.precision, image_batches)
    _lower(fp32.text, task.served.text, task.precision, text_batches)
    if examples is None:
        return None
    report(f"Measuring what {task.precision} costs")
    cost = precision_cost(fp32, task.served, task.precision, examples.judged)
    require_recall(cost, task.precision, task.most_recall_loss)
    return cost


def _trace(parts: Parts, graphs: Graphs, precision: Precision, report: Report) -> None:
    opset = INT8_OPSET if precision is Precision.INT8 else OPSET
    report("Tracing the image tower")
    image, text = parts.image, parts.text
    example = torch.zeros(2, image.height_px, image.width_px, 3, dtype=torch.uint8)
    write_graph(
        ImageTowerModule(parts.source.network, parts.source.pixels),
        GraphInput(IMAGE_INPUT, example, {0: "batch"}),
        graphs.image.parent,
        opset,
    )
    report("Tracing the text tower")
    axes = {0: "batch", 1: "tokens"} if len(text.buckets) > 1 else {0: "batch"}
    rows = parts.golden.texts[:2]  # real tokens: some towers look for their end
    write_graph(
        text_tower(parts.source.network, text.buckets),
        GraphInput(TEXT_INPUT, torch.from_numpy(rows), axes),
        graphs.text.parent,
        opset,
    )


def _examples(parts: Parts, task: GraphTask, report: Report) -> ExampleSets | None:
    if task.pairs is None:
        return None
    report(f"Reading {task.pairs.name}")
    tokenizer = TextTokenizer(parts.tokenizer.document, parts.text)
    return read_examples(task.pairs, parts.image, tokenizer)


def _lower(fp32: Path, served: Path, precision: Precision, batches: Sequence[Rows]) -> None:
    is_int8 = precision is Precision.INT8
    save_graph(to_int8(fp32, batches) if is_int8 else to_fp16(fp32), served.parent)


def compare(parts: Parts, task: GraphTask) -> tuple[TowerParity, TowerParity]:
    """How close the image's and the text's graph are to PyTorch; ExportRefused if not enough."""
    precision = task.precision
    image = image_parity(GraphRunner(task.served.image, precision), parts.golden)
    require(image, "image", precision)
    run = GraphRunner(task.served.text, precision)
    text = text_parity(run, parts.golden, parts.text.buckets, parts.text.pad_id)
    require(text, "text", precision)
    return image, text
