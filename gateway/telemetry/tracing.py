"""Traces, as the rest of the gateway sees them: a port, and what stands in for it when it is off.

`gateway.adapters.otlp_traces` sends them to an OpenTelemetry collector; it is imported only where
an address for them was set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

# W3C Trace Context: version, trace id, parent's span id, flags.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

Headers = tuple[tuple[str, str], ...]


class RequestSpan(Protocol):
    """The span of a request from the edge's side."""

    @property
    def trace_id(self) -> str | None:
        """32 hexadecimal digits, or None where there is no trace."""
        ...

    def answered(self, name: str, failed: bool, attributes: Mapping[str, str | int]) -> None:
        """Names the span and says what became of the request, which is known only in the end."""
        ...


class Tracer(Protocol):
    """Who keeps the spans. The current one is the context's: tasks of a request inherit it."""

    def request(self, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan]:
        """A request's span, below the caller's if `headers` (names in lower case) tell of one."""
        ...

    def stage(self, name: str) -> AbstractContextManager[None]:
        """A span of this process below the current one."""
        ...

    def past_stage(self, name: str, began_s: float, ended_s: float) -> None:
        """The same for what is over, between two readings of `time.perf_counter`."""
        ...

    def call(self, method: str, server: str) -> AbstractContextManager[Headers]:
        """The span of a call to another server, and the headers that make its spans our own's
        children. `server` is `host:port`."""
        ...


class _Untraced:
    """A request of which only the caller keeps a trace, if anybody does."""

    def __init__(self, trace_id: str | None) -> None:
        self.trace_id = trace_id

    def answered(self, name: str, failed: bool, attributes: Mapping[str, str | int]) -> None:
        """See `RequestSpan`."""


_NOTHING: AbstractContextManager[None] = nullcontext()
NO_HEADERS: AbstractContextManager[Headers] = nullcontext(())
_UNTRACED = nullcontext(_Untraced(None))


class NoTraces:
    """Traces are off. A caller's trace id is still read, so that our log line is found by it."""

    def request(self, headers: Mapping[str, str]) -> AbstractContextManager[RequestSpan]:
        """See `Tracer`."""
        parent = headers.get("traceparent")
        if parent is None:
            return _UNTRACED
        found = _TRACEPARENT.fullmatch(parent)
        return _UNTRACED if found is None else nullcontext(_Untraced(found[1]))

    def stage(self, name: str) -> AbstractContextManager[None]:
        """See `Tracer`."""
        return _NOTHING

    def past_stage(self, name: str, began_s: float, ended_s: float) -> None:
        """See `Tracer`."""

    def call(self, method: str, server: str) -> AbstractContextManager[Headers]:
        """See `Tracer`."""
        return NO_HEADERS


NO_TRACES = NoTraces()
