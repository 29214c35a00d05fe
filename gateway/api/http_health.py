"""For balancers and Prometheus."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from gateway.api.request_parts import GatewayOf, json_response

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> Response:
    """200 while the process runs."""
    return json_response({"live": True})


@router.get("/health/ready", responses={503: {"description": "Not ready, and why."}})
async def ready(gateway: GatewayOf) -> Response:
    """200 when a search would be answered rightly: store, guard and both towers have been tried.
    Otherwise 503 with the reason."""
    state = await gateway.readiness.check()
    return json_response(asdict(state), 200 if state.ready else 503)


@router.get(
    "/metrics", responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}}, response_class=Response
)
async def metrics(gateway: GatewayOf) -> Response:
    """Prometheus's text format."""
    return Response(generate_latest(gateway.metrics.registry), media_type=CONTENT_TYPE_LATEST)
