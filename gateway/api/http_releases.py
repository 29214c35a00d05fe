"""`/v1/releases`: what answers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from gateway.api.request_parts import GatewayOf, json_response
from gateway.services.active_release import ActiveRelease
from gateway.services.encoder import IMAGE_INPUT, TEXT_INPUT

router = APIRouter(prefix="/v1/releases", tags=["releases"])


@router.get("/active")
async def active(gateway: GatewayOf) -> Response:
    """The active release, in the shape of KServe's model metadata, with what a search needs to
    know of it besides."""
    return json_response(_metadata(gateway.releases.active()))


def _metadata(active: ActiveRelease) -> dict[str, Any]:
    release = active.loaded.release
    image, text = release.image, release.text
    return {
        "name": release.id,
        "versions": ["1"],
        "platform": release.target,
        "inputs": [
            {
                "name": IMAGE_INPUT,
                "datatype": "UINT8",
                "shape": [-1, image.height_px, image.width_px, 3],
            },
            {"name": TEXT_INPUT, "datatype": "INT64", "shape": [-1, -1]},
        ],
        "outputs": [{"name": "vector", "datatype": "FP32", "shape": [-1, release.dim]}],
        "architecture": release.architecture,
        "precision": release.precision,
        "fingerprint": release.fingerprint,
        "context_length": text.context_length,
        "filterable_fields": dict(active.collection.fields),
    }
