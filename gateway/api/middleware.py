"""What happens to every HTTP request around its route: an id, a limit to its size, a count, and an
end when its client has gone."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.services.gateway import Gateway
from gateway.telemetry.request_record import NO_ROUTE
from gateway.telemetry.requests_seen import CLIENT_GONE, REQUEST_ID, RequestsSeen, sane_id

# A phone on a bad line sends its picture within this; a client that means ill would take for ever.
BODY_TIMEOUT_S = 30.0
# What balancers and Prometheus ask every few seconds.
PROBES = ("/health/live", "/health/ready", "/metrics")

# Nothing that the API answers is a page, and no browser shall guess that it were one.
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_CSP = b"content-security-policy"
_NO_PAGE = b"default-src 'none'; frame-ancestors 'none'"
# FastAPI's page of the API: a script of its own, the rest from this host and file.
_DOCS = (
    b"default-src 'none'; frame-ancestors 'none'; connect-src 'self'; "
    b"script-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"img-src 'self' data: https://fastapi.tiangolo.com"
)


class RequestContext:
    """Gives the request an id, which the answer says, and has it counted, timed, logged and traced.
    Adds the headers that keep browsers from mischief; a page that brings its own policy keeps it.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._requests = RequestsSeen(gateway.metrics, gateway.tracer)
        self._readiness = gateway.readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        scope["request_id"] = request_id = sane_id(asked.get(REQUEST_ID))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = list(message.get("headers", ()))
                headers += (*_SAFE, (REQUEST_ID.encode(), request_id.encode()))
                if all(name != _CSP for name, _ in headers):
                    headers.append((_CSP, _DOCS if scope["path"] == "/docs" else _NO_PAGE))
                if self._readiness.draining:
                    # So that no request is sent on a connection that is about to be closed.
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            await send(message)

        with self._requests.request(asked, request_id, scope["path"] in PROBES) as record:
            try:
                await self._app(scope, receive, send_with_id)
            except asyncio.CancelledError:
                record.status = CLIENT_GONE
                raise
            finally:
                record.route = _route(scope)


def _route(scope: Scope) -> str:
    """`GET /v1/search`. A method or path that is not ours must not become a name in the metrics."""
    route, method = scope.get("route"), scope["method"]
    if route is None or method not in (route.methods or ()):
        return NO_ROUTE
    return f"{method} {route.path}"


class ClientGone:
    """Ends a request whose client has gone: what it waits for is cancelled, and its slot is free.

    Servers tell of it only when they are asked for more of the request, so somebody must ask.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        watched = _WatchedRequest(task, receive, send)
        if not _has_body(scope):
            await watched.begin()
        try:
            await self._app(scope, watched.receive, watched.send)
        except asyncio.CancelledError:
            if not watched.gone.is_set():
                raise
            task.uncancel()
        finally:
            watched.end()


class _WatchedRequest:
    """`receive` and `send` of one request. When its body has come, a task waits for the end."""

    def __init__(self, task: asyncio.Task[object], receive: Receive, send: Send) -> None:
        self.gone = asyncio.Event()
        self._task = task
        self._receive = receive
        self._send = send
        self._first: Message | None = None
        self._answered = False
        self._watcher: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Takes the whole of a request without a body, which no route asks for."""
        self._first = await self._next()

    async def receive(self) -> Message:
        """The request's next part; when all of it has come, the end."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._watcher is None:
            return await self._next()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Passes the answer on. Once it is complete, there is nothing to cancel any more."""
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._answered = True
        await self._send(message)

    def end(self) -> None:
        """The request has been dealt with."""
        self._answered = True
        if self._watcher is not None:
            self._watcher.cancel()

    async def _next(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._watcher = asyncio.create_task(self._watch())
        return message

    async def _watch(self) -> None:
        await self._receive()  # nothing but the end can come
        self.gone.set()
        if not self._answered:
            self._task.cancel()


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


class BodyLimit:
    """Refuses a body over `max_bytes`: by its declared length, or as soon as it is longer. One that
    has not come after BODY_TIMEOUT_S is not waited for."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        taken = 0
        give_up_at = asyncio.get_running_loop().time() + BODY_TIMEOUT_S

        async def receive_counted() -> Message:
            nonlocal taken
            try:
                async with asyncio.timeout_at(give_up_at):
                    message = await receive()
            except TimeoutError as exc:
                raise HTTPException(408, "The request's body did not come in time") from exc
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._max_bytes or int(declared) > self._max_bytes:
                    raise HTTPException(
                        413, f"The request's body is over {self._max_bytes:,} bytes"
                    )
            return message

        await self._app(scope, receive_counted, send)
