"""The faults of the table in docs/reliability.md, one after the other."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults.proxy import Fault, FaultProxy, proxy_to
from tests.faults.scene import (
    Running,
    Shopkeeper,
    Shoppers,
    Tally,
    draw_pictures,
    fill,
    running,
    settings_for,
)
from tests.qdrant_wire.server import serving

TRITON, QDRANT = "Triton", "Qdrant"
ROUNDS = 3
KNOWN_ROUNDS = 2
# Nothing that the server says comes through any more: it is as good as away.
AWAY = (Fault.RESET, Fault.REFUSE, Fault.BLACK_HOLE, Fault.GARBAGE)


@dataclass(frozen=True)
class Row:
    """One fault on the way to one server.

    `during`: four shoppers from the moment that it began. `known`: one shopper, once the server
    was known to be away. `back_s`: from the fault's end to the first right answer that needed the
    server. `acknowledged`: changes of the catalogue; `lost`: those that were not there afterwards.
    """

    server: str
    fault: Fault
    during: Tally
    known: Tally | None
    back_s: float
    acknowledged: int
    lost: int


@asynccontextmanager
async def shop_behind(server: str, triton_port: int) -> AsyncIterator[tuple[Running, FaultProxy]]:
    """A gateway with a proxy before one of its servers: real Triton, or the cluster store's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_pictures(folder / "pictures")
        if server == TRITON:
            async with proxy_to(triton_port) as proxy:
                settings = settings_for(folder, triton=f"127.0.0.1:{proxy.port}")
                async with running(settings) as shop:
                    await fill(shop.assembly)
                    yield shop, proxy
            return
        async with serving() as qdrant_port, proxy_to(qdrant_port) as proxy:
            settings = settings_for(
                folder,
                triton=f"127.0.0.1:{triton_port}",
                store="cluster",
                qdrant_grpc_port=proxy.port,
            )
            async with running(settings) as shop:
                await fill(shop.assembly)
                yield shop, proxy


async def row(server: str, fault: Fault, shop: Running, proxy: FaultProxy) -> Row:
    """Lets the fault happen, and looks; all the while a shopkeeper changes prices."""
    shoppers, keeper = Shoppers(shop.http), Shopkeeper(shop.http)
    await shoppers.learn()
    known = None
    writing = asyncio.create_task(keeper.work())
    await proxy.set(fault)
    during = await shoppers.shop(ROUNDS)
    if fault in AWAY:
        await shoppers.first(503)
        known = await shoppers.shop(KNOWN_ROUNDS, at_once=1)
    await proxy.set(Fault.NONE)
    back_s = await shoppers.first(200)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    return Row(server, fault, during, known, back_s, keeper.acknowledged, await keeper.lost())
