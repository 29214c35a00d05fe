"""`/v1/pictures`: the catalogue's pictures, for pages that show them.

The item's id is the whole rest of the path, because it may hold slashes; which of its pictures, and
how wide, stands in the query.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.auth import GuardedRoute
from gateway.api.documented import problems
from gateway.api.request_parts import GatewayOf, ReadDeadline
from gateway.services.catalog import MAX_PICTURES
from gateway.services.item_pictures import DEFAULT_SIDE_PX, MEDIA_TYPE, SIDES_PX

router = APIRouter(
    prefix="/v1/pictures",
    tags=["items"],
    route_class=GuardedRoute,
    responses=problems(401, 403, 404, 413, 422, 429, 503, 504),
)

# An hour without a question; then the ETag says whether anything is new.
KEPT = "max-age=3600, stale-while-revalidate=86400"
# The picture is newer than the index: ask again until both agree.
ASK_AGAIN = "no-cache"


@router.get(
    "/{item_id:path}",
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "The picture, as WebP."},
        304: {"description": "The one that the caller has is still right."},
    },
    response_class=Response,
)
async def read(
    item_id: str,
    request: Request,
    gateway: GatewayOf,
    deadline: ReadDeadline,
    number: Annotated[
        int, Query(ge=0, lt=MAX_PICTURES, description="Which of the item's pictures, from 0.")
    ] = 0,
    width: Annotated[
        int, Query(description=f"Most pixels a side: {', '.join(map(str, SIDES_PX))}.")
    ] = DEFAULT_SIDE_PX,
    if_none_match: Annotated[
        str | None, Header(description="The ETag of the picture that the caller has.")
    ] = None,
) -> Response:
    """One of an item's pictures, scaled down; on white where it was transparent."""
    thumbnail = await gateway.pictures.thumbnail(item_id, number, width, deadline)
    etag = f'"{thumbnail.version}"'
    headers = {
        "ETag": etag,
        "Cache-Control": f"{_whose(request)}, {KEPT}" if thumbnail.as_indexed else ASK_AGAIN,
    }
    if if_none_match is not None and names(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(thumbnail.data, headers=headers, media_type=MEDIA_TYPE)


def names(if_none_match: str, etag: str) -> bool:
    """Whether an `If-None-Match` header holds `etag`; weak or strong is the same here (RFC 9110,
    13.1.2)."""
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag.removeprefix("W/") in held or "*" in held


def _whose(request: Request) -> str:
    """What was shown to a key is not for a cache that others ask."""
    return "private" if "authorization" in request.headers else "public"
