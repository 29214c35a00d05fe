"""The one place where errors of `qdrant_client` and gRPC become the product's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from qdrant_client import AsyncQdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException

from gateway.adapters.qdrant_cluster_client import AS_IF_AWAY
from gateway.adapters.watched_connection import WatchedConnection
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
from gateway.telemetry.request_record import outgoing_call
from gateway.telemetry.tracing import Headers


@asynccontextmanager
async def translated(
    doing: str,
    deadline: Deadline | None = None,
    *,
    to: WatchedConnection[AsyncQdrantClient],
    server: str,
) -> AsyncIterator[Headers]:
    """Turns foreign errors into ours, and ends what runs when the deadline passes. While Qdrant is
    known to be away, it ends before it begins.

    Yields the headers that belong to a call to `server` (`host:port`), which only a stub of gRPC's
    takes: the client has no place for them.

    Qdrant's own timeout counts whole seconds, so the gateway cancels the call at the deadline;
    gRPC then cancels it on the server. The cancellation of the calling task stays what it is.
    """
    left_s = None if deadline is None else deadline.require(doing)
    require_there(to, doing)
    try:
        with outgoing_call(f"qdrant: {doing}", server) as headers:
            async with asyncio.timeout(left_s):
                yield headers
    except TimeoutError as exc:
        to.suspect()
        raise DeadlineExceeded(f"The request's time ran out while {doing}.") from exc
    except ResourceExhaustedResponse as exc:
        raise Overloaded(
            f"Qdrant has no room while {doing}: {exc}.", retry_after_s=float(exc.retry_after_s)
        ) from exc
    except grpc.aio.AioRpcError as exc:
        if exc.code() in AS_IF_AWAY:
            to.suspect()
        raise _of_status(doing, exc.code(), exc.details() or exc.code().name) from exc
    except ApiException as exc:
        raise BackendUnavailable(f"Qdrant failed while {doing}: {exc}.") from exc
    except (grpc.aio.UsageError, RuntimeError) as exc:  # what a closed client or channel raises
        raise BackendUnavailable(f"The connection to Qdrant broke while {doing}: {exc}.") from exc
    except asyncio.CancelledError as exc:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # gRPC cancels a call, but not the task, when its channel closes under it.
        raise BackendUnavailable(f"The connection to Qdrant was closed while {doing}.") from exc


def require_there(to: WatchedConnection[AsyncQdrantClient], doing: str) -> None:
    """BackendUnavailable if Qdrant is known to be away."""
    if to.away:
        raise BackendUnavailable(f"Qdrant is away; it was needed for {doing}.")


def _of_status(doing: str, code: grpc.StatusCode, details: str) -> LookalikeError:
    match code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            error: LookalikeError = DeadlineExceeded(f"The request's time ran out while {doing}.")
        case grpc.StatusCode.NOT_FOUND:
            error = NotFound(details)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            error = Overloaded(f"Qdrant has no room while {doing}: {details}")
        case grpc.StatusCode.INVALID_ARGUMENT if "dimension" in details:
            error = SpaceMismatch(f"A vector of another length met the index: {details}")
        case grpc.StatusCode.INVALID_ARGUMENT:
            error = InvalidQuery(f"Qdrant refuses the request while {doing}: {details}")
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            error = BackendUnavailable(f"Qdrant refuses the gateway's key while {doing}: {details}")
        case _:
            error = BackendUnavailable(f"Qdrant failed while {doing} ({code.name}): {details}")
    return error
