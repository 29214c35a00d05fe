"""A balancer in a hundred lines: it asks who is ready, and sends each request to one who is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx

LOOK_S = 0.2
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Balancer:
    """HTTP/1.1 on `port`, one request after the other on a connection, to `upstreams` in turn.

    Connections to them are kept and used again. A request is sent once: it goes to another one
    only if its connection was refused, when nothing has been sent yet.
    """

    def __init__(self, upstreams: Sequence[str]) -> None:
        self.port = 0
        self.ready: set[str] = set()
        self.changed = asyncio.Condition()
        self._upstreams = upstreams
        self._turn = itertools.count()
        self._kept: dict[str, list[Connection]] = {url: [] for url in upstreams}
        self._tasks: set[asyncio.Task[None]] = set()

    async def until(self, url: str, *, ready: bool) -> None:
        """Returns when it has been seen that this one is, or is not."""
        async with self.changed, asyncio.timeout(60):
            await self.changed.wait_for(lambda: (url in self.ready) == ready)

    async def look(self) -> None:
        """Asks all of them, again and again."""
        async with httpx.AsyncClient(timeout=2.0) as client:
            while True:
                for url in self._upstreams:
                    try:
                        ready = (await client.get(f"{url}/health/ready")).status_code == 200
                    except httpx.HTTPError:
                        ready = False
                    async with self.changed:
                        (self.ready.add if ready else self.ready.discard)(url)
                        self.changed.notify_all()
                await asyncio.sleep(LOOK_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                request = await _message(reader)
                writer.write(await self._answer(request))
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # the client has gone, or could not be answered: it sees its connection close
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, request: bytes) -> bytes:
        url, (reader, writer) = await self._connection()
        try:
            writer.write(request)
            answer = await _message(reader)
        except BaseException:
            writer.close()
            raise
        if b"connection: close" in answer.lower():
            writer.close()
        else:
            self._kept[url].append((reader, writer))
        return answer

    async def _connection(self) -> tuple[str, Connection]:
        for _ in range(10 * len(self._upstreams)):
            ready = sorted(self.ready)
            url = ready[next(self._turn) % len(ready)]
            while self._kept[url]:
                reader, writer = self._kept[url].pop()
                if not reader.at_eof():
                    return url, (reader, writer)
                writer.close()
            host, port = url.removeprefix("http://").split(":")
            try:
                return url, await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                continue
        raise ConnectionRefusedError("nobody answers")

    def close(self) -> None:
        """Closes all connections."""
        for task in self._tasks:
            task.cancel()
        for _, writer in itertools.chain.from_iterable(self._kept.values()):
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(line[15:])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    return head + await reader.readexactly(lengths[0] if lengths else 0)


@asynccontextmanager
async def balancer_before(upstreams: Sequence[str]) -> AsyncIterator[Balancer]:
    """A running one."""
    balancer = Balancer(upstreams)
    server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
    balancer.port = server.sockets[0].getsockname()[1]
    looking = asyncio.create_task(balancer.look())
    try:
        yield balancer
    finally:
        looking.cancel()
        balancer.close()
        server.close()
