"""The connection to a Qdrant cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qdrant_client import AsyncQdrantClient

_GRPC_OPTIONS = {
    # gRPC's own waits up to two minutes before it tries a server again that was away.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    # A peer that vanished without a word is noticed within half a minute.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
}


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
        # It would ask the REST port, in a thread, and print a warning.
        check_compatibility=False,
    )
