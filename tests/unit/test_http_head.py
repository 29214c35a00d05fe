"""A connection that says too little, or too much, before its request has begun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from gateway.api import http_head
from gateway.api.http_head import HeadLimits

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET / HTTP/1.1\r\nHost: shop\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers when the body has come."""
    await Request(scope, receive).body()
    await PlainTextResponse("here")(scope, receive, send)


@asynccontextmanager
async def connected() -> AsyncIterator[Connection]:
    """A connection to a server of uvicorn's with these limits."""
    config = uvicorn.Config(app, http=HeadLimits, lifespan="off", port=0)
    config.load()
    protocol = config.http_protocol_class
    state = uvicorn.Server(config).server_state
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}),  # type: ignore[call-arg] # as uvicorn does
        "127.0.0.1",
        0,
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


@pytest.fixture(name="soon")
def heads_must_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test does not wait for ten seconds."""
    monkeypatch.setattr(http_head, "HEAD_TIMEOUT_S", 0.1)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("said", [b"", b"G", REQUEST, REQUEST + b"Cookie: a"])
async def test_a_head_that_does_not_come_to_its_end_ends_the_connection(said: bytes) -> None:
    async with connected() as (reader, writer):
        writer.write(said)
        async with asyncio.timeout(10):
            assert await reader.read() == b""


@pytest.mark.usefixtures("soon")
async def test_the_second_request_of_a_connection_has_the_limit_too() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST + b"\r\n")
        assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HT")
        async with asyncio.timeout(10):
            assert await reader.read() == b""


@pytest.mark.usefixtures("soon")
async def test_a_body_may_take_its_time() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST + b"Content-Length: 2\r\n\r\n")
        await asyncio.sleep(0.2)  # longer than a head may take
        writer.write(b"ok")
        assert await reader.readuntil(b"here")


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    """One header that never ends."""
    writer.write(REQUEST + b"Cookie: ")
    while True:
        writer.write(b"x" * 1024)
        await writer.drain()


async def test_a_head_without_end_is_not_read_for_ever() -> None:
    async with connected() as (_, writer):
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(writer), 5.0)


async def test_a_head_of_a_browser_with_many_cookies_is_read() -> None:
    async with connected() as (reader, writer):
        writer.write(REQUEST + b"Cookie: " + b"x" * 16_000 + b"\r\n\r\n")
        assert await reader.readuntil(b"here")
