"""The leanest HTTP client that will do: it shares a core with the responder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

CONNECTIONS = 8


async def answer_all(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> None:
    """Sends raw HTTP/1.1 requests over so many connections, each as soon as the last is
    answered. RuntimeError for an answer that is not 200."""
    waiting = iter(requests)
    await asyncio.gather(*(_connection(port, waiting) for _ in range(connections)))


async def _connection(port: int, waiting: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    for request in waiting:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"The gateway answered {body.decode()[:300]}")
    writer.close()
    await writer.wait_closed()


def raw(method: str, path: str, body: bytes | None, content_type: str) -> bytes:
    """A request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nhost: shop\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    head += f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
