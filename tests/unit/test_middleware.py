"""A body that does not come is not waited for; a client that is there is never taken for gone."""

from __future__ import annotations

import asyncio

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from gateway.api import middleware
from gateway.api.middleware import BodyLimit, ClientGone

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
WITH_BODY: Scope = {**SCOPE, "headers": [(b"content-length", b"4")]}


class Client:
    """What a server hears and says for one client. `left` ends the connection."""

    def __init__(self, *parts: bytes) -> None:
        last = len(parts) - 1
        self.parts: list[Message] = [
            {"type": "http.request", "body": part, "more_body": n < last}
            for n, part in enumerate(parts)
        ]
        self.left = asyncio.Event()
        self.heard: list[Message] = []

    async def receive(self) -> Message:
        if self.parts:
            return self.parts.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.heard.append(message)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body)(scope, receive, send)


async def test_a_body_is_passed_on_whole() -> None:
    client = Client(b"ab", b"cd")
    await ClientGone(echo)(WITH_BODY, client.receive, client.send)
    assert client.heard[-1]["body"] == b"abcd"


async def test_a_request_without_a_body_may_be_read_or_not() -> None:
    client = Client(b"")
    await ClientGone(echo)(SCOPE, client.receive, client.send)
    assert client.heard[0]["status"] == 200


async def test_an_answer_that_streams_is_not_cut_short_by_a_watcher() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(iter(["a", "b", "c"]))(scope, receive, send)

    client = Client(b"")
    await ClientGone(app)(SCOPE, client.receive, client.send)
    assert b"".join(m.get("body", b"") for m in client.heard) == b"abc"


async def test_a_client_that_goes_ends_the_work_and_not_the_server() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    client = Client(b"")
    request = asyncio.create_task(ClientGone(app)(SCOPE, client.receive, client.send))
    await started.wait()
    client.left.set()
    await asyncio.wait_for(request, 1.0)  # as if it had been answered: no error, no cancellation
    assert ended.is_set()
    assert not client.heard


async def test_a_server_that_stops_is_not_taken_for_a_client_that_goes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    client = Client(b"")
    request = asyncio.create_task(ClientGone(app)(SCOPE, client.receive, client.send))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request


async def test_a_client_that_goes_after_its_answer_cuts_nothing_short() -> None:
    tidied = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("done")(scope, receive, send)
        client.left.set()
        await asyncio.sleep(0.01)  # what is done after an answer
        tidied.set()

    client = Client(b"")
    await ClientGone(app)(SCOPE, client.receive, client.send)
    assert tidied.is_set()


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_TIMEOUT_S", 0.05)
    client = Client(b"ab")
    client.parts[0]["more_body"] = True
    with pytest.raises(HTTPException) as caught:
        await BodyLimit(echo, 100)(WITH_BODY, client.receive, client.send)
    assert caught.value.status_code == 408
