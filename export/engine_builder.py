"""A TensorRT engine from an ONNX graph: strongly typed, so that its numbers are the graph's.

Every name of TensorRT's that stands here exists in TensorRT 10 and 11 alike. From 11 on networks
are strongly typed whether asked or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from export.errors import ExportRefused
from export.tensor_names import OUTPUT_NAME
from export.triton_config import UINT8, ShapeRange, TowerConfig

# An engine is its weights and its kernels. One that is larger than this, against the graph, holds
# the weights in wider numbers: rf-detr's in fp32 was 1.87 times its fp16 one.
MOST_SIZE_RATIO = 1.5
LEAST_SIZE_RATIO = 0.5
KERNEL_BYTES = 64 * 10**6


@dataclass(frozen=True, slots=True)
class EngineOrder:
    """What to build: a tower's graph, for requests of these shapes. `timing_cache` is the file
    that keeps how fast kernels were; a second build of a like engine takes seconds."""

    graph: Path
    tower: TowerConfig
    shapes: ShapeRange
    timing_cache: Path

    @property
    def graph_bytes(self) -> int:
        """The graph with its weights, which stand beside it if they are too many."""
        return sum(file.stat().st_size for file in self.graph.parent.glob(f"{self.graph.name}*"))


def build_engine(tensorrt: ModuleType, order: EngineOrder) -> bytes:
    """The engine for this machine's GPU. Takes minutes, and all of the GPU.

    Raises ExportRefused if TensorRT does not take the graph, or builds something else than asked.
    """
    logger = tensorrt.Logger(tensorrt.Logger.WARNING)
    builder = tensorrt.Builder(logger)
    flags = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(order.graph)):
        reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise ExportRefused(f"TensorRT does not take {order.graph}: {reasons[:500]}")
    config = builder.create_builder_config()
    _use_timings(config, order.timing_cache)
    profile = builder.create_optimization_profile()
    shapes = order.shapes
    profile.set_shape(order.tower.input_name, shapes.least, shapes.usual, shapes.most)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportRefused(f"TensorRT built no engine of {order.graph}; its log above says why.")
    _keep_timings(config, order.timing_cache)
    engine = bytes(plan)
    check_engine(tensorrt, engine, order)
    return engine


def check_engine(tensorrt: ModuleType, plan: bytes, order: EngineOrder) -> None:
    """Raises ExportRefused unless the engine loads here, has the tower's tensors in their types and
    shapes, and is about as large as the graph that it was built from."""
    engine = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.WARNING)).deserialize_cuda_engine(
        plan
    )
    if engine is None:
        raise ExportRefused("The engine does not load on this machine's GPU and TensorRT.")
    tower = order.tower
    uint8, int64 = tensorrt.DataType.UINT8, tensorrt.DataType.INT64
    input_type = uint8 if tower.input_type == UINT8 else int64
    output_type = tensorrt.DataType.FLOAT
    expected = {
        tower.input_name: (input_type, (-1, *tower.input_dims)),
        OUTPUT_NAME: (output_type, (-1, tower.output_dim)),
    }
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    found = {
        name: (engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name)))
        for name in names
    }
    if found != expected:
        raise ExportRefused(f"The engine's tensors are {found}, not {expected}.")
    profile = tuple(tuple(shape) for shape in engine.get_tensor_profile_shape(tower.input_name, 0))
    shapes = order.shapes
    if profile != (shapes.least, shapes.usual, shapes.most):
        raise ExportRefused(f"The engine takes the shapes {profile}, not {shapes}.")
    _check_size(len(plan), order.graph_bytes)


def trtexec_command(order: EngineOrder, engine: Path) -> str:
    """What builds the same engine by hand; TensorRT 11 ignores `--stronglyTyped`."""
    shapes = {
        "min": order.shapes.least,
        "opt": order.shapes.usual,
        "max": order.shapes.most,
    }
    name = order.tower.input_name
    return " ".join(
        [
            "trtexec",
            f"--onnx={order.graph}",
            f"--saveEngine={engine}",
            "--stronglyTyped",
            *(f"--{w}Shapes={name}:{'x'.join(map(str, s))}" for w, s in shapes.items()),
            f"--timingCacheFile={order.timing_cache}",
            "--skipInference",
        ]
    )


def _check_size(engine_bytes: int, graph_bytes: int) -> None:
    least, most = LEAST_SIZE_RATIO * graph_bytes, MOST_SIZE_RATIO * graph_bytes + KERNEL_BYTES
    if not least <= engine_bytes <= most:
        raise ExportRefused(
            f"The engine has {engine_bytes / 1e6:.1f} MB and its graph {graph_bytes / 1e6:.1f} MB: "
            "it does not compute in the graph's precision."
        )


def _use_timings(config: Any, path: Path) -> None:  # noqa: ANN401 - TensorRT's own object
    """Timings that another GPU or TensorRT took are refused by TensorRT; then it starts anew."""
    known = path.read_bytes() if path.is_file() else b""
    if not config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False):
        config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)


def _keep_timings(config: Any, path: Path) -> None:  # noqa: ANN401 - TensorRT's own object
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(config.get_timing_cache().serialize()))
