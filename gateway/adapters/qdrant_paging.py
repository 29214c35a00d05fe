"""Pages of items out of lists of points: the same for both stores, and without I/O.

An item has several pictures and each is a point, so a list of points has to become a list of
items, each by its best picture, and a page of it has to be full, whatever number of pictures the
items have. Qdrant's own grouping is not used: it multiplies the depth of every prefetch by the
number of groups, and it repeats the query without the groups already found, at most ten times.
That renumbers the ranks that RRF counts, so that fused scores of one answer do not compare, two
pages do not fit together, and items with many pictures can still leave a page short.

Here a search reads windows of a fixed sequence that does not depend on the page: the ranking is
the items of the first window, then what the second has that the first has not, and so on. Every
page is a slice of that one list, so pages neither repeat nor skip. A page that a part of the first
window is likely to fill reads that part before: it is how the ranking begins, so the slice is the
same, and what is not read costs nothing (`PageFill`).

A second stage and boosts order the candidates of each window: all that the legs found, for a limit
between them would cut through equal fused scores, here or there from one request to the next. The
first two windows have the same candidates, so LEG_POINTS of each leg compete for the first pages;
those of a deeper window follow them. A diversified search has a first window of its own, and what
follows it is not diversified.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from gateway.domain import payload as payloads
from gateway.domain.items import Attribute
from gateway.domain.plan import Diversify, Rescore, SearchPlan, Sparse
from gateway.domain.query import Exact, Hit

# How deep each leg of a hybrid search is read before fusion. A point that one leg has at rank 256
# gets 1/316 from it, a fifth of what the first rank is worth. On 2,000 items, 256 instead of 100
# costs 0.1 ms.
LEG_POINTS = 256

# The first window holds two pages of 20 for a catalogue with one picture an item. Each point
# costs the edge 8 µs, most of them for its payload.
FIRST_WINDOW_POINTS = 48

# More than a page should need, for equal scores at the end of what is read (`_without_cut_tie`).
SPARE_POINTS = 4

GROWTH = 4

# The result set: what groups are gathered from. Few groups of many items would otherwise make a
# search read the whole collection to find out that there are no more.
RESULT_SET_POINTS = LEG_POINTS * GROWTH

# The candidates of a diversified search, of both legs together. Each is compared with every hit
# above it: to put 128 of 256 numbers in order took the edge 5 ms of CPU, 256 took 15 ms.
DIVERSE_POINTS = 128

# Further members of a group that a hit names.
MAX_OTHERS = 20

# Reciprocal rank fusion: a point's score is the sum of 1 / (RRF_K + rank), ranks from 0.
# 60 is the value of Cormack, Clarke and Büttcher (SIGIR 2009); with Qdrant's default of 2,
# the first of one leg outranks what both legs have at rank 3.
RRF_K = 60


@dataclass(frozen=True, slots=True)
class Window:
    """One request: the best `points` points, fused (if there are two legs) from the best
    `leg_points` of each leg."""

    leg_points: int
    points: int


class PageFill:
    """How many points a hit takes in this catalogue, as its pages tell: one if every item has one
    picture, more if it has more and they are alike. It goes up at once and down slowly, since a
    page that is not full costs a second request, and some points too many cost microseconds."""

    _SLOWLY = 0.02

    def __init__(self) -> None:
        self._points_a_hit = 1.0

    def points(self, hits: int) -> int:
        """As many as will do for so many hits."""
        return math.ceil(hits * self._points_a_hit) + SPARE_POINTS

    def learn(self, hits: int, points: int) -> None:
        """So many hits took so many points; fewer, if a second request filled the page up."""
        seen = max(1.0, points / hits)
        slower = self._points_a_hit + self._SLOWLY * (seen - self._points_a_hit)
        self._points_a_hit = max(seen, slower)


class Scored(Protocol):
    """A point that answers. A store gives more of them than a page shows, and to decode one costs
    as much as to find it, so each of its values is decoded when it is asked for."""

    @property
    def score(self) -> float:
        """What the ranking goes by."""
        ...

    @property
    def point_id(self) -> str:
        """The point's id, for the order of equal scores."""
        ...

    @property
    def item_id(self) -> str:
        """Whose picture it is."""
        ...

    def value(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        """What stands at a filter key; None if nothing does."""
        ...

    def payload(self) -> Mapping[str, Any]:
        """The keys that were asked for."""
        ...


def words(plan: SearchPlan) -> Sparse | None:
    """The lexical leg, or None if the plan has none or it has no words."""
    return plan.lexical if plan.lexical is not None and plan.lexical.indices else None


def payload_keys(plan: SearchPlan) -> list[str] | None:
    """The payload keys that a hit is made from; None stands for all of them."""
    if plan.fields is None:
        return None
    grouping = () if plan.group_by is None else (plan.group_by,)
    return list(dict.fromkeys(("id", "pictures", payloads.POINT_KEY, *plan.fields, *grouping)))


def candidates(plan: SearchPlan, window: Window) -> int:
    """How many points the legs can find together: no stage after them cuts off any."""
    return _legs(plan) * window.leg_points


def dense_points(plan: SearchPlan, window: Window) -> int:
    """How many points the vectors' leg is asked for: what is answered, if no stage is after it."""
    alone = _legs(plan) == 1 and plan.second is None and not plan.boosts
    return window.points if alone else window.leg_points


def oversampling(ef: int, limit: int) -> float:
    """How many times `limit` is compared in full, of what a walk over quantised vectors found: all
    of the beam, so that fewer points are how more of them begin. Qdrant cuts the product down to a
    whole number."""
    return max(1.0, (ef + 0.5) / limit)


def second_stage(plan: SearchPlan, window: Window) -> Rescore | Diversify | None:
    """The plan's second stage, as far as it reaches this deep."""
    deep = window.leg_points > DIVERSE_POINTS
    return None if deep and isinstance(plan.second, Diversify) else plan.second


@dataclass(frozen=True, slots=True)
class _Group:
    value: Attribute


@dataclass(frozen=True, slots=True)
class _Alone:
    item_id: str


class Pager:
    """Collects one page.

    >>> for window in pager.windows():
    ...     pager.add(window, ask_the_store(window))
    >>> pager.hits()
    """

    def __init__(self, plan: SearchPlan, fill: PageFill) -> None:
        self._plan = plan
        self._fill = fill
        self._needed = plan.offset + plan.limit
        # By item or group, in the order of the ranking.
        self._best: dict[Hashable, Scored] = {}
        self._others: dict[Hashable, dict[str, None]] = {}
        self._exhausted = words(plan) is None and plan.dense is None

    def windows(self) -> Iterator[Window]:
        """The windows to read, until the page is full or the store has no more."""
        for window in _sequence(self._plan, self._fill.points(self._needed)):
            too_deep = self._plan.group_by is not None and window.points > RESULT_SET_POINTS
            if self._exhausted or too_deep or len(self._best) >= self._needed:
                return
            yield window

    def add(self, window: Window, found: Sequence[Scored]) -> None:
        """Takes what the store gave for `window`, best first."""
        points: Iterable[Scored]
        # A leg that was cut short has given `leg_points`, and their union is no smaller.
        self._exhausted = len(found) < min(window.points, window.leg_points)
        if isinstance(second_stage(self._plan, window), Diversify):
            points = _settled(found)
        else:
            ranked = sorted(found, key=_score, reverse=True)
            whole = ranked if self._exhausted else _without_cut_tie(ranked)
            if not whole and window.points >= FIRST_WINDOW_POINTS:
                whole = ranked  # all are equal: or a search of a common word would not end
            points = _by_id_where_equal(whole)
        if self._plan.group_by is None:
            self._take(points)
        else:
            self._gather(points, self._plan.group_by)

    def hits(self) -> list[Hit]:
        """The page, best first."""
        page = list(self._best.items())[self._plan.offset : self._needed]
        return [self._hit(key, point) for key, point in page]

    def _take(self, points: Iterable[Scored]) -> None:
        """Each item by its best point, until the page is full."""
        for number, point in enumerate(points, start=1):
            self._best.setdefault(point.item_id, point)
            if len(self._best) >= self._needed:
                self._fill.learn(self._needed, number)
                return

    def _gather(self, points: Iterable[Scored], field: str) -> None:
        """Groups by value; an item without one stands alone."""
        for point in points:
            group = group_value(point.value(field))
            key = _Alone(point.item_id) if group is None else _Group(group)
            best = self._best.setdefault(key, point)
            if best.item_id != point.item_id:
                self._others.setdefault(key, {})[point.item_id] = None

    def _hit(self, key: Hashable, point: Scored) -> Hit:
        payload = point.payload()
        others = list(self._others.get(key, ()))
        return Hit(
            item_id=point.item_id,
            score=point.score,
            picture=payload["pictures"][payloads.picture_no(payload)],
            item=payloads.public(payload, self._plan.fields),
            group=key.value if isinstance(key, _Group) else None,
            others=tuple(others[:MAX_OTHERS]),
        )


def group_value(value: Any) -> Attribute | None:  # noqa: ANN401 - any JSON
    """What an item is grouped by: a field's value, or all its values together; None for none."""
    return (tuple(value) or None) if isinstance(value, list) else value


# Equal scores stand in any order in a store's answer, and in another one in its next. Ranks that
# mirror each other in two legs have equal fused scores, and so have pictures that several items
# share.


def _score(point: Scored) -> float:
    return point.score


def _by_id_where_equal(points: Iterable[Scored]) -> Iterator[Scored]:
    """Points in the order of their scores, and those of equal score in the order of their ids."""
    for _, tie in groupby(points, _score):
        equal = list(tie)
        yield from sorted(equal, key=lambda p: p.point_id) if len(equal) > 1 else equal


def _without_cut_tie(points: Sequence[Scored]) -> Sequence[Scored]:
    """Without the last points of equal score, of which the window may have cut off some; the next
    window has them all."""
    end = len(points)
    while end and points[end - 1].score == points[-1].score:
        end -= 1
    return points[:end]


def _settled(points: Sequence[Scored]) -> list[Scored]:
    """Diversified points with those of equal score in the order of their ids, in the places that
    they hold together: they show the same picture, and either could have come first. (Two pictures
    that differ but are equally near to the query, to the last bit, the engine may take in either
    order, with other ones after them; drawings in plain colours do that, photos do not.)"""
    waiting: dict[float, list[Scored]] = {}
    for point in sorted(points, key=lambda p: p.point_id, reverse=True):
        waiting.setdefault(point.score, []).append(point)
    return [waiting[point.score].pop() for point in points]


def _begins_alike(plan: SearchPlan) -> bool:
    """Whether fewer points of the first window are how it begins. A group is not whole by then, and
    a walk of the graph that is narrower than the window finds other points."""
    wide = isinstance(plan.nearest, Exact) or plan.nearest.ef >= FIRST_WINDOW_POINTS
    return plan.group_by is None and wide


def _legs(plan: SearchPlan) -> int:
    return (plan.dense is not None) + (words(plan) is not None)


def _sequence(plan: SearchPlan, enough: int) -> Iterator[Window]:
    """The windows; before the first, its beginning, if that is `enough` points."""
    if isinstance(plan.second, Diversify):
        yield Window(DIVERSE_POINTS // _legs(plan), DIVERSE_POINTS)
    else:
        if enough < FIRST_WINDOW_POINTS and _begins_alike(plan):
            yield Window(LEG_POINTS, enough)
        yield Window(LEG_POINTS, FIRST_WINDOW_POINTS)
    points = LEG_POINTS
    while True:
        yield Window(points, points)
        points *= GROWTH
