"""The arithmetic of pages, against stores that are as awkward as a store may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.qdrant_paging import (
    FIRST_WINDOW_POINTS,
    SPARE_POINTS,
    PageFill,
    Pager,
    Scored,
    Window,
)
from gateway.domain.plan import Sparse
from gateway.domain.query import Beam, Hit
from tests.contract.catalog import NO_WORDS, ids, plan

DENSE = np.ones(4, dtype=np.float32)


@dataclass(frozen=True)
class MadeUp:
    """A point of a store that is none."""

    point_id: str
    item_id: str
    score: float

    def value(self, key: str) -> None:
        """Nothing is grouped here."""

    def payload(self) -> dict[str, Any]:
        """What a hit needs at least."""
        return {"pictures": ["a.jpg"], "_point": {"picture_no": 0}}


def made_up_store(owners: list[int], scores: list[float]) -> list[Scored]:
    """Points of items, best first; `owners` says whose each point is."""
    points: list[Scored] = [
        MadeUp(f"{n:05}", f"sku-{owner}", score)
        for n, (owner, score) in enumerate(zip(owners, scores, strict=True))
    ]
    return sorted(points, key=lambda point: -point.score)


def page(
    store: list[Scored], limit: int, offset: int, shuffle_ties: int, fill: PageFill | None = None
) -> tuple[list[Hit], list[int]]:
    """One page, and the points of each request it took. Equal scores stand in any order."""
    rng = np.random.default_rng(shuffle_ties)
    pager = Pager(plan(DENSE, limit=limit, offset=offset), fill or PageFill())
    requests = []
    for window in pager.windows():
        ties = {point.point_id: rng.random() for point in store}
        found = sorted(store, key=lambda p: (-p.score, ties[p.point_id]))
        pager.add(window, found[: window.points])
        requests.append(window.points)
    return pager.hits(), requests


def filled(points_a_hit: float) -> PageFill:
    """As it is after pages that took so many points for a hit."""
    fill = PageFill()
    fill.learn(100, round(100 * points_a_hit))
    return fill


@given(
    st.lists(st.integers(0, 40), max_size=1500),
    st.integers(1, 60),
    st.integers(0, 1000),
)
def test_pages_hold_every_item_once_and_all_but_the_last_are_full(
    owners: list[int], limit: int, seed: int
) -> None:
    """Three points a score: a store answers ties in any order."""
    scores = np.random.default_rng(seed).permutation(len(owners)) // 3
    store = made_up_store(owners, [float(score) for score in scores])
    seen: list[str] = []
    for offset in range(0, 41 + limit, limit):
        hits, _ = page(store, limit, offset, shuffle_ties=seed + offset)
        left = len(set(owners)) - offset
        assert len(hits) == max(0, min(limit, left))
        seen += ids(hits)
    assert sorted(seen) == sorted({f"sku-{owner}" for owner in owners})


def test_a_tie_at_the_edge_of_a_window_is_told_whole_or_not_at_all() -> None:
    """Pages of 24 end where the first window does."""
    pairs = [float(-(n // 2)) for n in range(200)]
    store = made_up_store(list(range(200)), [1.0, *pairs[:-1]])
    for seed in range(20):
        pages = [ids(page(store, 24, offset, seed + offset)[0]) for offset in range(0, 216, 24)]
        seen = [name for one in pages for name in one]
        assert len(seen) == len(set(seen)) == 200


def test_a_common_page_takes_one_request() -> None:
    store = made_up_store(list(range(5000)), list(np.linspace(1, 0, 5000)))
    for offset in (0, 20):
        hits, requests = page(store, 20, offset, shuffle_ties=0)
        assert requests == [offset + 20 + SPARE_POINTS]
        assert ids(hits) == [f"sku-{n}" for n in range(offset, offset + 20)]


@given(
    st.lists(st.integers(0, 60), max_size=300),
    st.integers(1, 30),
    st.integers(1, 40),
    st.floats(1, 5),
    st.integers(0, 1000),
)
def test_what_earlier_pages_took_changes_no_page(
    owners: list[int], limit: int, equal: int, points_a_hit: float, seed: int
) -> None:
    """So many points a score, fewer than the first window."""
    scores = np.random.default_rng(seed).permutation(len(owners)) // equal
    store = made_up_store(owners, [float(score) for score in scores])
    for offset in (0, limit):
        usual, _ = page(store, limit, offset, seed, filled(FIRST_WINDOW_POINTS))
        assert page(store, limit, offset, seed + 1, filled(points_a_hit))[0] == usual


def test_a_catalogue_of_several_pictures_an_item_soon_takes_one_request_too() -> None:
    """Two of each item, next to each other."""
    store = made_up_store([n // 2 for n in range(5000)], list(np.linspace(1, 0, 5000)))
    fill = PageFill()
    taken = [page(store, 20, 0, 0, fill)[1] for _ in range(3)]
    assert taken == [[20 + SPARE_POINTS, FIRST_WINDOW_POINTS], *[[39 + SPARE_POINTS]] * 2]


def test_a_page_of_few_pictures_after_many_takes_fewer_points_in_time() -> None:
    store = made_up_store(list(range(5000)), list(np.linspace(1, 0, 5000)))
    fill = filled(3)
    for _ in range(200):
        page(store, 20, 0, 0, fill)
    assert page(store, 20, 0, 0, fill)[1] == [20 + SPARE_POINTS + 1]


def test_never_fewer_points_are_read_than_hits_are_wanted() -> None:
    """Also after pages that a second request filled with its first point."""
    fill = PageFill()
    for _ in range(1000):
        fill.learn(hits=20, points=1)
    assert fill.points(20) == 20 + SPARE_POINTS


def test_the_windows_do_not_depend_on_the_page() -> None:
    """What is read before the first is how the first begins."""
    for n in (1, 20, 1000):
        windows = list(islice(Pager(plan(DENSE, limit=n, offset=n), filled(1)).windows(), 4))
        whole = [window for window in windows if window.points >= FIRST_WINDOW_POINTS]
        assert whole[:2] == [Window(256, FIRST_WINDOW_POINTS), Window(256, 256)]
        assert all(window.leg_points == 256 for window in windows[: len(windows) - len(whole)])


def test_the_first_window_is_not_begun_where_its_beginning_would_be_another() -> None:
    """A group needs all of its members, and a narrow walk of the graph finds what it finds."""
    few = plan(DENSE, limit=1)
    for one in (replace(few, group_by="color"), replace(few, nearest=Beam(16))):
        assert next(iter(Pager(one, PageFill()).windows())).points == FIRST_WINDOW_POINTS


def test_a_plan_with_nothing_to_look_for_asks_nothing() -> None:
    for lexical in (None, NO_WORDS):
        pager = Pager(plan(lexical=lexical), PageFill())
        assert list(pager.windows()) == []
        assert pager.hits() == []
    worded = Pager(plan(lexical=Sparse((1,), (1.0,))), PageFill())
    assert list(islice(worded.windows(), 1))
