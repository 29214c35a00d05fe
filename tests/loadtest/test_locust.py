"""Locust itself against the toy shop: over HTTP and gRPC, alone and as master and worker."""

from __future__ import annotations

import asyncio
import csv
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from gateway.api.grpc_api import GrpcServer
from gateway.api.http_api import create_app
from loadtest.picture_folder import PictureFolder
from loadtest.plots import BY_LOAD, OVER_TIME
from loadtest.record import Run
from loadtest.report import RECORD, SUMMARY, judged
from loadtest.workload import DEFAULT_MIX, own_ids, shown_mix
from tests.shop import LIMITS, Shop

ROOT = Path(__file__).parents[2]
LOCUST = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtest" / "locustfile.py")]

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Served:
    """The toy shop, where it answers, and what is sent to it."""

    shop: Shop
    url: str
    grpc: str
    folder: PictureFolder

    def command(self, *more: str) -> list[str]:
        """Locust on this shop, without its web page."""
        return [
            *(*LOCUST, "--headless", "--only-summary", "--pictures", str(self.folder.path)),
            *("--host", self.url, "--grpc", self.grpc, *more),
        ]


@pytest.fixture
async def served(shop: Shop, folder: PictureFolder) -> AsyncIterator[Served]:
    app = create_app(shop.gateway, LIMITS.max_bytes)
    config = uvicorn.Config(app, lifespan="off", log_level="warning", ws="none")
    server, rpc = uvicorn.Server(config), GrpcServer(shop.gateway, LIMITS.max_bytes)
    port = await rpc.start("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        task = asyncio.create_task(server.serve(sockets=[sock]))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        yield Served(shop, url, f"127.0.0.1:{port}", folder)
        server.should_exit = True
        await task
    await rpc.stop(0)


async def run(*commands: list[str]) -> list[tuple[int, str]]:
    """Runs commands side by side to their ends: exit codes and what they said."""
    async with asyncio.timeout(90):
        processes = [
            await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )
            for command in commands
        ]  # fmt: skip
        said = await asyncio.gather(*(process.communicate() for process in processes))
    codes = [process.returncode or 0 for process in processes]
    return [(code, out.decode()) for code, (out, _) in zip(codes, said, strict=True)]


def read(path: Path) -> list[str]:
    return path.read_text().splitlines()


async def test_a_run_over_both_protocols_makes_a_report(served: Served, tmp_path: Path) -> None:
    report, rows = tmp_path / "report", tmp_path / "locust"
    [(code, said)] = await run(
        served.command(
            *("--rate", "25", "--in-flight", "8", "--run-time", "6", "--mix", MIX),
            *("--slo", "p99=20s,errors=0%,refused=99%", "--warm-up", "2"),
            *("--report", str(report)),
            *("--csv", str(rows), "--html", str(tmp_path / "locust.html")),
        )
    )
    assert code == 0, said
    assert {p.name for p in report.iterdir()} == {RECORD, SUMMARY, OVER_TIME}
    assert (report / SUMMARY).read_text() in said
    assert "Traceback" not in said
    record = Run.load(report / RECORD).record
    assert set(record.kinds) == set(DEFAULT_MIX)
    # 150 arrivals; four standard deviations of a Poisson count.
    assert abs(record.tally().count - 150) < 50
    protocols = {row["Type"] for row in csv.DictReader(read(Path(f"{rows}_stats.csv")))}
    assert {"HTTP", "gRPC"} <= protocols
    assert (tmp_path / "locust.html").stat().st_size > 10_000
    for own_id in own_ids():
        assert (await served.shop.http.get(f"/v1/items/{own_id}")).status_code == 404


# Enough of each kind in a few seconds.
MIX = shown_mix(dict.fromkeys(DEFAULT_MIX, 1))


async def test_master_and_worker_find_the_knee(served: Served, tmp_path: Path) -> None:
    """Four requests fit in at once, so eight users are refused: apart from errors, and an SLO may
    forbid it. The second broken step in a row ends the run, long before the plan does."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = str(sock.getsockname()[1])
    [(code, said), (_, worker_said)] = await run(
        served.command(
            *("--master", "--expect-workers", "1", "--master-bind-port", port),
            *("--steps", "1:97:8", "--step-seconds", "3", "--model", "closed"),
            *("--slo", "refused=0%,errors=0%", "--report", str(tmp_path), "--mix", "image=1"),
        ),
        [*LOCUST, "--worker", "--pictures", str(served.folder.path), "--master-port", port],
    )
    assert code == 0, said + worker_said
    report = judged(Run.load(tmp_path / RECORD))
    assert report.knee is not None
    assert (report.knee.held_at, report.knee.broken_at) == (1, 9)
    assert 3 <= len(report.steps) < 8
    assert report.run.record.tally().error_count == 0
    assert (tmp_path / BY_LOAD).exists()


async def test_a_broken_slo_is_a_failure_that_names_its_part(served: Served) -> None:
    [(code, said)] = await run(
        served.command(
            *("GrpcShopper", "-u", "2", "-r", "2", "--run-time", "2", "--mix", "text=1"),
            *("--slo", "p50=0.001ms,errors=0%", "--warm-up", "0"),
        )
    )
    assert code == 1, said
    assert "- BROKEN: p50=0.001ms" in said
    assert "- held: errors=0%: 0.00%" in said
    assert "HTTP " not in said


async def test_a_mistake_is_a_sentence(tmp_path: Path) -> None:
    [(code, said)] = await run(
        [*LOCUST, "--headless", "--host", "http://127.0.0.1:9", "--pictures", str(tmp_path)]
    )
    assert code == 2
    assert f"{tmp_path} has no pictures: `python -m loadtest.make_pictures" in said
    assert "Traceback" not in said
