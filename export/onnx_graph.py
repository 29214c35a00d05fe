"""A tower as an ONNX file: exported, stripped, checked, and run as ONNX Runtime runs it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.errors import ExportRefused
from export.tensor_names import OUTPUT_NAME
from gateway.domain.release import Precision
from gateway.domain.vectors import Batch

GRAPH_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"  # beside the graph, when it is too big for one file

# LayerNormalization is one operator from opset 17 on; TensorRT and ONNX Runtime keep its precision.
OPSET = 18

# Protobuf ends at 2 GiB; the rest of the graph needs far less than 64 MiB.
MAX_EMBEDDED_BYTES = 2 * 1024**3 - 64 * 1024**2


@dataclass(frozen=True, slots=True)
class GraphInput:
    """A tower's input: its name, an example of batch 2, and the names of its axes that vary.

    Never batch 1: the exporter would take the axis for a constant.
    """

    name: str
    example: Tensor
    dynamic_axes: Mapping[int, str]


def write_graph(
    tower: nn.Module, graph_input: GraphInput, folder: Path, opset: int = OPSET
) -> Path:
    """Exports `tower` to `folder`; returns the graph's path. The same weights give the same bytes.

    Raises ExportRefused when PyTorch cannot trace the tower or ONNX's checker objects.
    """
    return save_graph(_trace(tower, graph_input, opset), folder)


def save_graph(model: onnx.ModelProto, folder: Path) -> Path:
    """Writes a graph to `folder`, without what only debugging needs; returns its path.

    Raises ExportRefused when ONNX's checker objects.
    """
    _strip(model)
    path = folder / GRAPH_FILE
    if model.ByteSize() < MAX_EMBEDDED_BYTES:
        onnx.save_model(model, path)
    else:
        onnx.save_model(model, path, save_as_external_data=True, location=DATA_FILE)
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as exc:
        raise ExportRefused(f"The exported graph is not valid ONNX: {exc}") from exc
    return path


class GraphRunner:
    """Runs an ONNX file on the CPU, as the `onnx-cpu` target does."""

    def __init__(self, path: Path, precision: Precision = Precision.FP32) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; the warnings are about its own optimisations
        if precision is Precision.FP16:
            # One level less: ONNX Runtime 1.32 dies in its NchwcTransformer over fp16 graphs.
            options.graph_optimization_level = (
                onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
            )
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name

    def __call__(self, rows: NDArray[np.uint8] | NDArray[np.int64]) -> Batch:
        """The vectors `[n, dim]` of input rows `[n, ...]`."""
        vectors: Batch = self._session.run([OUTPUT_NAME], {self._input: rows})[0]
        return vectors


def _trace(tower: nn.Module, graph_input: GraphInput, opset: int) -> onnx.ModelProto:
    axes = {axis: torch.export.Dim(name) for axis, name in graph_input.dynamic_axes.items()}
    with quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                tower.eval(),
                (graph_input.example,),
                dynamo=True,
                opset_version=opset,
                input_names=[graph_input.name],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=(axes,),
                verbose=False,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError, ValueError) as exc:
            reason = str(exc).strip().splitlines()[0]
            raise ExportRefused(f"{type(tower).__name__} cannot be traced: {reason}") from exc
    if program is None:
        raise ExportRefused(f"{type(tower).__name__}: PyTorch's exporter gave no graph.")
    return program.model_proto


def _strip(model: onnx.ModelProto) -> None:
    """Leaves out what only debugging needs: it names source files of the machine that exported."""
    model.doc_string = ""
    del model.metadata_props[:]
    _strip_graph(model.graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        _strip_nodes(function.node)
        del function.value_info[:]


def _strip_graph(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    for tensor in graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    _strip_nodes(graph.node)


def _strip_nodes(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _strip_graph(attribute.g)


@contextmanager
def quiet() -> Iterator[None]:
    """Chatter of exporters and quantisers about themselves stays out of the command's output."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
