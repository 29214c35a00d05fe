"""A tower on Triton's Python backend, computed by ONNX Runtime on the CPU.

The exporter copies this file, as it stands, beside `model.onnx`. What it needs to know stands in
the model's config: the tensors' names, the number of instances and, as a parameter, of threads.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

# The backend's interpreter is an isolated one: it ignores PYTHONPATH. Without this it would take
# whatever numpy the machine's own Python has, or none.
sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]

import numpy as np  # noqa: E402 - only now is it the right one
import onnxruntime  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # noqa: E402

# All that a graph can raise for an input that it does not take.
_REFUSALS = (ort_errors.InvalidArgument, ort_errors.Fail, ort_errors.RuntimeException)


class TritonPythonModel:
    """What the backend makes one of per instance."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the graph. Raises TritonModelException if numpy is one that Triton cannot read."""
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            raise pb_utils.TritonModelException(
                f"numpy {np.__version__} makes this backend return empty tensors; use numpy<2."
            )
        config: dict[str, Any] = json.loads(args["model_config"])
        self._input: str = config["input"][0]["name"]
        self._output: str = config["output"][0]["name"]
        folder = Path(args["model_repository"]) / args["model_version"]
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"),
            _session_options(config),
            providers=["CPUExecutionProvider"],
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers requests, those of one shape as one batch: `[n, ...]` in, `[n, dim]` out."""
        rows = [
            pb_utils.get_input_tensor_by_name(request, self._input).as_numpy()
            for request in requests
        ]
        same_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for number, array in enumerate(rows):
            same_shape[array.shape[1:]].append(number)
        responses: list[Any] = [None] * len(requests)
        for numbers in same_shape.values():
            answers = self._answer([rows[number] for number in numbers])
            for number, answer in zip(numbers, answers, strict=True):
                responses[number] = answer
        return responses

    def finalize(self) -> None:
        """Lets go of the graph."""
        del self._session

    def _answer(self, arrays: list[Any]) -> list[Any]:
        """One response for each of `arrays`, which share a shape but for the batch."""
        batch = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
        try:
            vectors = self._session.run([self._output], {self._input: batch})[0]
        except _REFUSALS as error:
            if len(arrays) == 1:
                return [pb_utils.InferenceResponse([], pb_utils.TritonError(str(error)))]
            # One request's bad row must not fail its neighbours.
            return [answer for array in arrays for answer in self._answer([array])]
        ends = np.cumsum([len(array) for array in arrays])
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(self._output, part)])
            for part in np.split(vectors, ends[:-1])
        ]


def _session_options(config: dict[str, Any]) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _threads(config)
    options.inter_op_num_threads = 1
    # Waiting threads would spin on cores that the other tower and the gateway need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    level = config["parameters"].get("graph_optimization_level")
    if level is not None and level["string_value"] == "extended":
        # For fp16 graphs, over which ONNX Runtime 1.32 dies one level above.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return options


def _threads(config: dict[str, Any]) -> int:
    """The configured number of threads; for 0, the cores that this process may use, shared fairly
    among the tower's instances."""
    configured = int(config["parameters"]["intra_op_thread_count"]["string_value"])
    instances = sum(int(group["count"]) for group in config["instance_group"])
    return configured or max(1, len(os.sched_getaffinity(0)) // instances)
