"""The server around the servicers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import grpc
from qdrant_client.grpc import (
    collections_service_pb2_grpc,
    points_service_pb2_grpc,
    qdrant_pb2_grpc,
)
from qdrant_client.local.qdrant_local import QdrantLocal

from tests.qdrant_wire.servicers import Collections, Health, Points
from tests.qdrant_wire.statuses import Heard, Statuses

MAX_REQUEST_BYTES = 32 * 1024 * 1024  # the default of a real server


@asynccontextmanager
async def serving(
    port: int = 0,
    before: Callable[[str], Awaitable[None]] | None = None,
    heard: Heard | None = None,
) -> AsyncIterator[int]:
    """An empty server on 127.0.0.1; gives its port. Port 0 chooses a free one.

    `before` is called with the method's name ahead of each call: to hold it, or to raise `Refused`.
    `heard` is filled with each call's method and headers.
    """
    local = QdrantLocal(location=":memory:")
    indexes: dict[str, dict[str, int]] = {}
    server = grpc.aio.server(
        interceptors=(Statuses(before, [] if heard is None else heard),),
        options=[("grpc.max_receive_message_length", MAX_REQUEST_BYTES)],
    )
    # The generated functions have no types.
    add: list[tuple[Callable[..., None], object]] = [
        (
            collections_service_pb2_grpc.add_CollectionsServicer_to_server,
            Collections(local, indexes),
        ),
        (points_service_pb2_grpc.add_PointsServicer_to_server, Points(local, indexes)),
        (qdrant_pb2_grpc.add_QdrantServicer_to_server, Health()),
    ]
    for add_to_server, servicer in add:
        add_to_server(servicer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(grace=None)
        local.close()
