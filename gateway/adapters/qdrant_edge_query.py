"""The domain's filters, fields and plans in the words of `qdrant_edge`.

Twin of `qdrant_cluster_query`: the same functions in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import qdrant_edge as edge
from qdrant_edge import Expression

from gateway.adapters.qdrant_boosts import DAY_S, HALF, SCORE, boost_defaults, instant
from gateway.adapters.qdrant_edge_filter import to_condition, to_filter
from gateway.adapters.qdrant_paging import (
    RRF_K,
    Window,
    candidates,
    dense_points,
    oversampling,
    second_stage,
    words,
)
from gateway.domain.boosts import Boost, Flagged, Fresh, Near, Popular
from gateway.domain.filters import FieldType, Filter, MatchAny, MatchValue
from gateway.domain.plan import BestScore, Diversify, Rescore, SearchPlan
from gateway.domain.ports import CollectionSpec, Point
from gateway.domain.query import Beam, Exact, Fusion
from gateway.domain.vectors import Vector

IMAGE = "image"
TEXT = "text"


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """When the edge store builds an HNSW graph, and which.

    Below `indexing_kb` of vectors (in 1,024 bytes) no graph is built, and below `full_scan_kb` none
    is walked: a scan finds all, and 20,000 vectors of 256 numbers (20,000 kB) are scanned in 2.4 ms
    and walked in 0.8, so both are twice Qdrant's defaults. `m` and `ef_construct` are the links of
    a node and the beam while building: Qdrant's own, with the beam a little wider.

    With `int8` a graph is built over, and walked by, vectors of one byte a number, which are kept
    in memory; the best are compared again in full. 100,000 vectors took 48 s instead of 92 to build
    and 0.9 ms instead of 1.1 to search, with the same recall (`make bench`).
    """

    indexing_kb: int = 40_000
    full_scan_kb: int = 20_000
    m: int = 16
    ef_construct: int = 128
    int8: bool = True


_SIMPLE = {
    FieldType.KEYWORD: edge.PayloadSchemaType.Keyword,
    FieldType.INTEGER: edge.PayloadSchemaType.Integer,
    FieldType.FLOAT: edge.PayloadSchemaType.Float,
    FieldType.BOOL: edge.PayloadSchemaType.Bool,
    FieldType.GEO: edge.PayloadSchemaType.Geo,
    FieldType.DATETIME: edge.PayloadSchemaType.Datetime,
}


# Without the 1% of numbers farthest from zero, which would make all steps coarser: Qdrant's advice.
_INT8 = edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, quantile=0.99, always_ram=True)


def collection_config(spec: CollectionSpec, options: EdgeOptions) -> edge.EdgeConfig:
    """Dense `image` and sparse `text` vectors. Vectors have length 1, so the dot product is the
    cosine; and unlike `Cosine`, `Dot` gives back the very bits that were stored."""
    image = edge.EdgeVectorParams(
        size=spec.dim,
        distance=edge.Distance.Dot,
        quantization_config=_INT8 if options.int8 else None,
    )
    return edge.EdgeConfig(
        vectors={IMAGE: image},
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


def search_request(
    plan: SearchPlan, window: Window, keys: Sequence[str] | None
) -> edge.QueryRequest:
    """One request for one window, with the payload's `keys` (all, if None). `plan` has at least one
    leg that is not empty."""
    last = _stages(plan, window)
    return edge.QueryRequest(
        limit=window.points,
        query=last.query,
        prefetches=last.prefetches,
        filter=last.filter,
        score_threshold=last.score_threshold,
        params=last.params,
        with_payload=True if keys is None else edge.PayloadSelector.Include(list(keys)),
    )


def _stages(plan: SearchPlan, window: Window) -> edge.Prefetch:
    """The legs, fused; then the second stage on what they found; then the boosts."""
    legs, limit = _legs(plan, window), candidates(plan, window)
    stage = legs[0]
    if len(legs) > 1:
        stage = edge.Prefetch(limit=limit, query=_fusion(plan), prefetches=legs)
    second = second_stage(plan, window)
    if second is not None:
        stage = edge.Prefetch(
            limit=limit,
            query=_second(second, limit),
            prefetches=[stage],
            score_threshold=plan.min_score if isinstance(second, Rescore) else None,
            params=_EXACT,
        )
    if plan.boosts:
        stage = edge.Prefetch(limit=limit, query=_formula(plan), prefetches=[stage])
    return stage


def _legs(plan: SearchPlan, window: Window) -> list[edge.Prefetch]:
    only = _plan_filter(plan)
    lexical = words(plan)
    legs = []
    if plan.dense is not None:
        legs.append(
            edge.Prefetch(
                limit=window.leg_points,
                query=_dense(plan.dense),
                filter=only,
                score_threshold=plan.min_score,
                params=_params(plan.nearest, dense_points(plan, window)),
            )
        )
    if lexical is not None:
        terms = edge.SparseVector(list(lexical.indices), list(lexical.values))
        query = edge.Query.Nearest(terms, TEXT)
        legs.append(edge.Prefetch(limit=window.leg_points, query=query, filter=only))
    return legs


def _dense(dense: Vector | BestScore) -> edge.Query:
    if isinstance(dense, BestScore):
        examples = edge.RecommendQuery(
            [vector.tolist() for vector in dense.wanted],
            [vector.tolist() for vector in dense.unwanted],
        )
        return edge.Query.RecommendBestScore(examples, IMAGE)
    return edge.Query.Nearest(dense.tolist(), IMAGE)


def _fusion(plan: SearchPlan) -> edge.Fusion:
    """The weights stand in the legs' order."""
    if plan.fusion is Fusion.DBSF:
        return edge.Fusion.Dbsf()  # type: ignore[return-value]  # the stub nests, the binding inherits
    values = [plan.weights.dense, plan.weights.lexical]
    return edge.Fusion.Rrf(k=RRF_K, weights=values)  # type: ignore[return-value]  # as above


