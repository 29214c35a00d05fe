"""Both stores, empty, behind the one port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_cluster_client import ClusterOptions
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.domain.deadline import Deadline
from gateway.domain.ports import CatalogIndex
from tests.qdrant_wire.server import serving


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[EdgeIndex]:
    """The engine in this process, on a folder."""
    index = EdgeIndex.open(tmp_path / "index")
    yield index
    await index.close()


@pytest.fixture
async def cluster() -> AsyncIterator[ClusterIndex]:
    """A server at the other end of a real gRPC connection."""
    async with serving() as port:
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        yield index
        await index.close()


@pytest.fixture(params=["edge", "cluster"])
def index(request: pytest.FixtureRequest) -> CatalogIndex:
    """Each store in turn."""
    store: CatalogIndex = request.getfixturevalue(request.param)
    return store


@pytest.fixture
def soon() -> Deadline:
    """Time enough, also on a busy machine."""
    return Deadline.after(60)
