"""A TCP proxy that does to connections what networks do."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

CHUNK_BYTES = 64 * 1024
LATENCY_S = (0.05, 0.15)
TRICKLE_BYTES = 2_000
TRICKLE_PAUSE_S = 0.02  # 100 kB/s
SLICE_BYTES = 7


class Fault(Enum):
    """What is wrong with the way to the server."""

    NONE = "none"
    LATENCY = "50 to 150 ms more each way"
    TRICKLE = "100 kB/s"
    SLICES = "bytes come in sevens"
    RESET = "every connection is reset"
    REFUSE = "connections are refused"
    BLACK_HOLE = "nothing comes through, nothing is closed"
    HALF_OPEN = "connections from before are dead, new ones work"
    GARBAGE = "answers are random bytes"


class FaultProxy:
    """Stands on `port` before the server on `target`. Made by `proxy_to`; see `set`."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._fault = Fault.NONE
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._random = random.Random(6)

    async def set(self, fault: Fault) -> None:
        """From now on, for connections that are open as well as for new ones."""
        async with self._changed:
            self._fault = fault
            self._changed.notify_all()
        if fault is Fault.HALF_OPEN:
            self._dead |= self._writers
        if fault in (Fault.RESET, Fault.REFUSE):
            self._reset_all()
        if fault is Fault.REFUSE:
            await self._stop_listening()
        elif self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self) -> None:
        """Ends every connection."""
        await self._stop_listening()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _reset_all(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        self._writers.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self._fault is Fault.RESET:
                _reset(writer)
                return
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(upstream)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, upstream, writer))
                group.create_task(self._pump(answers, writer, writer, answer=True))
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # what the proxy is for; asyncio's streams log a cancelled handler as a fault
        finally:
            self._connections.discard(task)
            for one in (writer, upstream):
                if one is not None:
                    self._writers.discard(one)
                    self._dead.discard(one)
                    one.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        connection: asyncio.StreamWriter,
        *,
        answer: bool = False,
    ) -> None:
        while data := await source.read(CHUNK_BYTES):
            async for piece in self._disturbed(data, answer):
                if connection in self._dead:
                    continue
                sink.write(piece)
                await sink.drain()
        raise ConnectionResetError  # one side has closed: so does the other

    async def _disturbed(self, data: bytes, answer: bool) -> AsyncIterator[bytes]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._fault is not Fault.BLACK_HOLE)
        match self._fault:
            case Fault.LATENCY:
                await asyncio.sleep(self._random.uniform(*LATENCY_S))
                yield data
            case Fault.TRICKLE:
                for start in range(0, len(data), TRICKLE_BYTES):
                    await asyncio.sleep(TRICKLE_PAUSE_S)
                    yield data[start : start + TRICKLE_BYTES]
            case Fault.SLICES:
                for start in range(0, len(data), SLICE_BYTES):
                    await asyncio.sleep(0)
                    yield data[start : start + SLICE_BYTES]
            case Fault.GARBAGE if answer:
                yield self._random.randbytes(len(data))
            case _:
                yield data


def _reset(writer: asyncio.StreamWriter) -> None:
    """Closes with RST, as a machine does that has forgotten the connection."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy_to(target: int) -> AsyncIterator[FaultProxy]:
    """A proxy without a fault before the server on this port of the loopback address."""
    proxy = FaultProxy(target)
    await proxy.set(Fault.NONE)
    try:
        yield proxy
    finally:
        await proxy.close()
