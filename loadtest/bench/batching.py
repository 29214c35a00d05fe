"""What Triton's dynamic batching gives: throughput and executed batches, with it and without."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import numpy as np
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from gateway.adapters.release_files import load_release
from gateway.adapters.triton import TritonInference
from gateway.domain.deadline import Deadline
from gateway.domain.ports import Priority
from gateway.domain.release import ImageTower
from gateway.local.triton_server import TritonOptions, TritonServer
from gateway.telemetry.metrics import Metrics
from loadtest.bench.figures import Figure, table
from loadtest.bench.subject import Subject

RUNS = 5
AT_ONCE = (1, 8, 32)
PER_RUN = 600
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Batched:
    """Images a second, and how many of them Triton ran in one execution."""

    per_second: Figure
    rows_an_execution: Figure


Results = Mapping[str, Mapping[int, Batched]]  # "on" or "off" → in flight → result


def measure(subject: Subject) -> Results:
    """The image tower by itself, asked over gRPC."""
    tower = load_release(subject.repository, subject.release).release.image
    with tempfile.TemporaryDirectory(dir=subject.state) as folder:
        without = Path(folder)
        shutil.copytree(subject.repository / tower.model, without / tower.model)
        _stop_batching(without / tower.model / "config.pbtxt")
        return {
            "on": asyncio.run(_measured(subject.repository, tower, subject.state)),
            "off": asyncio.run(_measured(without, tower, subject.state)),
        }


def shown(results: Results) -> list[str]:
    """A row for each number in flight, with batching and without side by side."""
    rows = [
        [
            str(at_once),
            str(on.per_second),
            str(on.rows_an_execution),
            str(results["off"][at_once].per_second),
        ]
        for at_once, on in results["on"].items()
    ]
    return table(["in flight", "images/s", "images an execution", "images/s, batching off"], rows)


def _stop_batching(path: Path) -> None:
    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    config.ClearField("dynamic_batching")
    path.write_text(text_format.MessageToString(config))


async def _measured(repository: Path, tower: ImageTower, state: Path) -> dict[int, Batched]:
    with TritonServer(TritonOptions(repository, [tower.model], state / "triton.log")) as triton:
        inference = TritonInference(triton.endpoint, Metrics())
        try:
            await _asked(
                inference, tower, AT_ONCE[-1]
            )  # so that nothing is done for the first time
            return {n: await _figures(inference, tower, n) for n in AT_ONCE}
        finally:
            await inference.close()


async def _figures(inference: TritonInference, tower: ImageTower, at_once: int) -> Batched:
    rates, sizes = [], []
    for _ in range(RUNS):
        before, start = await _counts(inference.endpoint, tower.model), time.perf_counter()
        await _asked(inference, tower, at_once)
        spent_s, after = time.perf_counter() - start, await _counts(inference.endpoint, tower.model)
        rates.append(PER_RUN / spent_s)
        sizes.append((after[0] - before[0]) / (after[1] - before[1]))
    return Batched(Figure.of(rates), Figure.of(sizes))


async def _asked(inference: TritonInference, tower: ImageTower, at_once: int) -> None:
    row = np.zeros((1, tower.height_px, tower.width_px, 3), np.uint8)
    left = iter(range(PER_RUN))

    async def client() -> None:
        for _ in left:
            deadline = Deadline.after(DEADLINE_S)
            await inference.infer(tower.model, "image", row, deadline, Priority.INTERACTIVE)

    await asyncio.gather(*(client() for _ in range(at_once)))


async def _counts(endpoint: str, model: str) -> tuple[int, int]:
    """Rows inferred and executions, since the model was loaded: Triton's own."""
    async with grpc.aio.insecure_channel(endpoint) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer = await stub.ModelStatistics(service_pb2.ModelStatisticsRequest(name=model))
    [stats] = answer.model_stats
    return stats.inference_count, stats.execution_count
