"""Gateways come and go; no request is lost."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.bootstrap import assemble
from tests.faults.balancer import balancer_before
from tests.faults.open_loop import Crowd, Seen
from tests.faults.scene import (
    REPOSITORY,
    Body,
    draw_pictures,
    fill,
    settings_for,
)
from tests.integration.processes import LOOKALIKE, environment, waited_for
from tests.qdrant_wire.server import serving

RATE = 20.0
DRAIN_S = 1.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def started(settings: Mapping[str, str], port: int) -> subprocess.Popen[str]:
    """A gateway that listens."""
    process = await asyncio.to_thread(
        subprocess.Popen,
        [*LOOKALIKE, "serve", "--port", str(port), "--grpc-port", "0"],
        env=environment(settings),
        stderr=subprocess.PIPE,
        text=True,
    )
    await asyncio.to_thread(waited_for, process, "(listening)")
    return process


async def ended(process: subprocess.Popen[str]) -> int:
    """Its exit code."""
    _, said = await asyncio.to_thread(process.communicate, timeout=60)
    assert "Traceback" not in said, said
    return process.returncode


def words(number: int) -> Body:
    return {"query": [{"text": f"red {number}"}], "limit": 5}


@pytest.mark.triton
@pytest.mark.slow
async def test_no_request_is_lost_when_two_gateways_are_replaced_one_by_one(
    tmp_path: Path, triton_port: int
) -> None:
    draw_pictures(tmp_path / "pictures")
    ports = [free_port(), free_port()]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    async with serving() as qdrant_port, balancer_before(urls) as balancer:
        triton = f"127.0.0.1:{triton_port}"
        store = {"store": "cluster", "qdrant_grpc_port": str(qdrant_port), "triton": triton}
        async with assemble(settings_for(tmp_path, **store)) as assembly:
            await fill(assembly)
        settings = {**store, "model_repository": str(REPOSITORY), "drain_s": str(DRAIN_S)}
        running = [await started(settings, port) for port in ports]
        try:
            for url in urls:
                await balancer.until(url, ready=True)
            crowd = Crowd(f"http://127.0.0.1:{balancer.port}", words, deadline_s=5.0)
            load = asyncio.create_task(_until_cancelled(crowd))
            for number, url in enumerate(urls):
                running[number].send_signal(signal.SIGTERM)
                await balancer.until(url, ready=False)
                assert await ended(running[number]) == 0
                running[number] = await started(settings, ports[number])
                await balancer.until(url, ready=True)
            load.cancel()
            seen = await load
            crowd.close()
        finally:
            for process in running:
                process.terminate()
                await ended(process)
    assert sum(seen.codes().values()) >= RATE * 2 * DRAIN_S
    assert set(seen.codes()) == {200}, seen.codes()


async def _until_cancelled(crowd: Crowd) -> Seen:
    """A constant load; the requests under way at its end are waited for."""
    seen = Seen()
    asking: set[asyncio.Task[None]] = set()
    try:
        while True:
            task = asyncio.create_task(crowd.ask(seen))
            asking.add(task)
            task.add_done_callback(asking.discard)
            await asyncio.sleep(1 / RATE)
    except asyncio.CancelledError:
        await asyncio.gather(*asking)
        return seen
