"""What only the cluster store promises: what becomes of a bad connection, and of others' data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import numpy as np
import pytest
from qdrant_client import AsyncQdrantClient, models

from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_cluster_aliases import ACTIVE
from gateway.adapters.qdrant_cluster_client import ClusterOptions
from gateway.domain.deadline import Deadline
from gateway.domain.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    InvalidQuery,
    LookalikeError,
    NotFound,
    Overloaded,
    SpaceMismatch,
)
from tests.contract.catalog import ALL_FIELDS, DIM, SPEC, SPEC_OF_ALL_FIELDS, plan, shelf
from tests.qdrant_wire.server import serving
from tests.qdrant_wire.statuses import Refused

QUERY = plan(np.eye(DIM, dtype=np.float32)[0])


class Gate:
    """Stands ahead of the server's calls: lets them through, holds or refuses the queries."""

    def __init__(self) -> None:
        self.refuse: Refused | None = None
        self.arrived = asyncio.Event()
        self.let_through = asyncio.Event()
        self.let_through.set()

    async def __call__(self, method: str) -> None:
        """Ahead of each call."""
        if method != "Query":
            return
        self.arrived.set()
        await self.let_through.wait()
        if self.refuse is not None:
            raise self.refuse


@asynccontextmanager
async def behind_a_gate() -> AsyncIterator[tuple[ClusterIndex, Gate]]:
    """A store with three items, whose queries can be held."""
    gate = Gate()
    async with serving(before=gate) as port:
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        await index.create(SPEC)
        await index.upsert(SPEC.name, shelf(1, items=3).points())
        yield index, gate
        gate.let_through.set()
        await index.close()


async def test_a_deadline_ends_a_call_that_hangs_to_the_millisecond() -> None:
    async with behind_a_gate() as (index, gate):
        gate.let_through.clear()
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="searching"):
            await index.search(SPEC.name, QUERY, Deadline.after(0.15))
        assert 0.14 < time.monotonic() - started < 0.6


async def test_a_cancelled_caller_stays_cancelled(soon: Deadline) -> None:
    async with behind_a_gate() as (index, gate):
        gate.let_through.clear()
        task = asyncio.create_task(index.search(SPEC.name, QUERY, soon))
        await gate.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_connection_closed_under_a_call_is_unavailable_not_cancelled(
    soon: Deadline,
) -> None:
    async with behind_a_gate() as (index, gate):
        gate.let_through.clear()
        task = asyncio.create_task(index.search(SPEC.name, QUERY, soon))
        await gate.arrived.wait()
        await index.close()
        with pytest.raises(BackendUnavailable):
            await task
        with pytest.raises(BackendUnavailable):
            await index.search(SPEC.name, QUERY, soon)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.UNAVAILABLE, BackendUnavailable),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidQuery),
        (grpc.StatusCode.UNAUTHENTICATED, BackendUnavailable),
        (grpc.StatusCode.PERMISSION_DENIED, BackendUnavailable),
        (grpc.StatusCode.INTERNAL, BackendUnavailable),
        (grpc.StatusCode.UNIMPLEMENTED, BackendUnavailable),
        (grpc.StatusCode.CANCELLED, BackendUnavailable),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_every_status_becomes_an_error_of_ours_with_its_cause(
    soon: Deadline, code: grpc.StatusCode, error: type[LookalikeError]
) -> None:
    async with behind_a_gate() as (index, gate):
        gate.refuse = Refused(code, "what the server says")
        with pytest.raises(error) as raised:
            await index.search(SPEC.name, QUERY, soon)
        assert type(raised.value) is error
        assert raised.value.__cause__ is not None
        gate.refuse = None
        assert await index.search(SPEC.name, QUERY, soon)


async def test_a_server_that_is_not_there_is_unavailable_at_once(unused_tcp_port: int) -> None:
    index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=unused_tcp_port))
    started = time.monotonic()
    with pytest.raises(BackendUnavailable):
        await index.search(SPEC.name, QUERY, Deadline.after(10))
    with pytest.raises(BackendUnavailable):
        await index.aliases()
    assert time.monotonic() - started < 2
    await index.close()


async def test_a_server_that_comes_back_is_used_again(unused_tcp_port: int) -> None:
    index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=unused_tcp_port))
    async with serving(unused_tcp_port):
        await index.create(SPEC)
    with pytest.raises(BackendUnavailable):
        await index.aliases()
    async with serving(unused_tcp_port):
        patience = Deadline.after(5)
        while True:
            try:
                assert (await index.aliases()).active is None
                break
            except BackendUnavailable:
                patience.require("the connection came back")
                await asyncio.sleep(0.05)  # there is no event: gRPC reconnects by itself
    await index.close()


async def test_a_collection_that_somebody_else_made_is_refused() -> None:
    async with serving() as port:
        other = AsyncQdrantClient(
            host="127.0.0.1", grpc_port=port, prefer_grpc=True, check_compatibility=False
        )
        vectors = {"image": models.VectorParams(size=DIM, distance=models.Distance.DOT)}
        await other.create_collection(SPEC.name, vectors_config=vectors)
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        with pytest.raises(SpaceMismatch, match="not Lookalike's"):
            await index.create(SPEC)
        await index.close()
        await other.close()


async def test_the_server_is_told_of_alias_and_field_types() -> None:
    async with serving() as port:
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        await index.create(SPEC_OF_ALL_FIELDS)
        await index.activate(SPEC.name)
        other = AsyncQdrantClient(
            host="127.0.0.1", grpc_port=port, prefer_grpc=True, check_compatibility=False
        )
        info = await other.get_collection(ACTIVE)
        assert {key: str(field.data_type.value) for key, field in info.payload_schema.items()} == {
            key: str(kind) for key, kind in ALL_FIELDS.items()
        }
        await other.close()
        await index.close()


async def test_two_gateways_may_create_the_same_collection_at_once() -> None:
    async with serving() as port:
        gateways = [ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port)) for _ in "ab"]
        await asyncio.gather(*(gateway.create(SPEC) for gateway in gateways))
        for gateway in gateways:
            await gateway.close()
