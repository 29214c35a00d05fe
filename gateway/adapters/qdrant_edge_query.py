"""The domain's filters, fields and plans in the words of `qdrant_edge`.

Twin of `qdrant_cluster_query`: the same functions in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass

import qdrant_edge as edge

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


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """When the edge store builds an HNSW graph, and which.

    Below `indexing_kb` of vectors (in 1,024 bytes) no graph is built, and below `full_scan_kb` none
    is walked: a scan is exact, and as fast. With 20,000 vectors of 256 numbers (20,000 kB) a scan
    took 2.2 ms and the graph 3.2 ms, so both are twice Qdrant's defaults. `m` and `ef_construct`
    are the links of a node and the beam while building: Qdrant's own, with the beam a little wider.
    """

    indexing_kb: int = 40_000
    full_scan_kb: int = 20_000
    m: int = 16
    ef_construct: int = 128


_SIMPLE = {
    FieldType.KEYWORD: edge.PayloadSchemaType.Keyword,
    FieldType.INTEGER: edge.PayloadSchemaType.Integer,
    FieldType.FLOAT: edge.PayloadSchemaType.Float,
    FieldType.BOOL: edge.PayloadSchemaType.Bool,
    FieldType.GEO: edge.PayloadSchemaType.Geo,
    FieldType.DATETIME: edge.PayloadSchemaType.Datetime,
}


def collection_config(spec: CollectionSpec, options: EdgeOptions) -> edge.EdgeConfig:
    """Dense `image` and sparse `text` vectors. Vectors have length 1, so the dot product is the
    cosine; and unlike `Cosine`, `Dot` gives back the very bits that were stored."""
    return edge.EdgeConfig(
        vectors={IMAGE: edge.EdgeVectorParams(size=spec.dim, distance=edge.Distance.Dot)},
        sparse_vectors={TEXT: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        hnsw_config=edge.HnswIndexConfig(
            m=options.m,
            ef_construct=options.ef_construct,
            full_scan_threshold=options.full_scan_kb,
        ),
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=options.indexing_kb),
        # A second thread did not make a query on 12,000 points faster (0.92 and 0.95 ms), and
        # cost 0.7 ms more CPU.
        max_search_threads=1,
    )


def field_index(field: FieldType) -> edge.PayloadSchemaType | edge.PayloadSchemaParams:
    """The payload index for a field of this type."""
    if field is FieldType.TEXT:
        return edge.TextIndexParams(tokenizer=edge.TokenizerType.Word, lowercase=True)
    return _SIMPLE[field]


def to_point(point: Point) -> edge.Point:
    """A point as the store takes it. One without words has no `text` vector."""
    vectors: dict[str, list[float] | edge.SparseVector] = {IMAGE: point.image.tolist()}
    if point.text.indices:
        vectors[TEXT] = edge.SparseVector(list(point.text.indices), list(point.text.values))
    return edge.Point(point.id, vectors, dict(point.payload))  # type: ignore[arg-type]  # Dict is invariant


def to_filter(domain: Filter) -> edge.Filter:
    """The same filter."""
    return edge.Filter(
        must=[_condition(c) for c in domain.must] or None,
        should=[_condition(c) for c in domain.should] or None,
        must_not=[_condition(c) for c in domain.must_not] or None,
    )


def item_is(item_id: str) -> edge.Filter:
    """The points of one item."""
    return to_filter(Filter(must=(MatchValue("id", item_id),)))


def search_request(plan: SearchPlan, window: Window) -> edge.QueryRequest:
    """One request for one window. `plan` has at least one leg that is not empty."""
    legs = _legs(plan, window)
    keys = payload_keys(plan.fields)
    selector = True if keys is None else edge.PayloadSelector.Include(keys)
    if len(legs) > 1:
        return edge.QueryRequest(
            limit=window.points,
            query=_fusion(plan.weights),
            prefetches=legs,
            with_payload=selector,
        )
    return edge.QueryRequest(
        limit=window.points,
        query=legs[0].query,
        filter=legs[0].filter,
        score_threshold=legs[0].score_threshold,
        params=legs[0].params,
        with_payload=selector,
    )


def _legs(plan: SearchPlan, window: Window) -> list[edge.Prefetch]:
    only = _plan_filter(plan)
    lexical = words(plan)
    legs = []
    if plan.dense is not None:
        legs.append(
            edge.Prefetch(
                limit=window.leg_points,
                query=edge.Query.Nearest(plan.dense.tolist(), IMAGE),
                filter=only,
                score_threshold=plan.min_score,
                params=_params(plan.nearest),
            )
        )
    if lexical is not None:
        terms = edge.SparseVector(list(lexical.indices), list(lexical.values))
        query = edge.Query.Nearest(terms, TEXT)
        legs.append(edge.Prefetch(limit=window.leg_points, query=query, filter=only))
    return legs


def _fusion(weights: LegWeights) -> edge.Fusion:
    """The weights stand in the legs' order."""
    values = [weights.dense, weights.lexical]
    return edge.Fusion.Rrf(k=RRF_K, weights=values)  # type: ignore[return-value]  # the stub nests, the binding inherits


def _params(nearest: Beam | Exact) -> edge.SearchParams:
    match nearest:
        case Beam(ef):
            return edge.SearchParams(hnsw_ef=ef)
        case Exact():
            return edge.SearchParams(exact=True)


def _plan_filter(plan: SearchPlan) -> edge.Filter | None:
    asked = () if plan.filter is None else (plan.filter,)
    excluded = (MatchAny("id", plan.exclude_items),) if plan.exclude_items else ()
    if not asked and not excluded:
        return None
    return to_filter(Filter(must=asked, must_not=excluded))


def _condition(condition: Condition) -> edge.FieldCondition | edge.Filter:  # noqa: PLR0911  # one return a kind
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
        case GeoRadius(key, lat, lon, radius_m):
            circle = edge.GeoRadius(edge.GeoPoint(lon, lat), radius_m)
            return edge.FieldCondition(key, geo_radius=circle)
        case GeoBox(key, top, left, bottom, right):
            box = edge.GeoBoundingBox(edge.GeoPoint(left, top), edge.GeoPoint(right, bottom))
            return edge.FieldCondition(key, geo_bounding_box=box)


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
