"""Requests and answers as they travel, and their translation to the domain."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    model_validator,
)

from gateway.domain import filters
from gateway.domain.errors import InvalidQuery
from gateway.domain.items import Item, Location
from gateway.domain.query import (
    MAX_LIMIT,
    MAX_PARTS,
    Crop,
    ImagePart,
    ItemPart,
    Mode,
    Query,
    QueryPart,
    SearchResult,
    TextPart,
    VectorPart,
)

DATA_URI = re.compile(r"data:[^;,]*(;[^;,]*)*;base64,", re.ASCII)


class Strict(BaseModel):
    """Unknown members are refused: a misspelt one must not be ignored silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PartIn(Strict):
    """One part of a query: exactly one of text, image, item, vector."""

    text: str | None = Field(None, description="Words.", examples=["red shoe"])
    image: str | None = Field(None, description="A picture: base64, or a base64 data URI.")
    item: str | None = Field(None, description="An item's id: more like this.")
    vector: list[float] | None = Field(None, description="A raw vector of the active release.")
    weight: float = Field(1.0, allow_inf_nan=False, description="Negative: less like this.")
    crop: tuple[float, float, float, float] | None = Field(
        None, description="With image: left, top, right, bottom as fractions from 0 to 1."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> PartIn:
        kinds = ("text", "image", "item", "vector")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(kinds)}")
        if self.crop is not None and self.image is None:
            raise ValueError("crop goes with image")
        return self

    def to_domain(self, at: str) -> QueryPart:
        """The part as the domain knows it; InvalidQuery if the image is not base64."""
        if self.text is not None:
            return TextPart(self.text, self.weight)
        if self.item is not None:
            return ItemPart(self.item, self.weight)
        if self.vector is not None:
            return VectorPart(tuple(self.vector), self.weight)
        crop = None if self.crop is None else Crop(*self.crop)
        return ImagePart(picture_bytes(self.image or "", f"{at}.image"), self.weight, crop)


class MatchIn(Strict):
    """Qdrant's `match`: exactly one of value, any, text."""

    value: StrictStr | StrictBool | StrictInt | None = None
    any: list[StrictStr] | list[StrictInt] | None = Field(None, min_length=1)
    text: StrictStr | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> MatchIn:
        if sum(x is not None for x in (self.value, self.any, self.text)) != 1:
            raise ValueError("give exactly one of value, any, text")
        return self


class RangeIn(Strict):
    """Qdrant's `range`: at least one bound."""

    gt: float | None = Field(None, allow_inf_nan=False)
    gte: float | None = Field(None, allow_inf_nan=False)
    lt: float | None = Field(None, allow_inf_nan=False)
    lte: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounded(self) -> RangeIn:
        if all(x is None for x in (self.gt, self.gte, self.lt, self.lte)):
            raise ValueError("give at least one of gt, gte, lt, lte")
        return self


class GeoPointIn(Strict):
    """Degrees (WGS 84)."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class GeoRadiusIn(Strict):
    """A circle; the radius is in metres."""

    center: GeoPointIn
    radius: float = Field(gt=0, allow_inf_nan=False)


class GeoBoxIn(Strict):
    """A box of degrees."""

    top_left: GeoPointIn
    bottom_right: GeoPointIn


class ConditionIn(Strict):
    """Qdrant's field condition: a key and exactly one test."""

    key: str
    match: MatchIn | None = None
    range: RangeIn | None = None
    geo_radius: GeoRadiusIn | None = None
    geo_bounding_box: GeoBoxIn | None = None

    @model_validator(mode="after")
    def _one_test(self) -> ConditionIn:
        tests = (self.match, self.range, self.geo_radius, self.geo_bounding_box)
        if sum(test is not None for test in tests) != 1:
            raise ValueError("give exactly one of match, range, geo_radius, geo_bounding_box")
        return self

    def to_domain(self) -> filters.Condition:
        """The condition as the domain knows it."""
        if self.match is not None:
            return _match(self.key, self.match)
        if self.range is not None:
            return filters.Range(
                self.key, self.range.gt, self.range.gte, self.range.lt, self.range.lte
            )
        if self.geo_radius is not None:
            centre = self.geo_radius.center
            return filters.GeoRadius(self.key, centre.lat, centre.lon, self.geo_radius.radius)
        assert self.geo_bounding_box is not None
        top_left, bottom_right = self.geo_bounding_box.top_left, self.geo_bounding_box.bottom_right
        return filters.GeoBox(
            self.key, top_left.lat, top_left.lon, bottom_right.lat, bottom_right.lon
        )


def _branch(value: object) -> str:
    """Which of the union's branches a condition means; decides whose complaints are shown."""
    keys = value.keys() if isinstance(value, dict) else set(getattr(value, "model_fields_set", ()))
    return "nested-filter" if keys & {"must", "should", "must_not"} else "condition"


class FilterIn(Strict):
    """Qdrant's filter: all of must, one of should, none of must_not; filters nest."""

    must: list[ClauseIn] = Field(default=[], max_length=100)
    should: list[ClauseIn] = Field(default=[], max_length=100)
    must_not: list[ClauseIn] = Field(default=[], max_length=100)

    def to_domain(self) -> filters.Filter:
        """The filter as the domain knows it."""
        return filters.Filter(
            must=tuple(c.to_domain() for c in self.must),
            should=tuple(c.to_domain() for c in self.should),
            must_not=tuple(c.to_domain() for c in self.must_not),
        )


