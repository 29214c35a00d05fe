"""Which scope a call needs, over both edges, and where its key stands.

These two tables are the whole of it: a route or a method that is not in them is not served.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.access import Scope
from gateway.services.access import Access

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_PREFIX = "bearer "

ROUTES: Mapping[tuple[str, str], Scope] = {
    ("POST", "/v1/search"): Scope.SEARCH,
    ("GET", "/v1/search"): Scope.SEARCH,
    ("POST", "/v1/search/image"): Scope.SEARCH,
    ("GET", "/v1/items/{item_id:path}/similar"): Scope.SEARCH,
    ("GET", "/v1/items/{item_id:path}"): Scope.SEARCH,
    ("GET", "/v1/pictures/{item_id:path}"): Scope.SEARCH,
    ("PUT", "/v1/items/{item_id:path}"): Scope.WRITE,
    ("DELETE", "/v1/items/{item_id:path}"): Scope.WRITE,
    ("POST", "/v1/items/batch"): Scope.WRITE,
    ("POST", "/v1/embeddings"): Scope.SEARCH,
    ("GET", "/v1/releases/active"): Scope.SEARCH,
    ("GET", "/v1/releases"): Scope.ADMIN,
    ("GET", "/v1/releases/{release_id}"): Scope.ADMIN,
    ("POST", "/v1/releases/{release_id}/build"): Scope.ADMIN,
    ("DELETE", "/v1/releases/{release_id}/build"): Scope.ADMIN,
    ("POST", "/v1/releases/{release_id}/activate"): Scope.ADMIN,
    ("POST", "/v1/releases/rollback"): Scope.ADMIN,
    ("PUT", "/v1/releases/trial"): Scope.ADMIN,
    ("DELETE", "/v1/releases/trial"): Scope.ADMIN,
    ("DELETE", "/v1/releases/{release_id}"): Scope.ADMIN,
}

METHODS: Mapping[str, Scope] = {
    "Search": Scope.SEARCH,
    "SearchStream": Scope.SEARCH,
    "Embed": Scope.SEARCH,
    "GetItem": Scope.SEARCH,
    "UpsertItems": Scope.WRITE,
    "DeleteItems": Scope.WRITE,
}

SECURITY_SCHEME = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of the needed scope, where the gateway was started with keys.",
    }
}


class GuardedRoute(APIRoute):
    """A route that looks at the caller's key, and for room, before it reads the body."""

    def get_route_handler(self) -> Handler:
        """The handler behind the doorkeeper; LookupError for a route without a scope."""
        inner = self.inner_handler()
        [method] = sorted(self.methods or ())
        scope = ROUTES.get((method, self.path))
        if scope is None:
            raise LookupError(f"gateway.api.auth does not say which scope {method} {self.path} has")
        searches = method == "POST" and scope is Scope.SEARCH
        self.openapi_extra = {"security": [{"key": []}]} | (self.openapi_extra or {})

        async def guarded(request: Request) -> Response:
            access: Access = request.app.state.access
            access.require(scope, bearer(request.headers.get("authorization")))
            if searches:
                # A refusal must stay cheap where a body may be ten megabytes.
                request.app.state.gateway.search.require_room()
            return await inner(request)

        return guarded

    def inner_handler(self) -> Handler:
        """FastAPI's own."""
        return super().get_route_handler()


def bearer(header: str | None) -> str | None:
    """The key in an `authorization` header or metadata entry, if it has one."""
    if header is None or not header.lower().startswith(_PREFIX):
        return None
    return header[len(_PREFIX) :].strip()
