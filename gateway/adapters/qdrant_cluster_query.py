"""The domain's filters, fields and plans in the words of `qdrant_client`.

Twin of `qdrant_edge_query`: the same functions in the same order.
"""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from gateway.adapters.qdrant_paging import (
    RRF_K,
    Window,
    payload_keys,
    words,
)
from gateway.domain.filters import (
    Condition,
    FieldType,
    Filter,
    GeoBox,
    GeoRadius,
    MatchAny,
    MatchText,
    MatchValue,
    Range,
)
from gateway.domain.ports import CollectionSpec, Point
from gateway.domain.query import Beam, Exact, LegWeights, SearchPlan

IMAGE = "image"
TEXT = "text"

HNSW_M = 16
HNSW_EF_CONSTRUCT = 128

_SIMPLE = {
    FieldType.KEYWORD: models.PayloadSchemaType.KEYWORD,
    FieldType.INTEGER: models.PayloadSchemaType.INTEGER,
    FieldType.FLOAT: models.PayloadSchemaType.FLOAT,
    FieldType.BOOL: models.PayloadSchemaType.BOOL,
    FieldType.GEO: models.PayloadSchemaType.GEO,
    FieldType.DATETIME: models.PayloadSchemaType.DATETIME,
}


def dense_config(spec: CollectionSpec) -> dict[str, models.VectorParams]:
    """Dense `image` vectors. They have length 1, so the dot product is the cosine; and unlike
    `Cosine`, `Dot` gives back the very bits that were stored."""
    return {IMAGE: models.VectorParams(size=spec.dim, distance=models.Distance.DOT)}


def sparse_config() -> dict[str, models.SparseVectorParams]:
    """Sparse `text` vectors, weighted by how rare each word is in the collection."""
    return {TEXT: models.SparseVectorParams(modifier=models.Modifier.IDF)}


def hnsw_config() -> models.HnswConfigDiff:
    """The graph: the same as the edge store's."""
    return models.HnswConfigDiff(m=HNSW_M, ef_construct=HNSW_EF_CONSTRUCT)


def field_index(field: FieldType) -> models.PayloadSchemaType | models.TextIndexParams:
    """The payload index for a field of this type."""
    if field is FieldType.TEXT:
        return models.TextIndexParams(
            type=models.TextIndexType.TEXT, tokenizer=models.TokenizerType.WORD, lowercase=True
        )
    return _SIMPLE[field]


def to_point(point: Point) -> models.PointStruct:
    """A point as the store takes it. One without words has no `text` vector."""
    vectors: dict[str, Any] = {IMAGE: point.image.tolist()}
    if point.text.indices:
        vectors[TEXT] = models.SparseVector(
            indices=list(point.text.indices), values=list(point.text.values)
        )
    return models.PointStruct(id=point.id, vector=vectors, payload=dict(point.payload))


def to_filter(domain: Filter) -> models.Filter:
    """The same filter."""
    return models.Filter(
        must=[_condition(c) for c in domain.must] or None,
        should=[_condition(c) for c in domain.should] or None,
        must_not=[_condition(c) for c in domain.must_not] or None,
    )


def item_is(item_id: str) -> models.Filter:
    """The points of one item."""
    return to_filter(Filter(must=(MatchValue("id", item_id),)))


def search_request(plan: SearchPlan, window: Window) -> models.QueryRequest:
    """One request for one window. `plan` has at least one leg that is not empty."""
    legs = _legs(plan, window)
    keys = payload_keys(plan.fields)
    selector = True if keys is None else keys
    if len(legs) > 1:
        return models.QueryRequest(
            limit=window.points,
            query=_fusion(plan.weights),
            prefetch=legs,
            with_payload=selector,
        )
    return models.QueryRequest(
        limit=window.points,
        query=legs[0].query,
        using=legs[0].using,
        filter=legs[0].filter,
        score_threshold=legs[0].score_threshold,
        params=legs[0].params,
        with_payload=selector,
    )


def _legs(plan: SearchPlan, window: Window) -> list[models.Prefetch]:
    only = _plan_filter(plan)
    lexical = words(plan)
    legs = []
    if plan.dense is not None:
        legs.append(
            models.Prefetch(
                limit=window.leg_points,
                query=models.NearestQuery(nearest=plan.dense.tolist()),
                using=IMAGE,
                filter=only,
                score_threshold=plan.min_score,
                params=_params(plan.nearest),
            )
        )
    if lexical is not None:
        terms = models.SparseVector(indices=list(lexical.indices), values=list(lexical.values))
        query = models.NearestQuery(nearest=terms)
        legs.append(models.Prefetch(limit=window.leg_points, query=query, using=TEXT, filter=only))
    return legs


def _fusion(weights: LegWeights) -> models.RrfQuery:
    """The weights stand in the legs' order."""
    values = [weights.dense, weights.lexical]
    return models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=values))


def _params(nearest: Beam | Exact) -> models.SearchParams:
    match nearest:
        case Beam(ef):
            return models.SearchParams(hnsw_ef=ef)
        case Exact():
            return models.SearchParams(exact=True)


def _plan_filter(plan: SearchPlan) -> models.Filter | None:
    asked = () if plan.filter is None else (plan.filter,)
    excluded = (MatchAny("id", plan.exclude_items),) if plan.exclude_items else ()
    if not asked and not excluded:
        return None
    return to_filter(Filter(must=asked, must_not=excluded))


def _condition(condition: Condition) -> models.FieldCondition | models.Filter:  # noqa: PLR0911  # one return a kind
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
        case GeoRadius(key, lat, lon, radius_m):
            circle = models.GeoRadius(center=models.GeoPoint(lat=lat, lon=lon), radius=radius_m)
            return models.FieldCondition(key=key, geo_radius=circle)
        case GeoBox(key, top, left, bottom, right):
            box = models.GeoBoundingBox(
                top_left=models.GeoPoint(lat=top, lon=left),
                bottom_right=models.GeoPoint(lat=bottom, lon=right),
            )
            return models.FieldCondition(key=key, geo_bounding_box=box)
