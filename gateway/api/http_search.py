"""`/v1/search` in its three forms, and "more like this"."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.auth import GuardedRoute
from gateway.api.request_parts import (
    CallerOf,
    GatewayOf,
    ReadDeadline,
    json_response,
    request_id,
)
from gateway.api.schemas import FilterIn, SearchIn, answer, fault_of
from gateway.domain.deadline import Deadline
from gateway.domain.errors import BadFilter, InvalidQuery
from gateway.domain.filters import Filter
from gateway.domain.query import MAX_LIMIT, Caller, Crop, ImagePart, ItemPart, Mode, TextPart
from gateway.domain.query import Query as DomainQuery
from gateway.services.gateway import Gateway

router = APIRouter(prefix="/v1", tags=["search"], route_class=GuardedRoute)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Query(ge=0)]


@router.post("/search")
async def search(
    body: SearchIn, request: Request, gateway: GatewayOf, deadline: ReadDeadline, caller: CallerOf
) -> Response:
    """Searches by words, pictures, items, vectors, or several of them at once."""
    return await _answer(request, gateway, body.to_domain(), deadline, caller)


@router.get("/search")
async def search_by_words(
    request: Request,
    gateway: GatewayOf,
    deadline: ReadDeadline,
    caller: CallerOf,
    q: Annotated[str, Query(min_length=1, description="Words.", examples=["red shoe"])],
    limit: Limit = 20,
    offset: Offset = 0,
    mode: Mode = Mode.AUTO,
) -> Response:
    """Searches by words: for curl, and for links."""
    query = DomainQuery((TextPart(q),), mode=mode, limit=limit, offset=offset)
    return await _answer(request, gateway, query, deadline, caller)


@router.post("/search/image")
async def search_by_picture(
    request: Request,
    gateway: GatewayOf,
    deadline: ReadDeadline,
    caller: CallerOf,
    image: Annotated[UploadFile, File(description="The picture's file.")],
    text: Annotated[str | None, Form(description="Words to go with it.")] = None,
    crop: Annotated[
        str | None, Form(description="left,top,right,bottom as fractions from 0 to 1.")
    ] = None,
    filter: Annotated[str | None, Form(description="A filter, as JSON.")] = None,
    limit: Annotated[int, Form(ge=1, le=MAX_LIMIT)] = 20,
    offset: Annotated[int, Form(ge=0)] = 0,
    mode: Annotated[Mode, Form()] = Mode.AUTO,
    min_score: Annotated[float | None, Form(ge=-1, le=1)] = None,
    fields: Annotated[str | None, Form(description="Names, with commas between.")] = None,
) -> Response:
    """Searches by an uploaded picture, and words with it if there are any."""
    parts: list[ImagePart | TextPart] = [ImagePart(await image.read(), crop=_crop(crop))]
    if text:
        parts.append(TextPart(text))
    query = DomainQuery(
        parts=tuple(parts),
        mode=mode,
        filter=_filter(filter),
        limit=limit,
        offset=offset,
        min_score=min_score,
        fields=None if fields is None else tuple(fields.split(",")),
    )
    return await _answer(request, gateway, query, deadline, caller)


@router.get("/items/{item_id:path}/similar")
async def similar(
    item_id: str,
    request: Request,
    gateway: GatewayOf,
    deadline: ReadDeadline,
    caller: CallerOf,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Response:
    """More like this item, without the item itself. Needs no model."""
    query = DomainQuery((ItemPart(item_id),), limit=limit, offset=offset, exclude_items=(item_id,))
    return await _answer(request, gateway, query, deadline, caller)


async def _answer(
    request: Request, gateway: Gateway, query: DomainQuery, deadline: Deadline, caller: Caller
) -> Response:
    result = await gateway.search.search(query, deadline, caller)
    timing = ", ".join(f"{name};dur={s * 1000:.2f}" for name, s in result.timings.items())
    headers = {"Server-Timing": timing} if timing else None
    return json_response(answer(result, request_id(request)), headers=headers)


def _crop(text: str | None) -> Crop | None:
    if text is None:
        return None
    try:
        left, top, right, bottom = (float(number) for number in text.split(","))
    except ValueError as exc:
        raise InvalidQuery(
            "crop is four numbers with commas between: left,top,right,bottom.", field="crop"
        ) from exc
    return Crop(left, top, right, bottom)


def _filter(text: str | None) -> Filter | None:
    if text is None:
        return None
    try:
        return FilterIn.model_validate_json(text).to_domain()
    except ValidationError as exc:
        field, detail = fault_of(exc)
        raise BadFilter(detail, field=f"filter.{field}" if field else "filter") from exc
