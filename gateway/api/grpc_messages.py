"""`lookalike.v1` messages to the domain and back. What they mean is in the proto file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf import json_format, struct_pb2
from pydantic import ValidationError

from gateway.api.filter_schemas import FilterIn
from gateway.api.item_schemas import ItemIn
from gateway.api.schemas import fault_of
from gateway.api.status import code_of, status_of
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.domain.boosts import Boost, Flagged, Fresh, Near, Popular
from gateway.domain.errors import BadFilter, CatalogInvalid, InvalidQuery, LookalikeError
from gateway.domain.filters import Filter
from gateway.domain.items import Item
from gateway.domain.query import (
    Crop,
    FacetCount,
    Fusion,
    Hit,
    ImagePart,
    ItemPart,
    LegWeights,
    Mode,
    Query,
    QueryPart,
    SearchResult,
    Strategy,
    TextPart,
    TokenPart,
    UrlPart,
    VectorPart,
)
from gateway.services.item_writer import ItemOutcome

N = TypeVar("N", bound=int)
T = TypeVar("T")

DEFAULT_LIMIT = 20

_MODES = {
    pb.MODE_UNSPECIFIED: Mode.AUTO,
    pb.MODE_VECTOR: Mode.VECTOR,
    pb.MODE_TEXT: Mode.TEXT,
    pb.MODE_HYBRID: Mode.HYBRID,
}
_FUSIONS = {
    pb.FUSION_UNSPECIFIED: Fusion.RRF,
    pb.FUSION_RRF: Fusion.RRF,
    pb.FUSION_DBSF: Fusion.DBSF,
}
_STRATEGIES = {
    pb.STRATEGY_UNSPECIFIED: Strategy.WEIGHTED_SUM,
    pb.STRATEGY_WEIGHTED_SUM: Strategy.WEIGHTED_SUM,
    pb.STRATEGY_AVERAGE_VECTOR: Strategy.AVERAGE_VECTOR,
    pb.STRATEGY_BEST_SCORE: Strategy.BEST_SCORE,
}
_MODE_NUMBERS = {mode: number for number, mode in _MODES.items()}


def query_of(request: pb.SearchRequest) -> Query:
    """The query as the domain knows it.

    Raises InvalidQuery for a part of no kind or an unknown choice, BadFilter for a malformed
    filter.
    """
    return Query(
        parts=tuple(part_of(p, f"query[{n}]") for n, p in enumerate(request.query)),
        mode=_of(_MODES, request.mode, "mode"),
        filter=_filter_of(request.filter) if request.HasField("filter") else None,
        limit=request.limit if request.HasField("limit") else DEFAULT_LIMIT,
        offset=request.offset,
        min_score=request.min_score if request.HasField("min_score") else None,
        fields=tuple(request.fields) or None,
        fusion=_of(_FUSIONS, request.fusion, "fusion"),
        weights=_weights_of(request.weights) if request.HasField("weights") else None,
        strategy=_of(_STRATEGIES, request.strategy, "strategy"),
        rescore=request.rescore,
        diversity=request.diversity,
        boosts=tuple(_boost_of(boost, f"boosts[{n}]") for n, boost in enumerate(request.boosts)),
        group_by=request.group_by if request.HasField("group_by") else None,
        facets=tuple(request.facets),
        scores=request.scores,
        return_query=request.return_query,
    )


def part_of(part: pb.Part, at: str) -> QueryPart:
    """One part of a query; InvalidQuery, naming `at`, if it is of no kind."""
    weight = part.weight if part.HasField("weight") else 1.0
    kind = part.WhichOneof("kind")
    box = part.crop
    crop = Crop(box.left, box.top, box.right, box.bottom) if part.HasField("crop") else None
    if crop is not None and kind not in ("image", "image_url"):
        raise InvalidQuery("crop goes with image or image_url.", field=at)
    match kind:
        case "text":
            return TextPart(part.text, weight)
        case "image":
            return ImagePart(part.image, weight, crop)
        case "image_url":
            return UrlPart(part.image_url, weight, crop)
        case "item":
            return ItemPart(part.item, weight)
        case "token":
            return TokenPart(part.token, weight)
        case "vector":
            return VectorPart(tuple(part.vector.values), weight)
    raise InvalidQuery("Give one of text, image, image_url, item, vector, token.", field=at)


def answer_of(result: SearchResult) -> pb.SearchResponse:
    """A search's answer."""
    return pb.SearchResponse(
        hits=[_hit_of(hit) for hit in result.hits],
        release=result.release,
        mode=_MODE_NUMBERS[result.mode],
        timings=result.timings,
        query_token=result.query_token,
        confident=result.confident,
        facets=[_facet_of(field, counts) for field, counts in result.facets.items()],
        degraded=result.degraded,
    )


