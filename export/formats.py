"""What a release can be exported for."""

from __future__ import annotations

from enum import StrEnum


class Target(StrEnum):
    """What Triton serves the release with."""

    ONNX_CPU = "onnx-cpu"  # its Python backend running ONNX Runtime
    ONNX = "onnx"  # its ONNX Runtime backend
    ONNX_TENSORRT = "onnx-tensorrt"  # the same, with TensorRT inside: engines built on first load
    TENSORRT = "tensorrt"  # its TensorRT backend: engines built ahead, on the GPU's machine

    @property
    def needs_gpu(self) -> bool:
        """Whether it serves on GPUs only."""
        return self in {Target.ONNX_TENSORRT, Target.TENSORRT}


class Device(StrEnum):
    """What the instances run on."""

    AUTO = "auto"  # a GPU if the server has one
    CPU = "cpu"
    GPU = "gpu"


class Hardware(StrEnum):
    """What the queues and batches of a release are made for."""

    CPU = "cpu"
    T4 = "t4"
    L4 = "l4"
    A10 = "a10"
    A100 = "a100"
    H100 = "h100"
