"""One call for everybody who asks the same at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from gateway.domain.deadline import Deadline
from gateway.domain.errors import DeadlineExceeded, LookalikeError

T = TypeVar("T")


class InFlight(Generic[T]):
    """The first to ask makes the call, and the others get what it gets: a thousand shoppers who
    follow one link cost one inference, and so do those who come while a new release's cache is
    still empty. Each waits no longer than its own deadline."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Future[T]] = {}

    async def once(self, key: Hashable, call: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
        """What `call` gives, or the like of it that is under way for the same key. Raises what it
        raises, and DeadlineExceeded.

        When the one who called gave up, the next calls again.
        """
        while (running := self._running.get(key)) is not None:
            await asyncio.wait([running], timeout=deadline.require("others had the answer"))
            if running.done() and not running.cancelled():
                return running.result()
        mine = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            found = await call()
        except BaseException as exc:
            if isinstance(exc, LookalikeError) and not isinstance(exc, DeadlineExceeded):
                mine.set_exception(exc)
                mine.exception()  # if nobody waits, asyncio would call it forgotten
            else:
                mine.cancel()  # gone, or out of time: neither is so of the others
            raise
        finally:
            del self._running[key]
        mine.set_result(found)
        return found
