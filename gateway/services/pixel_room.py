"""How many bytes of decoded pixels may be in memory at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.domain.errors import Overloaded


class PixelRoom:
    """`max_bytes` for all pictures that are being decoded, on whatever thread."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()

    @contextmanager
    def reservation(self) -> Iterator[Callable[[int], None]]:
        """What is reserved by the function that it gives is held for the block.

        The function raises Overloaded at once if there is no room. A picture that is alone always
        has room: how large one may be is another limit's business.
        """
        held: list[int] = []

        def reserve(size_bytes: int) -> None:
            with self._lock:
                if self._held_bytes and self._held_bytes + size_bytes > self._max_bytes:
                    raise Overloaded("Too many large pictures are being decoded.")
                self._held_bytes += size_bytes
            held.append(size_bytes)

        try:
            yield reserve
        finally:
            with self._lock:
                self._held_bytes -= sum(held)
