"""Towers in int8."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from export import onnx_graph
from export.golden import golden_images, golden_set
from export.int8_graph import OPSET, to_int8
from export.onnx_graph import GraphRunner, save_graph
from export.tensor_names import IMAGE_INPUT, OUTPUT_NAME
from gateway.adapters.release_files import digest
from gateway.domain.vectors import cosine
from tests.export.conftest import LoadModel
from tests.export.test_fp16_graph import written

QUANTISED_INPUT = "DequantizeLinear"


def products_of(model: onnx.ModelProto) -> dict[str, bool]:
    """The products with weights, in order: whether their weights are int8."""
    weights = {tensor.name for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    found = {}
    for node in model.graph.node:
        if node.op_type in {"Conv", "MatMul", "Gemm"}:
            maker = makers.get(node.input[1])
            is_int8 = maker is not None and maker.op_type == QUANTISED_INPUT
            if is_int8 or node.input[1] in weights:
                found[node.name] = is_int8
    return found


@pytest.mark.parametrize("tower", ["image", "text"])
def test_a_tower_in_int8_is_close_to_pytorch(load: LoadModel, tmp_path: Path, tower: str) -> None:
    golden = golden_set(load("vit-argmax"))
    inputs = golden.images if tower == "image" else golden.texts
    expected = golden.image_vectors if tower == "image" else golden.text_vectors
    model = to_int8(written(load, "vit-argmax", tower, tmp_path / tower), [inputs])
    onnx.checker.check_model(model, full_check=True)
    vectors = GraphRunner(save_graph(model, tmp_path))(inputs)
    assert cosine(vectors, expected).min() > 0.98
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_stem_and_the_last_projection_stay_in_fp32(load: LoadModel, tmp_path: Path) -> None:
    images = golden_images(load("resnet").pixels)
    model = to_int8(written(load, "resnet", "image", tmp_path / "image"), [images])
    is_int8 = list(products_of(model).values())
    assert is_int8[:3] == [False] * 3
    assert not is_int8[-1]
    assert all(is_int8[3:-1])
    (image,), (vector,) = model.graph.input, model.graph.output
    assert (image.name, image.type.tensor_type.elem_type) == (IMAGE_INPUT, onnx.TensorProto.UINT8)
    assert (vector.name, vector.type.tensor_type.elem_type) == (
        OUTPUT_NAME,
        onnx.TensorProto.FLOAT,
    )


@pytest.mark.parametrize("tower", ["image", "text"])
def test_little_is_left_beside_the_products(load: LoadModel, tmp_path: Path, tower: str) -> None:
    """GELU is one step, a bias part of its product, and no product is rounded to int8 and taken
    back."""
    golden = golden_set(load("vit-argmax"))
    inputs = golden.images if tower == "image" else golden.texts
    graph = written(load, "vit-argmax", tower, tmp_path / tower, OPSET)
    model = to_int8(graph, [inputs])
    rows = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 1}
    makers = {output: node for node in model.graph.node for output in node.output}
    steps = [node.op_type for node in model.graph.node]
    assert "Gelu" in steps
    assert "Erf" not in steps
    for node in model.graph.node:
        fed_by = {makers[name].op_type for name in node.input if name in makers}
        if node.op_type == "QuantizeLinear":
            assert fed_by.isdisjoint({"MatMul", "Gemm"})
        if node.op_type == "Add" and not rows.isdisjoint(node.input):
            assert "MatMul" not in fed_by


def test_weights_in_a_file_of_their_own_are_converted_too(
    load: LoadModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are when a graph is too big for one file."""
    images = golden_images(load("vit-argmax").pixels)
    vectors = []
    for name, most_bytes in (("within", 10**6), ("beside", 0)):
        monkeypatch.setattr(onnx_graph, "MAX_EMBEDDED_BYTES", most_bytes)
        graph = written(load, "vit-argmax", "image", tmp_path / name)
        assert graph.with_name(onnx_graph.DATA_FILE).exists() is (name == "beside")
        served = tmp_path / f"{name}-int8"
        served.mkdir()
        vectors.append(GraphRunner(save_graph(to_int8(graph, [images]), served))(images))
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_the_same_examples_give_the_same_bytes(load: LoadModel, tmp_path: Path) -> None:
    graph = written(load, "vit-argmax", "image", tmp_path / "image")
    images = golden_images(load("vit-argmax").pixels)
    digests = set()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        digests.add(digest(save_graph(to_int8(graph, [images]), tmp_path / name)))
    assert len(digests) == 1
