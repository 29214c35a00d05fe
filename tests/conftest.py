"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_cluster_client import ClusterOptions
from gateway.api.grpc_api import GrpcServer
from gateway.api.v1 import lookalike_pb2_grpc
from tests.qdrant_wire.server import serving
from tests.shop import ITEMS, LIMITS, Shop, open_shop, shop_on


@pytest.fixture(scope="session")
def indexed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop's index, made once: making it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("shop") / "index"

    async def make() -> None:
        async with open_shop(folder, ITEMS):
            pass

    asyncio.run(make())
    return folder


@pytest.fixture
async def shop(indexed_folder: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    """The small shop, indexed and answering; each test has its own."""
    # The store's files are mostly holes: 290 MB to shutil, 1 MB to cp.
    copy = ["/bin/cp", "-r", "--sparse=always", str(indexed_folder), str(tmp_path / "index")]
    await asyncio.to_thread(lambda: subprocess.run(copy, check=True))
    async with open_shop(tmp_path / "index") as opened:
        yield opened


@pytest.fixture(params=["edge", "cluster"])
async def either_shop(
    request: pytest.FixtureRequest, indexed_folder: Path, tmp_path: Path
) -> AsyncIterator[Shop]:
    """The small shop on each store in turn."""
    if request.param == "edge":
        copy = ["/bin/cp", "-r", "--sparse=always", str(indexed_folder), str(tmp_path / "index")]
        await asyncio.to_thread(lambda: subprocess.run(copy, check=True))
        async with open_shop(tmp_path / "index") as opened:
            yield opened
        return
    async with serving() as port:
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        async with shop_on(index, ITEMS) as opened:
            yield opened
        await index.close()


@pytest.fixture
async def channel(shop: Shop) -> AsyncIterator[grpc.aio.Channel]:
    """A connection to the shop's gRPC edge."""
    server = GrpcServer(shop.gateway, LIMITS.max_bytes)
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(0)


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    """The service's stub."""
    return lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # by protoc
