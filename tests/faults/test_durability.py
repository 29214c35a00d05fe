"""What was acknowledged is never lost."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from gateway.bootstrap import assemble
from tests.faults.scene import (
    DIM,
    GOLDEN,
    REPOSITORY,
    Shopkeeper,
    draw_pictures,
    fill,
    settings_for,
)
from tests.faults.triton_stub import triton_stub
from tests.integration.processes import gateway_process

ROUNDS = 4


@asynccontextmanager
async def killed_in_the_end(
    settings: Mapping[str, str],
) -> AsyncIterator[tuple[httpx.AsyncClient, subprocess.Popen[str]]]:
    """A gateway that ends by SIGKILL, if it has not already."""
    async with (
        gateway_process(settings) as (process, url),
        httpx.AsyncClient(base_url=url, timeout=30.0) as http,
    ):
        yield http, process


@pytest.mark.slow
async def test_every_acknowledged_write_survives_the_gateways_death(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures")
    chance = random.Random(6)
    keeper = Shopkeeper(httpx.AsyncClient())
    async with triton_stub(DIM, GOLDEN) as stub:
        async with assemble(settings_for(tmp_path, triton=stub.endpoint)) as assembly:
            await fill(assembly)
        settings = {
            "triton": stub.endpoint,
            "model_repository": str(REPOSITORY),
            "edge_folder": str(tmp_path / "index"),
            "pictures_folder": str(tmp_path / "pictures"),
        }
        for _ in range(ROUNDS):
            async with killed_in_the_end(settings) as (keeper.http, process):
                assert await keeper.lost() == 0
                writing = asyncio.create_task(keeper.work())
                goal = keeper.acknowledged + chance.randrange(50, 150)
                await asyncio.wait_for(keeper.reach(goal), 60)
                process.kill()
                with suppress(httpx.HTTPError):
                    await writing
        async with killed_in_the_end(settings) as (keeper.http, _):
            assert await keeper.lost() == 0
    assert keeper.acknowledged >= ROUNDS * 50
