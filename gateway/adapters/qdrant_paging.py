"""Pages of items out of lists of points: the same for both stores, and without I/O.

An item has several pictures and each is a point, so a list of points has to become a list of
items, each by its best picture, and a page of it has to be full, whatever number of pictures the
items have. Qdrant's own grouping is not used: it multiplies the depth of every prefetch by the
number of groups, and it repeats the query without the groups already found, at most ten times.
That renumbers the ranks that RRF counts, so that fused scores of one answer do not compare, two
pages do not fit together, and items with many pictures can still leave a page short.

Here a search reads windows of a fixed sequence that does not depend on the page: the ranking is
the items of the first window, then what the second has that the first has not, and so on. Every
page is a slice of that one list, so pages neither repeat nor skip.

A second stage and boosts order the candidates of each window: all that the legs found, for a limit
between them would cut through equal fused scores, here or there from one request to the next. The
first two windows have the same candidates, so LEG_POINTS of each leg compete for the first pages;
those of a deeper window follow them. A diversified search has a first window of its own, and what
follows it is not diversified.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain import payload as payloads
from gateway.domain.items import Attribute
from gateway.domain.plan import Diversify, Rescore, SearchPlan, Sparse
from gateway.domain.query import Hit

# How deep each leg of a hybrid search is read before fusion. A point that one leg has at rank 256
# gets 1/316 from it, a fifth of what the first rank is worth. On 2,000 items, 256 instead of 100
# costs 0.1 ms.
LEG_POINTS = 256

# The first window holds two pages of 20 for a catalogue with one picture an item. Each point
# costs the edge 4 µs for its payload (measured with one of 500 bytes).
FIRST_WINDOW_POINTS = 48

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


@dataclass(frozen=True, slots=True)
class Scored:
    """A point that answers. `payload` gives the keys that were asked for; to decode it costs, and
    only the points of the page need it. `group` is the value of the plan's `group_by` field."""

    point_id: str
    item_id: str
    score: float
    payload: Callable[[], Mapping[str, Any]]
    group: Attribute | None = None


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


def second_stage(plan: SearchPlan, window: Window) -> Rescore | Diversify | None:
    """The plan's second stage, as far as it reaches this deep."""
    deep = window.leg_points > DIVERSE_POINTS
    return None if deep and isinstance(plan.second, Diversify) else plan.second


class Pager:
    """Collects one page.

    >>> for window in pager.windows():
    ...     pager.add(window, ask_the_store(window))
    >>> pager.hits()
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self._needed = plan.offset + plan.limit
        # By item or group, in the order of the ranking.
        self._best: dict[Hashable, Scored] = {}
        self._others: dict[Hashable, dict[str, None]] = {}
        self._exhausted = words(plan) is None and plan.dense is None

    def windows(self) -> Iterator[Window]:
        """The windows to read, until the page is full or the store has no more."""
        for window in _sequence(self._plan):
            too_deep = self._plan.group_by is not None and window.points > RESULT_SET_POINTS
            if self._exhausted or too_deep or len(self._best) >= self._needed:
                return
            yield window

    def add(self, window: Window, points: Sequence[Scored]) -> None:
        """Takes what the store gave for `window`, best first."""
        # A leg that was cut short has given `leg_points`, and their union is no smaller.
        self._exhausted = len(points) < min(window.points, window.leg_points)
        if isinstance(second_stage(self._plan, window), Diversify):
            points = _settled(points)
        else:
            points = sorted(points, key=_by_score)
            if not self._exhausted:
                points = _without_cut_tie(points)
        if self._plan.group_by is None:
            for point in points:
                self._best.setdefault(point.item_id, point)
        else:
            self._gather(points)

    def hits(self) -> list[Hit]:
        """The page, best first."""
        page = list(self._best.items())[self._plan.offset : self._needed]
        return [self._hit(key, point) for key, point in page]

    def _gather(self, points: Sequence[Scored]) -> None:
        """Groups by value; an item without one stands alone."""
        for point in points:
            alone = point.group is None
            key = ("item", point.item_id) if alone else ("group", point.group)
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
            group=point.group,
            others=tuple(others[:MAX_OTHERS]),
        )


def group_value(value: Any) -> Attribute | None:  # noqa: ANN401 - any JSON
    """What an item is grouped by: a field's value, or all its values together; None for none."""
    return (tuple(value) or None) if isinstance(value, list) else value


# Equal scores stand in any order in a store's answer, and in another one in its next. Ranks that
# mirror each other in two legs have equal fused scores, and so have pictures that several items
# share.


def _by_score(point: Scored) -> tuple[float, str]:
    return -point.score, point.point_id


def _without_cut_tie(points: Sequence[Scored]) -> Sequence[Scored]:
    """Without the last points of equal score, of which the window may have cut off some; the next
    window has them all. If all are equal they stay, or a search of a common word would not end."""
    end = len(points)
    while end and points[end - 1].score == points[-1].score:
        end -= 1
    return points[:end] if end else points


def _settled(points: Sequence[Scored]) -> list[Scored]:
    """Diversified points with those of equal score in the order of their ids, in the places that
    they hold together: they show the same picture, and either could have come first. (Two pictures
    that differ but are equally near to the query, to the last bit, the engine may take in either
    order, with other ones after them; drawings in plain colours do that, photos do not.)"""
    waiting: dict[float, list[Scored]] = {}
    for point in sorted(points, key=lambda p: p.point_id, reverse=True):
        waiting.setdefault(point.score, []).append(point)
    return [waiting[point.score].pop() for point in points]


def _legs(plan: SearchPlan) -> int:
    return (plan.dense is not None) + (words(plan) is not None)


def _sequence(plan: SearchPlan) -> Iterator[Window]:
    if isinstance(plan.second, Diversify):
        yield Window(DIVERSE_POINTS // _legs(plan), DIVERSE_POINTS)
    else:
        yield Window(LEG_POINTS, FIRST_WINDOW_POINTS)
    points = LEG_POINTS
    while True:
        yield Window(points, points)
        points *= GROWTH