def _second(second: Rescore | Diversify, limit: int) -> edge.Query | edge.Mmr:
    vector = second.vector.tolist()
    match second:
        case Rescore():
            return edge.Query.Nearest(vector, IMAGE)
        case Diversify(diversity=diversity):
            return edge.Mmr(vector, 1.0 - diversity, limit, IMAGE)


def _formula(plan: SearchPlan) -> edge.Formula:
    """s + |s| · Σ weight · signal, as `gateway.domain.boosts` says."""
    score = Expression.Variable(SCORE)
    boosts = [
        Expression.Mult([Expression.Constant(boost.weight), _signal(boost, plan)])
        for boost in plan.boosts
    ]
    bonus = Expression.Mult([Expression.Abs(score), Expression.Sum(boosts)])
    return edge.Formula(Expression.Sum([score, bonus]), defaults=dict(boost_defaults(plan.boosts)))


def _signal(boost: Boost, plan: SearchPlan) -> Expression:
    number = Expression.Variable(boost.field)
    match boost:
        case Flagged(field):
            return Expression.Condition(to_condition(MatchValue(field, True)))
        case Popular(scale=scale):
            least = Expression.Max([number, Expression.Constant(0.0)])
            return Expression.Div(least, Expression.Sum([least, Expression.Constant(scale)]), 0.0)
        case Fresh(field, half_life_days=days):
            when, now = Expression.DatetimeKey(field), Expression.Datetime(instant(plan))
            return Expression.Decay(edge.DecayKind.Exp, when, now, HALF, days * DAY_S)
        case Near(target=target, scale=scale):
            wanted = Expression.Constant(target)
            return Expression.Decay(edge.DecayKind.Gauss, number, wanted, HALF, scale)


# Also past a quantisation, if a collection has one.
_EXACT = edge.SearchParams(exact=True, quantization=edge.QuantizationSearchParams(ignore=True))


def _params(nearest: Beam | Exact, limit: int) -> edge.SearchParams:
    match nearest:
        case Beam(ef):
            again = edge.QuantizationSearchParams(
                rescore=True, oversampling=oversampling(ef, limit)
            )
            return edge.SearchParams(hnsw_ef=ef, quantization=again)
        case Exact():
            return _EXACT


def _plan_filter(plan: SearchPlan) -> edge.Filter | None:
    asked = () if plan.filter is None else (plan.filter,)
    excluded = (MatchAny("id", plan.exclude_items),) if plan.exclude_items else ()
    if not asked and not excluded:
        return None
    return to_filter(Filter(must=asked, must_not=excluded))
