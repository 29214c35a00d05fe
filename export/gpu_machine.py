"""Which GPU and which TensorRT this machine has."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from dataclasses import dataclass
from types import ModuleType

from export.errors import ExportRefused

_QUERY = ("--query-gpu=name,compute_cap", "--format=csv,noheader")


@dataclass(frozen=True, slots=True)
class Machine:
    """What an engine is bound to. `compute_capability` is NVIDIA's, such as `8.9` for an L4."""

    gpu: str
    compute_capability: str
    tensorrt: str

    @property
    def sm(self) -> str:
        """The GPU's architecture as in `sm89`."""
        return f"sm{self.compute_capability.replace('.', '')}"


def this_machine(tensorrt: ModuleType) -> Machine:
    """The first GPU that this process sees. Raises ExportRefused if there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise ExportRefused(
            "There is no nvidia-smi here, so no NVIDIA driver: an engine is built on the machine "
            "that serves it, or on one with the same GPU and TensorRT."
        )
    answer = subprocess.run(  # noqa: S603 - the driver's own program, with fixed arguments
        [program, *_QUERY], capture_output=True, text=True, check=False
    )
    first = answer.stdout.strip().partition("\n")[0]
    name, _, capability = first.rpartition(",")
    if answer.returncode != 0 or not name:
        reason = (answer.stderr or answer.stdout).strip() or "it names no GPU"
        raise ExportRefused(f"nvidia-smi sees no usable GPU: {reason[:200]}")
    return Machine(name.strip(), capability.strip(), tensorrt.__version__)


def load_tensorrt() -> ModuleType:
    """NVIDIA's `tensorrt`. Raises ExportRefused if it or its libraries are not installed."""
    try:
        return importlib.import_module("tensorrt")
    except (ImportError, OSError) as exc:
        raise ExportRefused(
            f"TensorRT cannot be loaded ({exc}). Run this in NVIDIA's Triton image, or install the "
            "version that your Triton has: pip install tensorrt==…"
        ) from exc
