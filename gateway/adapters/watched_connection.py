"""A connection to a server that may go away: while it is known to be away, nobody waits for it.

gRPC fails a call at once when its connection was refused. It cannot know that a server which holds
the connection open has stopped answering: each call would wait until its deadline. So after a call
that failed in a way that the server's death would explain, the server is asked for a sign of life,
first on this connection, then on a fresh one. If it gives none, calls fail at once, and the asking
goes on in the background until it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

# A sign of life costs a server nothing; on a machine with all cores at work it took 0.2 s.
SIGN_TIMEOUT_S = 1.0
# With gRPC's reconnection within a second, the first success is within two of the server's return.
LOOK_INTERVAL_S = 0.25
# Calls on a connection that was replaced may still be answered.
LEAVE_S = 30.0

C = TypeVar("C")


class WatchedConnection(Generic[C]):
    """`current` is the connection to use, unless `away`. Belongs to one event loop.

    `alive` says whether the server gave a sign of life within SIGN_TIMEOUT_S; it never raises.
    `close` lets calls under way end within the given seconds.
    """

    def __init__(
        self,
        server: str,
        connect: Callable[[], C],
        alive: Callable[[C], Awaitable[bool]],
        close: Callable[[C, float], Coroutine[None, None, None]],
    ) -> None:
        self._server = server
        self._connect = connect
        self._alive = alive
        self._close = close
        self.current = connect()
        self.away = False
        self._closed = False
        self._looking: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def suspect(self) -> None:
        """A call failed as if the server were away: have a look, if nobody is looking already."""
        # A call that fails because of `close` is no reason to look.
        if not self._closed and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        if await self._alive(self.current):
            # Slow or out of sorts, but there. Whoever suspects again asks again, in a while.
            await asyncio.sleep(LOOK_INTERVAL_S)
            return
        fresh = self._connect()
        try:
            while not await self._alive(fresh):
                if not self.away:
                    log.warning("%s is away", self._server)
                self.away = True
                await asyncio.sleep(LOOK_INTERVAL_S)
        except asyncio.CancelledError:
            await self._close(fresh, 0.0)
            raise
        old, self.current = self.current, fresh
        if self.away:
            log.warning("%s is back", self._server)
        self.away = False
        leaving = asyncio.get_running_loop().create_task(self._close(old, LEAVE_S))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Closes what is open, at once."""
        self._closed = True
        for task in (self._looking, *self._leaving):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        await self._close(self.current, 0.0)
