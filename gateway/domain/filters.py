"""Filters on item fields: Qdrant's own filter, as far as a storefront needs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class FieldType(StrEnum):
    """What a filterable field holds; decides its payload index and which conditions fit."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    TEXT = "text"
    GEO = "geo"
    DATETIME = "datetime"


@dataclass(frozen=True, slots=True)
class MatchValue:
    """The field equals `value`, or is a list that holds it."""

    key: str
    value: str | int | bool


@dataclass(frozen=True, slots=True)
class MatchAny:
    """The field equals one of `values`."""

    key: str
    values: tuple[str, ...] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MatchText:
    """The field holds every word of `text`."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """The number lies within the bounds that are given."""

    key: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class DateRange:
    """The moment lies within the bounds that are given; each knows its time zone."""

    key: str
    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """The place lies within `radius_m` metres of a point."""

    key: str
    lat: float
    lon: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class GeoBox:
    """The place lies within a box of degrees."""

    key: str
    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True, slots=True)
class Filter:
    """All of `must`, at least one of `should` (if any are given), none of `must_not`."""

    must: tuple[Condition, ...] = ()
    should: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()


Condition = MatchValue | MatchAny | MatchText | Range | DateRange | GeoRadius | GeoBox | Filter

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def moment(text: str) -> datetime:
    """The moment that an RFC 3339 string names, to the microsecond; ValueError for another."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is no date as RFC 3339 has it, such as 2026-01-31T09:30:00Z")
    return datetime.fromisoformat(text.upper())


def is_moment(value: object) -> bool:
    """Whether a value is a string that looks like an RFC 3339 date."""
    return isinstance(value, str) and _RFC3339.fullmatch(value) is not None
