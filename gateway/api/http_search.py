"""`/v1/search` in its three forms, and "more like this"."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Header, Query, UploadFile
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.direct_route import DirectRoute
from gateway.api.documented import answers, problems
from gateway.api.request_parts import SearchHeaders, json_response, request_id
from gateway.api.schemas import fault_of
from gateway.api.search_answers import SearchOut, answer
from gateway.api.search_schemas import OptionsIn, SearchIn
from gateway.domain.errors import BadFilter, InvalidQuery
from gateway.domain.query import (
    MAX_LIMIT,
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
    route_class=DirectRoute,
    responses=answers(SearchOut) | problems(401, 403, 404, 422, 429, 503, 504),
)

Headers = Annotated[SearchHeaders, Header()]


class PageIn(BaseModel):
    """Which part of the ranking is answered."""

    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    offset: int = Field(0, ge=0)


class WordsIn(PageIn):
    """A search by words, as a link holds it."""

    q: str = Field(min_length=1, description="Words.", examples=["red shoe"])
    mode: Mode = Mode.AUTO


class PictureIn(PageIn):
    """A search by an uploaded picture: a form."""

    image: UploadFile = Field(description="The picture's file.")
    text: str | None = Field(None, description="Words to go with it.")
    crop: str | None = Field(None, description="left,top,right,bottom as fractions from 0 to 1.")
    mode: Mode = Mode.AUTO
    filter: str | None = Field(None, description="A filter, as JSON.")
    min_score: float | None = Field(None, ge=-1, le=1)
    fields: str | None = Field(None, description="Names, with commas between.")
    fusion: Fusion = Fusion.RRF
    weights: str | None = Field(None, description="Weights of the legs, as JSON.")
    strategy: Strategy = Strategy.WEIGHTED_SUM
    rescore: bool = False
    diversity: float = Field(0.0, ge=0, le=1)
    boosts: str | None = Field(None, description="A list of boosts, as JSON.")
    group_by: str | None = None
    scores: bool = False
    return_query: bool = False
    facets: str | None = Field(None, description="Names, with commas between.")

    async def to_domain(self) -> DomainQuery:
        """The query as the domain knows it; InvalidQuery or BadFilter for JSON or a crop that is
        none."""
        parts: list[ImagePart | TextPart] = [
            ImagePart(await self.image.read(), crop=_crop(self.crop))
        ]
        if self.text:
            parts.append(TextPart(self.text))
        options = self.model_dump(exclude={"image", "text", "crop"})
        options |= {
            "filter": _json(self.filter, "filter"),
            "fields": _names(self.fields),
            "weights": _json(self.weights, "weights"),
            "boosts": [] if self.boosts is None else _json(self.boosts, "boosts"),
            "facets": _names(self.facets) or [],
        }
        return _options(options).query_of(tuple(parts))


@router.post("/search", responses=problems(400, 409, 413))
async def search(request: Request, headers: Headers, body: SearchIn) -> Response:
    """Searches by words, pictures, items, vectors, or several of them at once."""
    return await _answer(request, headers, body.to_domain())


@router.get("/search")
async def search_by_words(
    request: Request, headers: Headers, asked: Annotated[WordsIn, Query()]
) -> Response:
    """Searches by words: for curl, and for links."""
    parts = (TextPart(asked.q),)
    query = DomainQuery(parts, mode=asked.mode, limit=asked.limit, offset=asked.offset)
    return await _answer(request, headers, query)


@router.post("/search/image", responses=problems(400, 413))
async def search_by_picture(
    request: Request,
    headers: Headers,
    form: Annotated[PictureIn, Form(media_type="multipart/form-data")],
) -> Response:
    """Searches by an uploaded picture, and words with it if there are any. The other values are
    those of `POST /v1/search`."""
    return await _answer(request, headers, await form.to_domain())


@router.get("/items/{item_id:path}/similar")
async def similar(
    item_id: str, request: Request, headers: Headers, page: Annotated[PageIn, Query()]
) -> Response:
    """More like this item, without the item itself. Needs no model."""
    query = DomainQuery(
        (ItemPart(item_id),), limit=page.limit, offset=page.offset, exclude_items=(item_id,)
    )
    return await _answer(request, headers, query)


async def _answer(request: Request, headers: SearchHeaders, query: DomainQuery) -> Response:
    gateway: Gateway = request.app.state.gateway
    result = await gateway.search.search(query, headers.deadline(gateway), headers.caller())
    timing = ", ".join(f"{name};dur={s * 1000:.2f}" for name, s in result.timings.items())
    more = {"Server-Timing": timing} if timing else None
    return json_response(answer(result, request_id(request)), headers=more)


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
