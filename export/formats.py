"""What a release can be exported for."""

from __future__ import annotations

from enum import StrEnum


class Target(StrEnum):
    """What Triton serves the release with."""

    ONNX_CPU = "onnx-cpu"  # its Python backend running ONNX Runtime
    ONNX = "onnx"  # its ONNX Runtime backend


class Device(StrEnum):
    """What the instances run on."""

    AUTO = "auto"  # a GPU if the server has one
    CPU = "cpu"
    GPU = "gpu"
