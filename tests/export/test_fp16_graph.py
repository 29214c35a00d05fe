"""Towers in fp16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from export.fp16_graph import KEPT_IN_FP32, to_fp16
from export.golden import golden_set
from export.onnx_graph import OPSET, GraphInput, GraphRunner, save_graph, write_graph
from export.parity import image_parity, text_parity
from export.tensor_names import IMAGE_INPUT, OUTPUT_NAME, TEXT_INPUT
from export.tokenizer_json import convert
from export.towers import MASKED, ImageTowerModule, buckets_for, text_tower
from gateway.adapters.release_files import digest
from gateway.domain.release import Precision
from tests.export.conftest import LoadModel
from tests.export.models import CONFIGS

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def written(load: LoadModel, name: str, tower: str, folder: Path, opset: int = OPSET) -> Path:
    """The fp32 graph of a small model's tower."""
    source = load(name)
    folder.mkdir()
    if tower == "image":
        pixels = source.pixels
        example = torch.zeros(2, pixels.height_px, pixels.width_px, 3, dtype=torch.uint8)
        graph_input = GraphInput(IMAGE_INPUT, example, {0: "batch"})
        return write_graph(ImageTowerModule(source.network, pixels), graph_input, folder, opset)
    tokens = convert(source.tokenizer)
    buckets = buckets_for(source.network, tokens.context_length, tokens.pad_id, tokens.end_id)
    axes = {0: "batch", 1: "tokens"} if len(buckets) > 1 else {0: "batch"}
    rows = torch.from_numpy(golden_set(source).texts[:2])
    module = text_tower(source.network, buckets)
    return write_graph(module, GraphInput(TEXT_INPUT, rows, axes), folder, opset)


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """Every tensor's element type, by name."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


SOME = ("vit-argmax", "timm-eos", "causal-last")


@pytest.mark.parametrize(
    "name",
    [*SOME, *(pytest.param(n, marks=pytest.mark.slow) for n in CONFIGS if n not in SOME)],
)
def test_a_tower_in_fp16_gives_pytorchs_vectors(load: LoadModel, tmp_path: Path, name: str) -> None:
    golden, source = golden_set(load(name)), load(name)
    runs = {}
    for tower in ("image", "text"):
        model = to_fp16(written(load, name, tower, tmp_path / tower))
        onnx.checker.check_model(model, full_check=True)
        (tmp_path / tower / "fp16").mkdir()
        graph = save_graph(model, tmp_path / tower / "fp16")
        runs[tower] = GraphRunner(graph, Precision.FP16)
    tokens = convert(source.tokenizer)
    buckets = buckets_for(source.network, tokens.context_length, tokens.pad_id, tokens.end_id)
    assert image_parity(runs["image"], golden).least_cosine > 0.9995
    assert text_parity(runs["text"], golden, buckets, tokens.pad_id).least_cosine > 0.9995
    lengths = np.linalg.norm(runs["image"](golden.images), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_sums_over_rows_stay_in_fp32_and_products_do_not(load: LoadModel, tmp_path: Path) -> None:
    model = to_fp16(written(load, "vit-argmax", "text", tmp_path / "text"))
    types = types_of(model)
    found = {node.op_type for node in model.graph.node}
    assert set(KEPT_IN_FP32) <= found
    for node in model.graph.node:
        if node.op_type in KEPT_IN_FP32:
            assert types[node.input[0]] == types[node.output[0]] == FLOAT, node.name
        if node.op_type in {"MatMul", "Gemm"}:
            assert {types[name] for name in node.input} == {HALF}, node.name
    assert types[TEXT_INPUT] == onnx.TensorProto.INT64
    assert types[OUTPUT_NAME] == FLOAT


def test_the_vectors_length_is_never_rounded_to_fp16(load: LoadModel, tmp_path: Path) -> None:
    """After the norm no node may hold fp16: the last cast up comes before it."""
    model = to_fp16(written(load, "vit-argmax", "image", tmp_path / "image"))
    nodes = {output: node for node in model.graph.node for output in node.output}
    last = nodes[OUTPUT_NAME]
    assert last.op_type == "Div"
    assert types_of(model)[last.input[0]] == FLOAT


class Masked(nn.Module):
    """A tower whose mask is what PyTorch's users write: minus infinity, or the lowest number."""

    def __init__(self, hidden: float) -> None:
        super().__init__()
        self.mask: Tensor
        self.register_buffer("mask", torch.tensor([[0.0, hidden, 0.0, hidden]]))
        self.weight = nn.Parameter(torch.eye(4) + 0.1, requires_grad=False)

    def forward(self, text: Tensor) -> Tensor:
        seen = torch.softmax(text.float() + self.mask, dim=-1) @ self.weight
        return nn.functional.normalize(seen, dim=-1)


@pytest.mark.parametrize("hidden", [float("-inf"), torch.finfo(torch.float32).min])
def test_masks_are_finite_and_leave_room(tmp_path: Path, hidden: float) -> None:
    rows = torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1], [0, 0, 0, 9]])
    tower = Masked(hidden)
    graph = write_graph(tower, GraphInput(TEXT_INPUT, rows[:2], {0: "batch"}), tmp_path)
    model = to_fp16(graph)
    lowest = min(
        float(numpy_helper.to_array(tensor).min())
        for tensor in model.graph.initializer
        if tensor.data_type == HALF
    )
    assert lowest == MASKED
    (tmp_path / "fp16").mkdir()
    vectors = GraphRunner(save_graph(model, tmp_path / "fp16"), Precision.FP16)(rows.numpy())
    np.testing.assert_allclose(vectors, tower(rows).numpy(), atol=2e-3)


def test_the_same_graph_gives_the_same_bytes(load: LoadModel, tmp_path: Path) -> None:
    graph = written(load, "vit-argmax", "text", tmp_path / "text")
    digests = set()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        digests.add(digest(save_graph(to_fp16(graph), tmp_path / name)))
    assert len(digests) == 1
