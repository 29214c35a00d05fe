"""A tower's graph in fp16, with fp32 where fp16 has too few digits or too small a range.

The conversion is done on the ONNX graph, by ONNX Runtime's own tool, and not in PyTorch: a softmax
inside `scaled_dot_product_attention` cannot be kept in fp32 from outside, and the towers come from
open_clip, timm and transformers alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.tensor_names import OUTPUT_NAME
from export.towers import MASKED

# Sums over a whole row: fp16 ends at 65,504, and NVIDIA advises fp32 for them.
KEPT_IN_FP32 = ("LayerNormalization", "Softmax", "ReduceL2")

# What `functional.normalize` becomes, the end of every tower.
_NORMALISING = ("Div", "Expand", "Clip", "ReduceL2")

_FP16_LIMIT = 65_504.0


def to_fp16(graph: Path) -> onnx.ModelProto:
    """The graph with weights and activations in fp16; inputs and output keep their types.

    LayerNorm, softmax and the final L2 norm stay in fp32. What stands for minus infinity in
    attention masks becomes MASKED: infinity turns into NaN, and fp16's own lowest number into
    infinity as soon as anything is added to it.
    """
    names = _final_norm(onnx.load(graph, load_external_data=False))
    # From the path, and not from the message: that way it takes graphs beyond 2 GiB as well.
    converted = convert_float_to_float16(
        str(graph),
        keep_io_types=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_IN_FP32],
        node_block_list=names,
    )
    model = OnnxModel(converted)
    model.disable_shape_inference()
    # Without this the final norm would be rounded to fp16 on its way out: lengths 0.9995 to 1.0005.
    model.remove_cascaded_cast_nodes()
    model.remove_useless_cast_nodes()
    model.topological_sort(is_deterministic=True)
    result: onnx.ModelProto = model.model
    for tensor in _fp16_tensors(result):
        _bound_masks(tensor)
    return result


def _final_norm(model: onnx.ModelProto) -> list[str]:
    """The names of the nodes that give the vector its length."""
    makers = {output: node for node in model.graph.node for output in node.output}
    found: list[str] = []
    waiting = [OUTPUT_NAME]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type in _NORMALISING:
            found.append(node.name)
            waiting.extend(node.input)
    return found


def _fp16_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    constants = (
        attribute.t
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.TENSOR
    )
    for tensor in (*model.graph.initializer, *constants):
        if tensor.data_type == onnx.TensorProto.FLOAT16:
            yield tensor


def _bound_masks(tensor: onnx.TensorProto) -> None:
    values: NDArray[np.float16] = numpy_helper.to_array(tensor)
    masked = values <= -_FP16_LIMIT
    if masked.any():
        bounded = np.where(masked, np.float16(MASKED), values)
        tensor.CopyFrom(numpy_helper.from_array(bounded, tensor.name))
