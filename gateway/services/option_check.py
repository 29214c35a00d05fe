"""Whether a query's options fit together, and the collection's fields."""

from __future__ import annotations

from gateway.domain.boosts import Boost, Flagged, Fresh, Near, Popular
from gateway.domain.errors import BadFilter, InvalidQuery, UnknownField
from gateway.domain.filters import FieldType
from gateway.domain.query import (
    MAX_BOOST_WEIGHT,
    MAX_BOOSTS,
    MAX_FACETS,
    MAX_HALF_LIFE_DAYS,
    MAX_LEG_WEIGHT,
    MAX_SCALE,
    Fusion,
    Query,
    Strategy,
)
from gateway.services.filter_check import Fields, listed

# What a hit can be grouped by: types whose values are told apart exactly.
DISCRETE = (FieldType.KEYWORD, FieldType.INTEGER, FieldType.BOOL)
NUMBERS = (FieldType.INTEGER, FieldType.FLOAT)
MIN_SCALE = 1e-6


def check_options(query: Query, fields: Fields) -> None:
    """InvalidQuery, UnknownField or BadFilter, naming the field, for what makes no sense."""
    _check_fusion(query)
    _check_strategy(query)
    _check_order(query)
    _check_boosts(query.boosts, fields)
    if query.group_by is not None:
        check_field(query.group_by, DISCRETE, fields, "group_by")
    if len(query.facets) > MAX_FACETS:
        raise InvalidQuery(f"At most {MAX_FACETS} facets are counted at once.", field="facets")
    for number, facet in enumerate(query.facets):
        check_field(facet, DISCRETE, fields, f"facets[{number}]", "a facet")


def check_field(
    key: str, fitting: tuple[FieldType, ...], fields: Fields, at: str, what: str = ""
) -> None:
    """UnknownField for a field that the collection lacks, BadFilter for one of another type."""
    kind = fields.get(key)
    if kind is None:
        raise UnknownField(f"There is no field {key!r}. Known fields: {listed(fields)}.", field=at)
    if kind not in fitting:
        wanted = " or ".join(fitting)
        raise BadFilter(
            f"{key!r} is of type {kind}; {what or at} takes {wanted}. "
            f"Known fields: {listed(fields)}.",
            field=at,
        )


def _check_fusion(query: Query) -> None:
    if query.weights is None:
        return
    if query.fusion is not Fusion.RRF:
        raise InvalidQuery(
            f"weights go with fusion rrf: {query.fusion} counts both legs alike.", field="weights"
        )
    weights = (query.weights.dense, query.weights.lexical)
    if not all(0 <= weight <= MAX_LEG_WEIGHT for weight in weights) or not any(weights):
        raise InvalidQuery(
            f"weights are numbers from 0 to {MAX_LEG_WEIGHT:g}, and not both 0.", field="weights"
        )


def _check_strategy(query: Query) -> None:
    strategy = query.strategy
    if strategy is Strategy.WEIGHTED_SUM:
        return
    for number, part in enumerate(query.parts):
        if abs(part.weight) != 1.0:
            raise InvalidQuery(
                f"With strategy {strategy} a weight is 1 or -1; weighted_sum takes any.",
                field=f"query[{number}].weight",
            )
    if strategy is not Strategy.BEST_SCORE:
        return
    reason = "strategy best_score compares with each part by itself"
    if query.min_score is not None:
        raise InvalidQuery(f"min_score is a least cosine; {reason}.", field="min_score")
    if query.return_query:
        raise InvalidQuery(f"A token holds one vector; {reason}.", field="return_query")
    if query.rescore:
        raise InvalidQuery(f"rescore needs the query's one vector; {reason}.", field="rescore")
    if query.diversity > 0:
        raise InvalidQuery(f"diversity needs the query's one vector; {reason}.", field="diversity")


def _check_order(query: Query) -> None:
    if not 0 <= query.diversity <= 1:
        raise InvalidQuery("diversity is a number from 0 to 1.", field="diversity")
    if query.diversity == 0:
        return
    if query.rescore:
        raise InvalidQuery(
            "diversity already orders the candidates by their exact cosine: leave rescore out.",
            field="rescore",
        )
    if query.boosts:
        raise InvalidQuery(
            "boosts and diversity each decide the order: give one of them.", field="diversity"
        )


def _check_boosts(boosts: tuple[Boost, ...], fields: Fields) -> None:
    if len(boosts) > MAX_BOOSTS:
        raise InvalidQuery(f"A query has at most {MAX_BOOSTS} boosts.", field="boosts")
    seen: set[str] = set()
    for number, boost in enumerate(boosts):
        at = f"boosts[{number}]"
        _check_boost(boost, fields, at)
        if boost.field in seen:
            raise InvalidQuery(f"{boost.field!r} is boosted twice.", field=f"{at}.field")
        seen.add(boost.field)


def _check_boost(boost: Boost, fields: Fields, at: str) -> None:
    if not 0 < abs(boost.weight) <= MAX_BOOST_WEIGHT:
        raise InvalidQuery(
            f"A boost's weight is a number other than zero, from -{MAX_BOOST_WEIGHT:g} to "
            f"{MAX_BOOST_WEIGHT:g}.",
            field=f"{at}.weight",
        )
    match boost:
        case Flagged(field):
            check_field(field, (FieldType.BOOL,), fields, f"{at}.field", "flag")
        case Popular(field, scale=scale):
            check_field(field, NUMBERS, fields, f"{at}.field", "popularity")
            _check_positive(scale, MAX_SCALE, f"{at}.scale")
        case Fresh(field, half_life_days=days):
            check_field(field, (FieldType.DATETIME,), fields, f"{at}.field", "freshness")
            _check_positive(days, MAX_HALF_LIFE_DAYS, f"{at}.half_life_days")
        case Near(field, target=target, scale=scale):
            check_field(field, NUMBERS, fields, f"{at}.field", "proximity")
            _check_positive(scale, MAX_SCALE, f"{at}.scale")
            if not abs(target) <= MAX_SCALE:
                raise InvalidQuery(
                    f"target is a number from -{MAX_SCALE:g} to {MAX_SCALE:g}.",
                    field=f"{at}.target",
                )


def _check_positive(value: float, most: float, at: str) -> None:
    # A number so small that its square is 0 would divide by it.
    if not MIN_SCALE <= value <= most:
        raise InvalidQuery(f"This is a number from {MIN_SCALE:g} to {most:g}.", field=at)
