"""The HTTP edge: routes, limits, errors. No logic of its own."""

from __future__ import annotations

from fastapi import FastAPI

import gateway as package
from gateway.api import (
    documented,
    http_embeddings,
    http_health,
    http_items,
    http_releases,
    http_search,
    problems,
)
from gateway.api.auth import AdminKey
from gateway.api.middleware import BodyLimit, RequestContext
from gateway.services.gateway import Gateway

# A query may carry several pictures as base64, which is a third longer than the pictures.
BODY_TO_PICTURE = 2


def create_app(gateway: Gateway, max_picture_bytes: int, admin_key: str | None = None) -> FastAPI:
    """The ASGI application over `gateway`'s services; without `admin_key` no call may change
    releases."""
    app = FastAPI(
        title="Lookalike",
        summary="Reverse image search for shops.",
        version=package.__version__,
        redoc_url=None,
    )
    app.state.gateway = gateway
    app.state.admin = AdminKey(admin_key)
    problems.install(app)
    documented.install(app)
    for module in (http_search, http_items, http_embeddings, http_releases, http_health):
        app.include_router(module.router)
    app.include_router(http_releases.admin)
    app.add_middleware(BodyLimit, max_bytes=max_picture_bytes * BODY_TO_PICTURE)
    app.add_middleware(RequestContext, metrics=gateway.metrics)
    return app
