"""Whether a filter makes sense for a collection: known fields, conditions that fit their type."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.domain.errors import BadFilter, UnknownField
from gateway.domain.filters import (
    Condition,
    DateRange,
    FieldType,
    Filter,
    GeoBox,
    GeoRadius,
    MatchAny,
    MatchText,
    MatchValue,
    Range,
)

Fields = Mapping[str, FieldType]


def check_filter(filter_: Filter, fields: Fields, at: str = "filter") -> None:
    """Raises UnknownField or BadFilter, naming the place in the filter, at the first fault."""
    clauses = {"must": filter_.must, "should": filter_.should, "must_not": filter_.must_not}
    for clause, conditions in clauses.items():
        for number, condition in enumerate(conditions):
            _check(condition, fields, f"{at}.{clause}[{number}]")


def _check(condition: Condition, fields: Fields, at: str) -> None:
    if isinstance(condition, Filter):
        check_filter(condition, fields, at)
        return
    kind = fields.get(condition.key)
    if kind is None:
        raise UnknownField(
            f"{condition.key!r} cannot be filtered by. Known fields: {listed(fields)}.",
            field=f"{at}.key",
        )
    if not _fits(condition, kind):
        raise BadFilter(
            f"{condition.key!r} is of type {kind}; it takes {_TAKES[kind]}. "
            f"Known fields: {listed(fields)}.",
            field=at,
        )


def listed(fields: Fields) -> str:
    """The fields and their types, for a sentence."""
    return ", ".join(f"{name} ({fields[name]})" for name in sorted(fields))


_TAKES: Mapping[FieldType, str] = {
    FieldType.KEYWORD: "match with a string value or any of several strings",
    FieldType.INTEGER: "match with a whole number, or range",
    FieldType.FLOAT: "range",
    FieldType.BOOL: "match with true or false",
    FieldType.TEXT: "match with text",
    FieldType.GEO: "geo_radius or geo_bounding_box",
    FieldType.DATETIME: "range with RFC 3339 dates, such as 2026-01-31T09:30:00Z",
}


def _fits(condition: Condition, kind: FieldType) -> bool:
    match condition:
        case MatchValue(value=value):
            return kind is _SCALARS[type(value)]
        case MatchAny(values=values):
            return {kind} == {_SCALARS[type(value)] for value in values}
        case _:
            return kind in _TYPES[type(condition)]


_TYPES: Mapping[type, tuple[FieldType, ...]] = {
    MatchText: (FieldType.TEXT,),
    Range: (FieldType.INTEGER, FieldType.FLOAT),
    DateRange: (FieldType.DATETIME,),
    GeoRadius: (FieldType.GEO,),
    GeoBox: (FieldType.GEO,),
}

_SCALARS: Mapping[type, FieldType] = {
    str: FieldType.KEYWORD,
    int: FieldType.INTEGER,
    bool: FieldType.BOOL,
}
