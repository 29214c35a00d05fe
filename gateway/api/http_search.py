"""`/v1/search` in its three forms, and "more like this"."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.auth import GuardedRoute
from gateway.api.documented import answers, problems
from gateway.api.request_parts import (
    CallerOf,
    GatewayOf,
    ReadDeadline,
    json_response,
    request_id,
)
from gateway.api.schemas import fault_of
from gateway.api.search_answers import SearchOut, answer
from gateway.api.search_schemas import OptionsIn, SearchIn
from gateway.domain.deadline import Deadline
from gateway.domain.errors import BadFilter, InvalidQuery
from gateway.domain.query import (
    MAX_LIMIT,
    Caller,
    Crop,
    Fusion,
    ImagePart,
    ItemPart,
    Mode,
    Strategy,
    TextPart,
)
from gateway.domain.query import Query as DomainQuery
from gateway.services.gateway import Gateway

router = APIRouter(
    prefix="/v1",
    tags=["search"],
    route_class=GuardedRoute,
    responses=answers(SearchOut) | problems(401, 403, 404, 422, 429, 503, 504),
)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Offset = Annotated[int, Query(ge=0)]


@router.post("/search", responses=problems(400, 409, 413))
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


@router.post("/search/image", responses=problems(400, 413))
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
    mode: Annotated[Mode, Form()] = Mode.AUTO,
    filter: Annotated[str | None, Form(description="A filter, as JSON.")] = None,
    limit: Annotated[int, Form(ge=1, le=MAX_LIMIT)] = 20,
    offset: Annotated[int, Form(ge=0)] = 0,
    min_score: Annotated[float | None, Form(ge=-1, le=1)] = None,
    fields: Annotated[str | None, Form(description="Names, with commas between.")] = None,
    fusion: Annotated[Fusion, Form()] = Fusion.RRF,
    weights: Annotated[str | None, Form(description="Weights of the legs, as JSON.")] = None,
    strategy: Annotated[Strategy, Form()] = Strategy.WEIGHTED_SUM,
    rescore: Annotated[bool, Form()] = False,
    diversity: Annotated[float, Form(ge=0, le=1)] = 0.0,
    boosts: Annotated[str | None, Form(description="A list of boosts, as JSON.")] = None,
    group_by: Annotated[str | None, Form()] = None,
    return_query: Annotated[bool, Form()] = False,
    facets: Annotated[str | None, Form(description="Names, with commas between.")] = None,
) -> Response:
    """Searches by an uploaded picture, and words with it if there are any. The other values are
    those of `POST /v1/search`."""
    parts: list[ImagePart | TextPart] = [ImagePart(await image.read(), crop=_crop(crop))]
    if text:
        parts.append(TextPart(text))
    options = _options(
        {
            "mode": mode,
            "filter": _json(filter, "filter"),
            "limit": limit,
            "offset": offset,
            "min_score": min_score,
            "fields": _names(fields),
            "fusion": fusion,
            "weights": _json(weights, "weights"),
            "strategy": strategy,
            "rescore": rescore,
            "diversity": diversity,
            "boosts": [] if boosts is None else _json(boosts, "boosts"),
            "group_by": group_by,
            "facets": _names(facets) or [],
            "return_query": return_query,
        }
    )
    return await _answer(request, gateway, options.query_of(tuple(parts)), deadline, caller)


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


def _names(text: str | None) -> list[str] | None:
    return None if text is None else text.split(",")


def _json(text: str | None, field: str) -> Any:  # noqa: ANN401 - whatever it says
    if text is None:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise InvalidQuery(f"{field} is no JSON: {exc}.", field=field) from exc


def _options(values: dict[str, Any]) -> OptionsIn:
    try:
        return OptionsIn.model_validate(values)
    except ValidationError as exc:
        field, detail = fault_of(exc)
        error = BadFilter if field.startswith("filter") else InvalidQuery
        raise error(detail, field=field) from exc
