"""The connection to a Qdrant cluster."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from grpc import StatusCode
from grpc.aio import AioRpcError
from qdrant_client import AsyncQdrantClient
from qdrant_client.grpc import ListAliasesRequest

from gateway.adapters.watched_connection import SIGN_TIMEOUT_S

_GRPC_OPTIONS = {
    # gRPC's own waits up to two minutes before it tries a server again that was away.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    # A peer that vanished without a word is noticed within half a minute.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    # A fresh connection shall be one: gRPC would share it with the channel that is suspected.
    "grpc.use_local_subchannel_pool": 1,
}
# What a call meets when the server is away, or its machine, or the way to it.
AS_IF_AWAY = (
    StatusCode.UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.INTERNAL,
    StatusCode.UNKNOWN,
)
_CHANNELS = 3


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Where the cluster is, and how collections are spread over it.

    `shards` None lets the server choose (one for each node). A write is confirmed when
    `write_consistency` of the `replicas` have it. `timeout_s` ends calls that have no deadline of
    their own.
    """

    host: str = "localhost"
    grpc_port: int = 6334
    tls: bool = False
    api_key: str | None = None
    shards: int | None = None
    replicas: int = 1
    write_consistency: int = 1
    timeout_s: float = 30.0


def connect(options: ClusterOptions) -> AsyncQdrantClient:
    """A client that speaks gRPC only, and connects at its first call."""
    return AsyncQdrantClient(
        host=options.host,
        grpc_port=options.grpc_port,
        prefer_grpc=True,
        https=options.tls,
        api_key=options.api_key,
        timeout=math.ceil(options.timeout_s),
        grpc_options=dict(_GRPC_OPTIONS),
        pool_size=_CHANNELS,
        # It would ask the REST port, in a thread, and print a warning.
        check_compatibility=False,
    )


async def alive(client: AsyncQdrantClient) -> bool:
    """Whether the server answers on every channel, whatever it says."""
    return all(await asyncio.gather(*(_sign(client) for _ in range(_CHANNELS))))


async def _sign(client: AsyncQdrantClient) -> bool:
    try:
        await client.grpc_collections.ListAliases(ListAliasesRequest(), timeout=SIGN_TIMEOUT_S)
    except AioRpcError as exc:
        return exc.code() not in AS_IF_AWAY
    return True


async def close(client: AsyncQdrantClient, within_s: float) -> None:
    """Calls under way may end within so many seconds."""
    await client.close(grpc_grace=within_s)
