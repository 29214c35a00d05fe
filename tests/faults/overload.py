"""More than a gateway can do, offered for a while."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.bootstrap import assemble
from tests.faults.open_loop import Crowd, Seen
from tests.faults.scene import (
    DIM,
    GOLDEN,
    REPOSITORY,
    Body,
    draw_pictures,
    drawing,
    fill,
    settings_for,
)
from tests.faults.triton_stub import triton_stub
from tests.integration.processes import gateway_process

# A model of a hundred pictures a second that takes no core from the gateway, so that what is
# measured is the gateway and not how two cores are shared.
SERVICE_S = 0.01
DEADLINE_S = 2.0
SHOPPERS = 32
WARM_S, CALM_S = 3.0, 5.0
STUB_S, TRITON_S = 15.0, 60.0
IMAGES = [base64.b64encode(drawing(number)).decode() for number in range(20)]


@dataclass(frozen=True)
class Overload:
    """What was seen at the most that is answered, at a multiple of that, and five seconds later."""

    model: str
    times: float
    seconds: float
    peak: Seen
    seen: Seen
    after: Seen
    grown_mib: float


def picture_search(number: int) -> Body:
    """A search by a small picture."""
    return {"query": [{"image": IMAGES[number % len(IMAGES)]}], "limit": 5}


def resident_mib(pid: int) -> float:
    """Memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(kib) / 1024


@asynccontextmanager
async def gateway_over(triton: str | None) -> AsyncIterator[tuple[str, int]]:
    """A gateway in a process of its own: its address and id. Over this Triton, or a model of known
    speed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_pictures(folder / "pictures")
        async with triton_stub(DIM, GOLDEN) as stub:
            endpoint = stub.endpoint if triton is None else triton
            async with assemble(settings_for(folder, triton=endpoint)) as assembly:
                await fill(assembly)
            stub.service_s = SERVICE_S
            settings = {
                "triton": endpoint,
                "model_repository": str(REPOSITORY),
                "edge_folder": str(folder / "index"),
            }
            async with gateway_process(settings) as (process, url):
                yield url, process.pid


async def overload(times: float, triton: str | None = None) -> Overload:
    """Measures the peak, then offers `times` as much."""
    model = f"{1 / SERVICE_S:.0f}/s, no core" if triton is None else "Triton"
    seconds = STUB_S if triton is None else TRITON_S
    async with gateway_over(triton) as (url, pid):
        crowd = Crowd(url, picture_search, DEADLINE_S)
        await crowd.closed(SHOPPERS, WARM_S)
        peak = await crowd.closed(SHOPPERS, WARM_S * 2)
        before = resident_mib(pid)
        seen = await crowd.open(peak.goodput() * times, seconds)
        grown = resident_mib(pid) - before
        await asyncio.sleep(CALM_S)
        after = await crowd.closed(4, WARM_S)
        crowd.close()
    return Overload(model, times, seconds, peak, seen, after, grown)
