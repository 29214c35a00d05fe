"""What is known of the request under way, wherever in the gateway it is worked on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field

from gateway.telemetry.tracing import NO_HEADERS, NO_TRACES, Headers, Tracer

# What a route or a method could not say, because none was found for the request.
NO_ROUTE = "other"


@dataclass(slots=True)
class RequestRecord:
    """One request, from its arrival to its answer. The edge makes it; services add to it.

    Attributes:
        request_id: as the answer says it; harmless in a log line.
        route: `POST /v1/search` or `lookalike.v1.Lookalike/Search`: one of few.
        status: HTTP's, also for gRPC, whose codes have one in `gateway.api.status`.
        grpc_code: gRPC's name of it, such as `OK`; None over HTTP.
        release: the release that answered, once that is known.
        mode: how a search was answered.
        stages_s: seconds by stage.
    """

    request_id: str
    route: str = NO_ROUTE
    status: int = 500
    grpc_code: str | None = None
    trace_id: str | None = None
    release: str | None = None
    mode: str | None = None
    stages_s: Mapping[str, float] = field(default_factory=dict)
    tracer: Tracer = NO_TRACES


_CURRENT: ContextVar[RequestRecord | None] = ContextVar("request", default=None)

# The edges set it; nobody else has a reason to.
set_current = _CURRENT.set
reset_current = _CURRENT.reset


def current_request() -> RequestRecord | None:
    """The request that this task works for; None for work of the gateway's own."""
    return _CURRENT.get()


def note(release: str | None = None, mode: str | None = None) -> None:
    """Says of the current request, if there is one, by which release and how it is answered."""
    record = _CURRENT.get()
    if record is not None:
        record.release = record.release if release is None else release
        record.mode = record.mode if mode is None else mode


def outgoing_call(method: str, server: str) -> AbstractContextManager[Headers]:
    """The span of a call to another server on behalf of the current request, and the headers to
    send with it: none for work of the gateway's own, or without traces."""
    record = _CURRENT.get()
    return NO_HEADERS if record is None else record.tracer.call(method, server)
