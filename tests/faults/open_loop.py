"""Load that does not wait for answers before it asks again, as a crowd of shoppers does not."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.scene import Body

CLIENT_GIVES_UP_S = 10.0


@dataclass
class Seen:
    """What a crowd saw. `took_s` by status code; 0 stands for a connection that failed."""

    offered: int = 0
    seconds: float = 0.0
    took_s: dict[int, list[float]] = field(default_factory=dict)

    def codes(self) -> Counter[int]:
        """Answers by status code."""
        return Counter({code: len(seconds) for code, seconds in self.took_s.items()})

    def goodput(self) -> float:
        """Right answers a second."""
        return len(self.took_s.get(200, ())) / self.seconds

    def quantile_s(self, code: int, share: float) -> float:
        """Seconds that so large a share of the answers with this code took at most; 0 if none."""
        seconds = sorted(self.took_s.get(code, ()))
        return seconds[min(len(seconds) - 1, int(share * len(seconds)))] if seconds else 0.0


class Crowd:
    """Connections to one gateway, kept and used again."""

    def __init__(self, url: str, body: Callable[[int], Body], deadline_s: float) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = host, int(port)
        self._body = body
        self._deadline_s = deadline_s
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._number = 0

    async def closed(self, at_once: int, seconds: float) -> Seen:
        """So many shoppers, each with one request under way: the most that can be answered."""
        seen = Seen()
        start = time.monotonic()

        async def shopper() -> None:
            while time.monotonic() - start < seconds:
                await self.ask(seen)

        await asyncio.gather(*(shopper() for _ in range(at_once)))
        seen.seconds = time.monotonic() - start
        return seen

    async def open(self, rate: float, seconds: float) -> Seen:
        """So many requests a second, whether or not they are answered."""
        seen = Seen()
        start = time.monotonic()
        asking: set[asyncio.Task[None]] = set()
        while (now_s := time.monotonic() - start) < seconds:
            for _ in range(int(now_s * rate) - seen.offered):
                task = asyncio.create_task(self.ask(seen))
                asking.add(task)
                task.add_done_callback(asking.discard)
                seen.offered += 1
            await asyncio.sleep(0.005)
        seen.seconds = time.monotonic() - start
        await asyncio.gather(*asking)
        return seen

    async def ask(self, seen: Seen) -> None:
        """One request, and what became of it."""
        self._number += 1
        data = json.dumps(self._body(self._number)).encode()
        head = (
            f"POST /v1/search HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
            f"x-timeout-ms: {int(self._deadline_s * 1000)}\r\ncontent-length: {len(data)}\r\n\r\n"
        )
        start = time.monotonic()
        try:
            async with asyncio.timeout(CLIENT_GIVES_UP_S):
                code = await self._exchange(head.encode() + data)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            code = 0
        seen.took_s.setdefault(code, []).append(time.monotonic() - start)

    async def _exchange(self, request: bytes) -> int:
        while self._idle and self._idle[-1][0].at_eof():  # the server has closed it
            self._idle.pop()[1].close()
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        )
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            [length] = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
            await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in lines:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(head[9:12])

    def close(self) -> None:
        """Closes the connections that are kept."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()