ClauseIn = Annotated[
    Annotated[ConditionIn, Tag("condition")] | Annotated[FilterIn, Tag("nested-filter")],
    Discriminator(_branch),
]
FilterIn.model_rebuild()


class SearchIn(Strict):
    """One search."""

    query: list[PartIn] = Field(min_length=1, max_length=MAX_PARTS)
    mode: Mode = Mode.AUTO
    filter: FilterIn | None = None
    limit: int = Field(20, ge=1, le=MAX_LIMIT)
    offset: int = Field(0, ge=0)
    min_score: float | None = Field(
        None, ge=-1, le=1, description="Least cosine of a hit to the query's vector."
    )
    fields: list[str] | None = Field(None, description="Item fields to return; all if unset.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": [{"text": "red shoe"}],
                    "filter": {"must": [{"key": "price", "range": {"lte": 80}}]},
                    "limit": 5,
                }
            ]
        }
    )

    def to_domain(self) -> Query:
        """The query as the domain knows it; InvalidQuery for an image that is not base64."""
        return Query(
            parts=tuple(p.to_domain(f"query[{n}]") for n, p in enumerate(self.query)),
            mode=self.mode,
            filter=None if self.filter is None else self.filter.to_domain(),
            limit=self.limit,
            offset=self.offset,
            min_score=self.min_score,
            fields=None if self.fields is None else tuple(self.fields),
        )


class LocationIn(Strict):
    """Degrees (WGS 84)."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


AttributeIn = StrictBool | StrictInt | Annotated[float, Field(allow_inf_nan=False)] | StrictStr


class ItemBody(Strict):
    """What the shop says of an item."""

    title: str = Field(min_length=1, max_length=1_000, examples=["Red leather shoe"])
    pictures: list[str] = Field(
        min_length=1, max_length=100, description="Paths or http(s) addresses."
    )
    description: str = Field("", max_length=20_000)
    category: str = Field("", max_length=1_000)
    brand: str = Field("", max_length=1_000)
    price: float | None = Field(None, ge=0, allow_inf_nan=False)
    attributes: dict[str, AttributeIn | list[AttributeIn]] = Field({}, max_length=200)
    location: LocationIn | None = None

    def to_domain(self, item_id: str) -> Item:
        """The item as the domain knows it."""
        place = self.location
        return Item(
            id=item_id,
            title=self.title,
            pictures=tuple(self.pictures),
            description=self.description,
            category=self.category,
            brand=self.brand,
            price=self.price,
            attributes={
                k: tuple(v) if isinstance(v, list) else v for k, v in self.attributes.items()
            },
            location=None if place is None else Location(place.lat, place.lon),
        )


class ItemIn(ItemBody):
    """An item with its id."""

    id: str = Field(min_length=1, max_length=256, examples=["sku-42"])


class BatchIn(Strict):
    """Several changes; each is answered by itself."""

    upsert: list[ItemIn] = Field([], max_length=1_000)
    delete: list[str] = Field([], max_length=1_000)


class ItemStatus(BaseModel):
    """What became of one item of a batch."""

    id: str
    status: Literal["indexed", "deleted", "absent", "failed"]
    embedded: int = 0
    skipped_pictures: list[str] = []
    problem: dict[str, Any] | None = None


def fault_of(exc: ValidationError) -> tuple[str, str]:
    """The first fault that pydantic found: the field's path, such as `must[0].match`, and why."""
    fault = exc.errors(include_url=False, include_context=False)[0]
    return path_of(fault["loc"]), fault["msg"]


def path_of(loc: Sequence[str | int]) -> str:
    """`("query", 0, "text")` as `query[0].text`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in _UNION_TAGS:
            path += f".{part}" if path else part
    return path


# pydantic puts the chosen branch of a union into the path; it is no part of the request.
_UNION_TAGS = frozenset({"condition", "nested-filter"})


def answer(result: SearchResult, request_id: str) -> dict[str, Any]:
    """A search's answer, ready for JSON."""
    return {
        "hits": [
            {"id": hit.item_id, "score": hit.score, "picture": hit.picture, "item": hit.item}
            for hit in result.hits
        ],
        "release": result.release,
        "mode": result.mode,
        "degraded": result.degraded,
        "request_id": request_id,
        "timings": dict(result.timings),
    }


def _match(key: str, match: MatchIn) -> filters.Condition:
    if match.text is not None:
        return filters.MatchText(key, match.text)
    if match.any is not None:
        return filters.MatchAny(key, tuple(match.any))  # type: ignore[arg-type] # one of both lists
    assert match.value is not None
    return filters.MatchValue(key, match.value)


def picture_bytes(text: str, field: str) -> bytes:
    """The bytes of base64 or of a base64 data URI."""
    head = DATA_URI.match(text)
    body = text[head.end() :] if head else text
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidQuery(
            "The image is neither base64 nor a base64 data URI. To send a file as it is, use "
            "POST /v1/search/image.",
            field=field,
        ) from exc
