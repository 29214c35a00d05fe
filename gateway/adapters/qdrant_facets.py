"""Facet counts over a result set: the same for both stores, and without I/O.

Qdrant's own facets count over a whole collection, or what a filter leaves of it, and count
pictures. A shopper who reads "hats (3)" beside an answer means the items of that answer. So the
fields are read with the result set, and counted here. On the edge that took 12 ms of CPU for 1,024
points (8 ms to read their payloads, 2 ms to count three fields); Qdrant's facets with the ids as a
filter took 3 ms a field after a search of 2 ms, and counted pictures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from gateway.adapters.qdrant_paging import RESULT_SET_POINTS, Window, words
from gateway.domain.items import Scalar
from gateway.domain.plan import SearchPlan
from gateway.domain.query import FacetCount, Facets

RESULT_SET = Window(RESULT_SET_POINTS, RESULT_SET_POINTS)
MAX_VALUES = 100


def result_set(plan: SearchPlan) -> SearchPlan | None:
    """The plan whose points are counted; None if it looks for nothing."""
    if plan.dense is None and words(plan) is None:
        return None
    return replace(plan, second=None, boosts=(), group_by=None)


def counted(fields: Sequence[str], points: Iterable[tuple[str, Sequence[Any]]]) -> Facets:
    """Counts by field. A point is its item's id and the item's values in the order of `fields`;
    an item counts once, however many of its pictures are there."""
    items = dict(points)
    columns = zip(*items.values(), strict=True) if items else ([] for _ in fields)
    return {field: _count(column) for field, column in zip(fields, columns, strict=True)}


def _count(column: Iterable[Any]) -> tuple[FacetCount, ...]:
    counter: Counter[Scalar] = Counter()
    counter.update(chain.from_iterable(map(_values, column)))
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return tuple(FacetCount(value, count) for value, count in ordered[:MAX_VALUES])


def _values(value: Any) -> Iterable[Scalar]:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return set(value)
    return () if value is None else (value,)
