"""A request's line and headers: soon, and not many."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# A connection that sends nothing, or its headers byte by byte, is closed after this.
HEAD_TIMEOUT_S = 10.0
# What nginx (4 buffers of 8 kB) and Node (16 kB) take, and some more for cookies.
MAX_HEAD_BYTES = 64 * 1024


class HeadLimits(HttpToolsProtocol):
    """uvicorn's protocol, which waits for ever and for any number of headers, with both limits.

    The body's limits are `BodyLimit`'s; the pause between two requests is uvicorn's own.
    """

    _too_late: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """A new connection: its first request has begun."""
        super().connection_made(transport)
        self._begin()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._too_late is None:
            self._begin()

    def on_headers_complete(self) -> None:
        """The rest is the body."""
        self._end()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Bytes of a head or of a body; the parser knows which."""
        super().data_received(data)
        if self._too_late is not None and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, whoever wanted it."""
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        self._head_bytes = 0
        self._too_late = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.close)

    def _end(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None
