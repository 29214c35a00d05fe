"""The domain's filters, fields and plans in the words of `qdrant_client`.

Twin of `qdrant_edge_query`: the same functions in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import grpc, models
from qdrant_client.conversions.conversion import value_to_json

from gateway.adapters.qdrant_boosts import DAY_S, HALF, SCORE, boost_defaults, instant
from gateway.adapters.qdrant_cluster_filter import to_condition, to_filter
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


def payload_value(payload: Mapping[str, grpc.Value], key: str) -> Any:  # noqa: ANN401 - any JSON
    """What stands at a filter key; None if nothing does. The client's own converter decodes whole
    payloads, which takes ten times as long as one value."""
    first, *rest = key.split(".")
    value = payload.get(first)
    for name in rest:
        value = None if value is None else value.struct_value.fields.get(name)
    return None if value is None else value_to_json(value)


def search_request(
    plan: SearchPlan, window: Window, keys: Sequence[str] | None
) -> models.QueryRequest:
    """One request for one window, with the payload's `keys` (all, if None). `plan` has at least one
    leg that is not empty."""
    last = _stages(plan, window)
    return models.QueryRequest(
        limit=window.points,
        query=last.query,
        using=last.using,
        prefetch=last.prefetch,
        filter=last.filter,
        score_threshold=last.score_threshold,
        params=last.params,
        with_payload=True if keys is None else list(keys),
    )


def _stages(plan: SearchPlan, window: Window) -> models.Prefetch:
    """The legs, fused; then the second stage on what they found; then the boosts."""
    legs, limit = _legs(plan, window), candidates(plan, window)
    stage = legs[0]
    if len(legs) > 1:
        stage = models.Prefetch(limit=limit, query=_fusion(plan), prefetch=legs)
    second = second_stage(plan, window)
    if second is not None:
        stage = models.Prefetch(
            limit=limit,
            query=_second(second, limit),
            using=IMAGE,
            prefetch=[stage],
            score_threshold=plan.min_score if isinstance(second, Rescore) else None,
            params=_EXACT,
        )
    if plan.boosts:
        stage = models.Prefetch(limit=limit, query=_formula(plan), prefetch=[stage])
    return stage


def _legs(plan: SearchPlan, window: Window) -> list[models.Prefetch]:
    only = _plan_filter(plan)
    lexical = words(plan)
    legs = []
    if plan.dense is not None:
        legs.append(
            models.Prefetch(
                limit=window.leg_points,
                query=_dense(plan.dense),
                using=IMAGE,
                filter=only,
                score_threshold=plan.min_score,
                params=_params(plan.nearest, dense_points(plan, window)),
            )
        )
    if lexical is not None:
        terms = models.SparseVector(indices=list(lexical.indices), values=list(lexical.values))
        query = models.NearestQuery(nearest=terms)
        legs.append(models.Prefetch(limit=window.leg_points, query=query, using=TEXT, filter=only))
    return legs


def _dense(dense: Vector | BestScore) -> models.NearestQuery | models.RecommendQuery:
    if isinstance(dense, BestScore):
        examples = models.RecommendInput(
            positive=[vector.tolist() for vector in dense.wanted],
            negative=[vector.tolist() for vector in dense.unwanted],
            strategy=models.RecommendStrategy.BEST_SCORE,
        )
        return models.RecommendQuery(recommend=examples)
    return models.NearestQuery(nearest=dense.tolist())


def _fusion(plan: SearchPlan) -> models.RrfQuery | models.FusionQuery:
    """The weights stand in the legs' order."""
    if plan.fusion is Fusion.DBSF:
        return models.FusionQuery(fusion=models.Fusion.DBSF)
    values = [plan.weights.dense, plan.weights.lexical]
    return models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=values))


def _second(second: Rescore | Diversify, limit: int) -> models.NearestQuery:
    vector = second.vector.tolist()
    match second:
        case Rescore():
            return models.NearestQuery(nearest=vector)
        case Diversify(diversity=diversity):
            mmr = models.Mmr(diversity=diversity, candidates_limit=limit)
            return models.NearestQuery(nearest=vector, mmr=mmr)


def _formula(plan: SearchPlan) -> models.FormulaQuery:
    """s + |s| · Σ weight · signal, as `gateway.domain.boosts` says."""
    boosts: list[models.Expression] = [
        models.MultExpression(mult=[boost.weight, _signal(boost, plan)]) for boost in plan.boosts
    ]
    bonus = [models.AbsExpression(abs=SCORE), models.SumExpression(sum=boosts)]
    formula = models.SumExpression(sum=[SCORE, models.MultExpression(mult=bonus)])
    return models.FormulaQuery(formula=formula, defaults=boost_defaults(plan.boosts))


def _signal(boost: Boost, plan: SearchPlan) -> models.Expression:
    match boost:
        case Flagged(field):
            return to_condition(MatchValue(field, True))
        case Popular(field, scale=scale):
            least = models.MaxExpression(max=[field, 0.0])
            whole = models.SumExpression(sum=[least, scale])
            return models.DivExpression(
                div=models.DivParams(left=least, right=whole, by_zero_default=0.0)
            )
        case Fresh(field, half_life_days=days):
            return models.ExpDecayExpression(
                exp_decay=models.DecayParamsExpression(
                    x=models.DatetimeKeyExpression(datetime_key=field),
                    target=models.DatetimeExpression(datetime=instant(plan)),
                    midpoint=HALF,
                    scale=days * DAY_S,
                )
            )
        case Near(field, target=target, scale=scale):
            return models.GaussDecayExpression(
                gauss_decay=models.DecayParamsExpression(
                    x=field, target=target, midpoint=HALF, scale=scale
                )
            )


# Also past a quantisation, if a collection has one.
_EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


def _params(nearest: Beam | Exact, limit: int) -> models.SearchParams:
    match nearest:
        case Beam(ef):
            again = models.QuantizationSearchParams(
                rescore=True, oversampling=oversampling(ef, limit)
            )
            return models.SearchParams(hnsw_ef=ef, quantization=again)
        case Exact():
            return _EXACT


def _plan_filter(plan: SearchPlan) -> models.Filter | None:
    asked = () if plan.filter is None else (plan.filter,)
    excluded = (MatchAny("id", plan.exclude_items),) if plan.exclude_items else ()
    if not asked and not excluded:
        return None
    return to_filter(Filter(must=asked, must_not=excluded))
