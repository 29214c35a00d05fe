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
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain import payload as payloads
from gateway.domain.query import Hit, SearchPlan, Sparse

# How deep each leg of a hybrid search is read before fusion. A point that one leg has at rank 256
# gets 1/316 from it, a fifth of what the first rank is worth. On 2,000 items, 256 instead of 100
# costs 0.1 ms.
LEG_POINTS = 256

# The first window holds two pages of 20 for a catalogue with one picture an item. Each point
# costs the edge 4 µs for its payload (measured with one of 500 bytes).
FIRST_WINDOW_POINTS = 48

GROWTH = 4

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
    """A point that answers: cosine, BM25 or RRF score. `payload` gives the keys that were asked
    for; to decode it costs, and only the points of the page need it."""

    point_id: str
    item_id: str
    score: float
    payload: Callable[[], Mapping[str, Any]]


def words(plan: SearchPlan) -> Sparse | None:
    """The lexical leg, or None if the plan has none or it has no words."""
    return plan.lexical if plan.lexical is not None and plan.lexical.indices else None


def payload_keys(fields: tuple[str, ...] | None) -> list[str] | None:
    """The payload keys that a hit is made from; None stands for all of them."""
    if fields is None:
        return None
    return list(dict.fromkeys(("id", "pictures", payloads.POINT_KEY, *fields)))


class Pager:
    """Collects one page.

    >>> for window in pager.windows():
    ...     pager.add(window, ask_the_store(window))
    >>> pager.hits()
    """

    def __init__(self, plan: SearchPlan) -> None:
        self._plan = plan
        self._needed = plan.offset + plan.limit
        self._best: dict[str, Scored] = {}  # by item id, in the order of the ranking
        self._exhausted = words(plan) is None and plan.dense is None

    def windows(self) -> Iterator[Window]:
        """The windows to read, until the page is full or the store has no more."""
        for window in _sequence():
            if self._exhausted or len(self._best) >= self._needed:
                return
            yield window

    def add(self, window: Window, points: Sequence[Scored]) -> None:
        """Takes what the store gave for `window`, best first."""
        # Equal scores stand in any order in a store's answer, and in another one in its next.
        for point in sorted(points, key=lambda p: (-p.score, p.point_id)):
            self._best.setdefault(point.item_id, point)
        # No leg can have been cut short when even their union is smaller than what was asked.
        self._exhausted = len(points) < window.points

    def hits(self) -> list[Hit]:
        """The page, best first."""
        page = list(self._best.values())[self._plan.offset : self._needed]
        return [_hit(point, self._plan.fields) for point in page]


def _sequence() -> Iterator[Window]:
    yield Window(LEG_POINTS, FIRST_WINDOW_POINTS)
    points = LEG_POINTS
    while True:
        yield Window(points, points)
        points *= GROWTH


def _hit(point: Scored, fields: tuple[str, ...] | None) -> Hit:
    payload = point.payload()
    return Hit(
        item_id=point.item_id,
        score=point.score,
        picture=payload["pictures"][payloads.picture_no(payload)],
        item=payloads.public(payload, fields),
    )
