"""The domain's filters in the words of `qdrant_edge`.

Twin of `qdrant_cluster_filter`: the same functions in the same order.
"""

from __future__ import annotations

import qdrant_edge as edge

from gateway.domain.filters import (
    Condition,
    DateRange,
    Filter,
    GeoBox,
    GeoRadius,
    MatchAny,
    MatchText,
    MatchValue,
    Range,
)


def to_filter(domain: Filter) -> edge.Filter:
    """The same filter."""
    return edge.Filter(
        must=[to_condition(c) for c in domain.must] or None,
        should=[to_condition(c) for c in domain.should] or None,
        must_not=[to_condition(c) for c in domain.must_not] or None,
    )


def item_is(item_id: str) -> edge.Filter:
    """The points of one item."""
    return to_filter(Filter(must=(MatchValue("id", item_id),)))


def to_condition(condition: Condition) -> edge.FieldCondition | edge.Filter:  # noqa: PLR0911  # one return a kind
    match condition:
        case Filter():
            return to_filter(condition)
        case MatchValue(key, value):
            return edge.FieldCondition(key, match=edge.MatchValue(_plain(value)))
        case MatchAny(key, values):
            return edge.FieldCondition(key, match=edge.MatchAny(list(values)))  # type: ignore[arg-type]  # all str or all int
        case MatchText(key, text):
            return edge.FieldCondition(key, match=edge.MatchText(text))
        case Range(key, gt, gte, lt, lte):
            return edge.FieldCondition(key, range=edge.RangeFloat(gt=gt, gte=gte, lt=lt, lte=lte))
        case DateRange(key):
            return edge.FieldCondition(key, range=_dates(condition))
        case GeoRadius(key, lat, lon, radius_m):
            circle = edge.GeoRadius(edge.GeoPoint(lon, lat), radius_m)
            return edge.FieldCondition(key, geo_radius=circle)
        case GeoBox(key, top, left, bottom, right):
            box = edge.GeoBoundingBox(edge.GeoPoint(left, top), edge.GeoPoint(right, bottom))
            return edge.FieldCondition(key, geo_bounding_box=box)


def _dates(dates: DateRange) -> edge.RangeDateTime:
    bounds = {
        name: None if value is None else value.isoformat()
        for name, value in (
            ("gt", dates.gt), ("gte", dates.gte), ("lt", dates.lt), ("lte", dates.lte)
        )
    }  # fmt: skip
    return edge.RangeDateTime(**bounds)


class _Truth:
    """A bool for `edge.MatchValue`.

    qdrant-edge-py 0.9 tries integers before booleans, and a Python bool is an integer, so
    `MatchValue(True)` matches 1 and never true. What is no integer but says that it is numpy's
    boolean, it takes for a boolean; numpy 1's own is an integer too.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value


_Truth.__module__, _Truth.__name__ = "numpy", "bool_"


def _plain(value: str | int | bool) -> str | int | bool:
    return _Truth(value) if isinstance(value, bool) else value  # type: ignore[return-value]  # see _Truth