def item_of(message: pb.Item) -> Item:
    """An item, by the same rules as over HTTP; CatalogInvalid naming the field if it breaks one."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    fields["attributes"] = plain(message.attributes)
    try:
        item = ItemIn.model_validate(fields)
    except ValidationError as exc:
        field, detail = fault_of(exc)
        raise CatalogInvalid(f"{field}: {detail}", field=field) from exc
    return item.to_domain(item.id)


def item_message(item: Mapping[str, Any]) -> pb.Item:
    """An item as answers show it."""
    return json_format.ParseDict(dict(item), pb.Item())


def status_of_item(outcome: ItemOutcome) -> pb.ItemStatus:
    """What became of an item that was written."""
    failed = outcome.error is not None
    return pb.ItemStatus(
        id=outcome.item_id,
        outcome=pb.ItemStatus.OUTCOME_FAILED if failed else pb.ItemStatus.OUTCOME_INDEXED,
        embedded=outcome.embedded,
        skipped_pictures=[problem.detail for problem in outcome.skipped],
        error=error_message(outcome.error) if outcome.error is not None else None,
    )


def error_message(error: LookalikeError) -> pb.Error:
    """An error as part of an answer."""
    code: grpc.StatusCode = status_of(error).grpc
    return pb.Error(
        code=code.value[0], reason=code_of(error), message=error.detail, field=error.field or ""
    )


def plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A Struct as JSON. It knows no whole numbers, so those that are whole become so again."""
    return {name: _whole(value) for name, value in json_format.MessageToDict(struct).items()}


def _whole(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(v) for v in value]
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in value.items()}
    return value


def _of(table: Mapping[N, T], number: N, field: str) -> T:
    if number not in table:
        raise InvalidQuery(f"There is no {field} {number}.", field=field)
    return table[number]


def _weights_of(weights: pb.LegWeights) -> LegWeights:
    return LegWeights(
        weights.vector if weights.HasField("vector") else 1.0,
        weights.text if weights.HasField("text") else 1.0,
    )


def _boost_of(boost: pb.Boost, at: str) -> Boost:
    match boost.WhichOneof("kind"):
        case "flag":
            return Flagged(boost.field, boost.weight)
        case "popularity":
            return Popular(boost.field, boost.weight, boost.popularity.scale)
        case "freshness":
            return Fresh(boost.field, boost.weight, boost.freshness.half_life_days)
        case "proximity":
            near = boost.proximity
            return Near(boost.field, boost.weight, near.target, near.scale)
    raise InvalidQuery("Give one of flag, popularity, freshness, proximity.", field=at)


def _filter_of(struct: struct_pb2.Struct) -> Filter:
    try:
        return FilterIn.model_validate(plain(struct)).to_domain()
    except ValidationError as exc:
        field, detail = fault_of(exc)
        raise BadFilter(detail, field=f"filter.{field}" if field else "filter") from exc


def _facet_of(field: str, counts: tuple[FacetCount, ...]) -> pb.Facet:
    return pb.Facet(
        field=field,
        counts=[
            pb.FacetCount(
                value=json_format.ParseDict(each.value, struct_pb2.Value()), count=each.count
            )
            for each in counts
        ],
    )


def _hit_of(hit: Hit) -> pb.Hit:
    message = pb.Hit(id=hit.item_id, score=hit.score, picture=hit.picture)
    message.item.update(dict(hit.item))
    if hit.group is not None:
        value = list(hit.group) if isinstance(hit.group, tuple) else hit.group
        json_format.ParseDict(value, message.group)
        message.others.extend(hit.others)
    message.scores.update(hit.scores or {})
    return message
