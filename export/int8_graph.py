"""A tower's graph in int8 for CPUs: static quantisation by ONNX Runtime, calibrated on examples.

What is not a product stays in fp32, so a graph is the faster the less there is beside its products:
nothing rounds what a product gives, a bias is part of its product, and GELU is one step. Against
quantize_static alone that is 41 instead of 48 ms for a picture through ViT-B-32 (fp32: 96), and 6.4
instead of 7.7 for a text of 16 tokens (15.2); batches of 8, in turn, on one core with AVX-512 VNNI.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxscript import ir
from onnxscript.rewriter import MatchResult, pattern

from export.onnx_graph import DATA_FILE, quiet
from export.tensor_names import OUTPUT_NAME

Rows = NDArray[np.uint8] | NDArray[np.int64]

# The opset in which GELU is one operator; the graph to convert is best traced with it.
OPSET = 20

QUANTISED = ("Conv", "Gemm", "MatMul")
# What comes next to these is fp32: rounded to int8, it would have to be taken back at once.
TO_FP32 = ("Gemm", "MatMul")

# Convolutions of a ResNet's stem; a ViT has one convolution in all. Against one, three raised the
# sample model's mean cosine from 0.9988 to 0.9995.
STEM = 3


def to_int8(graph: Path, batches: Sequence[Rows]) -> onnx.ModelProto:
    """The graph with int8 weights, one scale per output channel, and uint8 activations.

    `batches` are inputs of the tower, such as it will meet: the least and the greatest activation
    that they give is what the scales are made for. Inputs and output keep their types.

    The stem and the last projection stay in fp32. With both quantised as well, the sample model
    gave a striped picture a vector of cosine 0.946 to fp32's; without, 0.996.
    """
    with quiet(), tempfile.TemporaryDirectory() as folder:
        lean, target = Path(folder) / "lean.onnx", Path(folder) / "model.onnx"
        external = graph.with_name(DATA_FILE).exists()
        _save_with_biases_in_products(graph, lean, external)
        source = onnx.load(lean, load_external_data=False)
        quantize_static(
            lean,
            target,
            _Examples(source.graph.input[0].name, batches),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=_sensitive(source),
            calibrate_method=CalibrationMethod.MinMax,
            use_external_data_format=external,
            extra_options={"OpTypesToExcludeOutputQuantization": list(TO_FP32)},
        )
        return onnx.load(target)


def _save_with_biases_in_products(graph: Path, lean: Path, external: bool) -> None:
    model = ir.load(graph)
    pattern.RewriteRuleSet(
        [_LinearAsGemm.rule()]  # type: ignore[no-untyped-call] # partly typed
    ).apply_to_model(model)
    ir.save(model, lean, external_data=f"{lean.name}.data" if external else None)


class _LinearAsGemm(pattern.RewriteRuleClassBase):
    """A product with weights and then a bias, of rows in any number of axes, as one product of
    rows in one axis: int8 has a step for that, and none for the other."""

    def pattern(self, op: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: ANN401 - untyped
        """x · weight + bias."""
        return op.Add(op.MatMul(x, weight), bias)

    def check(self, op: Any, *args: Any, **values: Any) -> MatchResult:  # noqa: ANN401 - untyped
        """Both are weights, of a matrix and a row."""
        known = [values[name].const_value for name in ("weight", "bias")]
        ranks = [None if one is None else len(one.shape) for one in known]
        found = MatchResult()
        return found if ranks == [2, 1] else found.fail("no linear layer")

    def rewrite(self, op: Any, x: Any, weight: Any, bias: Any) -> Any:  # noqa: ANN401 - untyped
        """All rows in one axis, and back."""
        into, out = weight.const_value.shape
        rows = op.Reshape(x, op.Constant(value_ints=[-1, int(into)]))
        axes = op.Concat(op.Shape(x, end=-1), op.Constant(value_ints=[int(out)]), axis=0)
        return op.Reshape(op.Gemm(rows, weight, bias), axes)


class _Examples(CalibrationDataReader):  # type: ignore[misc] # onnxruntime ships no types
    """Feeds the calibration; every batch once."""

    def __init__(self, name: str, batches: Sequence[Rows]) -> None:
        self._feeds = iter([{name: batch} for batch in batches])

    def get_next(self) -> dict[str, Rows] | None:
        return next(self._feeds, None)


def _sensitive(model: onnx.ModelProto) -> list[str]:
    """The stem, which sees raw pixels, and the last projection before the vector."""
    nodes = list(model.graph.node)
    makers = {output: node for node in nodes for output in node.output}
    node = makers[OUTPUT_NAME]
    while node.op_type not in QUANTISED:
        node = makers[node.input[0]]
    convolutions = [node.name for node in nodes if node.op_type == "Conv"]
    return [node.name, *convolutions[:STEM]]
