"""The domain's filters in the words of `qdrant_client`.

Twin of `qdrant_edge_filter`: the same functions in the same order.
"""

from __future__ import annotations

from qdrant_client import models

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


def to_filter(domain: Filter) -> models.Filter:
    """The same filter."""
    return models.Filter(
        must=[to_condition(c) for c in domain.must] or None,
        should=[to_condition(c) for c in domain.should] or None,
        must_not=[to_condition(c) for c in domain.must_not] or None,
    )


def item_is(item_id: str) -> models.Filter:
    """The points of one item."""
    return to_filter(Filter(must=(MatchValue("id", item_id),)))


def to_condition(condition: Condition) -> models.FieldCondition | models.Filter:  # noqa: PLR0911  # one return a kind
    match condition:
        case Filter():
            return to_filter(condition)
        case MatchValue(key, value):
            return models.FieldCondition(key=key, match=models.MatchValue(value=value))
        case MatchAny(key, values):
            return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
        case MatchText(key, text):
            return models.FieldCondition(key=key, match=models.MatchText(text=text))
        case Range(key, gt, gte, lt, lte):
            return models.FieldCondition(
                key=key, range=models.Range(gt=gt, gte=gte, lt=lt, lte=lte)
            )
        case DateRange(key, gt, gte, lt, lte):
            dates = models.DatetimeRange(gt=gt, gte=gte, lt=lt, lte=lte)
            return models.FieldCondition(key=key, range=dates)
        case GeoRadius(key, lat, lon, radius_m):
            circle = models.GeoRadius(center=models.GeoPoint(lat=lat, lon=lon), radius=radius_m)
            return models.FieldCondition(key=key, geo_radius=circle)
        case GeoBox(key, top, left, bottom, right):
            box = models.GeoBoundingBox(
                top_left=models.GeoPoint(lat=top, lon=left),
                bottom_right=models.GeoPoint(lat=bottom, lon=right),
            )
            return models.FieldCondition(key=key, geo_bounding_box=box)
