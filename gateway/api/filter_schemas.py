"""Filters as they travel: Qdrant's own JSON, and its translation to the domain."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated

from pydantic import (
    Discriminator,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
    model_validator,
)

from gateway.api.schemas import Strict
from gateway.domain import filters

# What the index stores a whole number as.
Int64 = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
MOST = 1e300


class MatchIn(Strict):
    """Qdrant's `match`: exactly one of value, any, text."""

    value: StrictStr | StrictBool | Int64 | None = None
    any: list[StrictStr] | list[Int64] | None = Field(None, min_length=1, max_length=1_000)
    text: StrictStr | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> MatchIn:
        if sum(x is not None for x in (self.value, self.any, self.text)) != 1:
            raise ValueError("give exactly one of value, any, text")
        return self


def _bound(value: object) -> float | datetime:
    if isinstance(value, str):
        return filters.moment(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise ValueError("a bound is a number or a date")
    if abs(value) > MOST:
        raise ValueError(f"a bound is at most {MOST:g}")
    return float(value)


Bound = Annotated[
    float | datetime,
    PlainValidator(_bound),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]}),
]


class RangeIn(Strict):
    """Qdrant's `range`: at least one bound; numbers, or dates as RFC 3339 has them."""

    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    @model_validator(mode="after")
    def _bounded(self) -> RangeIn:
        kinds = {type(x) for x in (self.gt, self.gte, self.lt, self.lte) if x is not None}
        if not kinds:
            raise ValueError("give at least one of gt, gte, lt, lte")
        if len(kinds) > 1:
            raise ValueError("give numbers or dates, not both")
        return self

    def to_domain(self, key: str) -> filters.Condition:
        """The condition as the domain knows it."""
        bounds = (self.gt, self.gte, self.lt, self.lte)
        if any(isinstance(x, datetime) for x in bounds):
            return filters.DateRange(key, *bounds)  # type: ignore[arg-type]  # all of one kind
        return filters.Range(key, *bounds)  # type: ignore[arg-type]  # as above


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
            return self.range.to_domain(self.key)
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


def _match(key: str, match: MatchIn) -> filters.Condition:
    if match.text is not None:
        return filters.MatchText(key, match.text)
    if match.any is not None:
        return filters.MatchAny(key, tuple(match.any))  # type: ignore[arg-type] # one of both lists
    assert match.value is not None
    return filters.MatchValue(key, match.value)
