"""The HTTP edge: routes, limits, errors. No logic of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

import gateway as package
from gateway.api import (
    documented,
    http_embeddings,
    http_health,
    http_items,
    http_pictures,
    http_releases,
    http_search,
    http_storefront,
    problems,
)
from gateway.api.auth import SECURITY_SCHEME
from gateway.api.middleware import BodyLimit, ClientGone, RequestContext
from gateway.services.access import Access
from gateway.services.gateway import Gateway

# A query may carry several pictures as base64, which is a third longer than the pictures.
BODY_TO_PICTURE = 2


EVERYBODY = Access()


def create_app(
    gateway: Gateway,
    max_picture_bytes: int,
    access: Access = EVERYBODY,
    cors_origins: Sequence[str] = (),
) -> FastAPI:
    """The ASGI application over `gateway`'s services. `access` knows the keys; pages of
    `cors_origins` may call it from a browser."""
    app = FastAPI(
        title="Lookalike",
        summary="Reverse image search for shops.",
        version=package.__version__,
        redoc_url=None,
    )
    app.state.gateway = gateway
    app.state.access = access
    problems.install(app)
    documented.install(app)
    for module in (
        http_search,
        http_items,
        http_embeddings,
        http_releases,
        http_health,
        http_pictures,
        http_storefront,
    ):
        app.include_router(module.router)
    app.include_router(http_releases.admin)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Retry-After", "Server-Timing", "X-Request-Id"],
        )
    app.add_middleware(BodyLimit, max_bytes=max_picture_bytes * BODY_TO_PICTURE)
    app.add_middleware(RequestContext, gateway=gateway)
    app.add_middleware(ClientGone)
    _document_keys(app)
    return app


def _document_keys(app: FastAPI) -> None:
    """The API's description says where keys go; FastAPI adds this for its own dependencies only,
    which would look at the key after the body was read."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        document = describe()
        components: dict[str, Any] = document.setdefault("components", {})
        components["securitySchemes"] = SECURITY_SCHEME
        return document

    app.openapi = described  # type: ignore[method-assign] # FastAPI's documented way
