"""What happens to every HTTP request before a route sees it: an id, a size limit, a count."""

from __future__ import annotations

import re
import time
import uuid

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.telemetry import Metrics

# A caller's own id is kept if it is harmless in a log line.
_SANE_ID = re.compile(rb"[A-Za-z0-9._:/-]{1,128}")


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
    """Gives the request an id, counts it and times it, and says its id in the answer, with the
    headers that keep browsers from mischief. A page that brings its own policy keeps it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["request_id"] = request_id = _request_id(scope)
        status = 500
        start = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                headers += (*_SAFE, (b"x-request-id", request_id.encode()))
                if all(name != _CSP for name, _ in headers):
                    headers.append((_CSP, _DOCS if scope["path"] == "/docs" else _NO_PAGE))
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, f"{status // 100}xx").inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - start)


class BodyLimit:
    """Refuses a body over `max_bytes`: by its declared length, or as soon as it is longer."""

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

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                if taken > self._max_bytes or int(declared) > self._max_bytes:
                    raise HTTPException(
                        413, f"The request's body is over {self._max_bytes:,} bytes"
                    )
            return message

        await self._app(scope, receive_counted, send)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return uuid.uuid4().hex
