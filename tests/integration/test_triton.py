"""The adapter and the release against NVIDIA Triton itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.adapters.triton import TritonInference
from gateway.domain.deadline import Deadline
from gateway.domain.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    Overloaded,
    StartupProblem,
)
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Priority
from gateway.domain.vectors import cosine
from gateway.local.triton_server import TritonOptions, TritonServer
from gateway.services.verification import verify
from gateway.telemetry import Metrics
from tests.integration.conftest import RELEASE, REPOSITORY

IMAGE = f"{RELEASE}-image"
SOON_S = 30.0


def soon() -> Deadline:
    return Deadline.after(SOON_S)


async def test_the_live_server_computes_what_pytorch_computed(
    inference: TritonInference, sample: LoadedRelease
) -> None:
    parity = await verify(inference, sample, soon())
    assert parity.passed
    assert parity.image.least > 0.9999
    assert parity.text.least > 0.9999


async def test_a_vector_does_not_depend_on_its_batch(
    inference: TritonInference, sample: LoadedRelease
) -> None:
    images = sample.golden.images
    alone = [await inference.infer(IMAGE, "image", i[None], soon(), Priority.BULK) for i in images]
    together = await inference.infer(IMAGE, "image", images, soon(), Priority.BULK)
    assert cosine(np.concatenate(alone), together).min() > 0.99999
    many = np.concatenate([images] * 9)  # more than one batch
    split = await inference.infer(IMAGE, "image", many, soon(), Priority.BULK)
    assert cosine(split, np.concatenate([together] * 9)).min() > 0.99999
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


async def test_a_text_vector_does_not_depend_on_its_padding(
    inference: TritonInference, sample: LoadedRelease
) -> None:
    tower = sample.release.text
    row = sample.tokenizer.encode("pizza")
    full = np.full(tower.context_length, tower.pad_id, dtype=np.int64)
    full[: len(row)] = row
    assert len(row) < len(full)
    short = await inference.infer(tower.model, "text", row[None], soon(), Priority.INTERACTIVE)
    long = await inference.infer(tower.model, "text", full[None], soon(), Priority.INTERACTIVE)
    assert cosine(short, long).min() > 0.99999


async def test_requests_in_flight_together_are_batched(
    triton: TritonServer, inference: TritonInference, sample: LoadedRelease
) -> None:
    def counts() -> tuple[int, int]:
        with grpc.insecure_channel(triton.endpoint) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            request = service_pb2.ModelStatisticsRequest(name=IMAGE)
            stats = stub.ModelStatistics(request).model_stats[0]
            return stats.inference_count, stats.execution_count

    rows, executions = await asyncio.to_thread(counts)
    image = sample.golden.images[:1]
    await asyncio.gather(
        *(inference.infer(IMAGE, "image", image, soon(), Priority.INTERACTIVE) for _ in range(48))
    )
    rows_after, executions_after = await asyncio.to_thread(counts)
    assert rows_after - rows == 48
    assert executions_after - executions <= 24


async def test_an_expired_deadline_never_reaches_the_server(
    inference: TritonInference, sample: LoadedRelease
) -> None:
    with pytest.raises(DeadlineExceeded):
        await inference.infer(
            IMAGE, "image", sample.golden.images, Deadline.after(0.001), Priority.BULK
        )


async def test_a_flood_is_shed_by_name_and_the_server_recovers(
    inference: TritonInference, sample: LoadedRelease
) -> None:
    image = sample.golden.images[:1]
    answers = await asyncio.gather(
        *(inference.infer(IMAGE, "image", image, soon(), Priority.INTERACTIVE)
          for _ in range(1500)),
        return_exceptions=True,
    )  # fmt: skip
    kinds = {type(answer) for answer in answers}
    assert kinds <= {np.ndarray, Overloaded, DeadlineExceeded}
    assert Overloaded in kinds
    assert np.ndarray in kinds
    await inference.infer(IMAGE, "image", image, soon(), Priority.INTERACTIVE)


async def test_an_unknown_model_is_named(inference: TritonInference, sample: LoadedRelease) -> None:
    with pytest.raises(BackendUnavailable, match="no-such-model"):
        await inference.infer("no-such-model", "image", sample.golden.images, soon(), Priority.BULK)
    assert not await inference.ready("no-such-model")
    assert await inference.ready(IMAGE)


async def test_nobody_there_is_noticed_at_once(sample: LoadedRelease) -> None:
    inference = TritonInference("127.0.0.1:1", Metrics())
    start = time.monotonic()
    with pytest.raises(BackendUnavailable):
        await inference.infer(IMAGE, "image", sample.golden.images, soon(), Priority.BULK)
    assert time.monotonic() - start < 5.0
    assert not await inference.ready(IMAGE)
    await inference.close()


async def test_a_closed_connection_is_a_backends_fault(
    triton: TritonServer, sample: LoadedRelease
) -> None:
    inference = TritonInference(triton.endpoint, Metrics())
    await inference.close()
    with pytest.raises(BackendUnavailable):
        await inference.infer(IMAGE, "image", sample.golden.images, soon(), Priority.BULK)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    options = TritonOptions(REPOSITORY, ["no-such-model"], tmp_path / "triton.log")
    with pytest.raises(StartupProblem, match="no-such-model"):
        TritonServer(options).start()


def test_stopping_leaves_no_process(tmp_path: Path) -> None:
    options = TritonOptions(REPOSITORY, [f"{RELEASE}-text"], tmp_path / "triton.log")
    server = TritonServer(options)
    server.start()
    family = [server.pid, *_children(server.pid)]
    assert len(family) > 1
    server.stop()
    assert not [pid for pid in family if _alive(pid)]


def test_a_server_that_crashed_leaves_no_process_either(tmp_path: Path) -> None:
    models = [IMAGE]
    with TritonServer(TritonOptions(REPOSITORY, models, tmp_path / "triton.log")) as server:
        started = _children(server.pid)
        assert started
        os.kill(server.pid, signal.SIGKILL)
    _eventually(lambda: not any(_alive(pid) for pid in started))


def test_a_server_dies_with_whoever_started_it(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:  # the child: start a server and wait to be killed
        options = TritonOptions(REPOSITORY, [f"{RELEASE}-text"], tmp_path / "triton.log")
        server = TritonServer(options)
        server.start()
        (tmp_path / "pid.part").write_text(str(server.pid))
        (tmp_path / "pid.part").rename(tmp_path / "pid")
        signal.pause()
    _eventually((tmp_path / "pid").exists)
    server_pid = int((tmp_path / "pid").read_text())
    assert _alive(server_pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    _eventually(lambda: not _alive(server_pid))


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found += [child, *_children(child)]
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _eventually(condition: object, timeout_s: float = 60.0) -> None:
    assert callable(condition)
    give_up_at = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
