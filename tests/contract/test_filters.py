"""Every kind of condition, against the same condition in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from math import asin, cos, radians, sin, sqrt

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.filters import (
    DateRange,
    Filter,
    GeoBox,
    GeoRadius,
    MatchAny,
    MatchText,
    MatchValue,
    Range,
)
from gateway.domain.items import Item
from gateway.domain.ports import CatalogIndex
from tests.contract.catalog import (
    DIM,
    MIDSUMMER,
    SPEC,
    SPEC_OF_ALL_FIELDS,
    ids,
    plan,
    shelf,
    stocked,
)

NORTH = np.eye(DIM, dtype=np.float32)[0]


def _km(item: Item, lat: float, lon: float) -> float:
    if item.location is None:
        return float("inf")
    a, b = radians(item.location.lat), radians(lat)
    half = sin((a - b) / 2) ** 2 + cos(a) * cos(b) * sin(radians(item.location.lon - lon) / 2) ** 2
    return 2 * 6371.0 * asin(sqrt(half))


def _inside(item: Item) -> bool:
    place = item.location
    return place is not None and 48 < place.lat < 52 and 7 < place.lon < 12


def _sizes(item: Item) -> tuple[str, ...]:
    sizes = item.attributes["sizes"]
    assert isinstance(sizes, tuple)
    return tuple(str(size) for size in sizes)


def _price_within(item: Item, low: float, high: float) -> bool:
    return item.price is not None and low <= item.price < high


def _added(item: Item) -> datetime:
    added = item.attributes.get("added")
    return datetime.max.replace(tzinfo=UTC) if added is None else datetime.fromisoformat(str(added))


DAYS_200 = timedelta(days=200)
_EAST = MIDSUMMER.astimezone(timezone(timedelta(hours=9)))

HATS = MatchValue("category", "hats")
ON_SALE = MatchValue("attributes.sale", True)
CASES: dict[str, tuple[Filter, Callable[[Item], bool]]] = {
    "keyword": (Filter(must=(HATS,)), lambda i: i.category == "hats"),
    "keyword in a list": (
        Filter(must=(MatchValue("attributes.sizes", "xl"),)),
        lambda i: "xl" in _sizes(i),
    ),
    "integer": (
        Filter(must=(MatchValue("attributes.stock", 1),)),
        lambda i: i.attributes["stock"] == 1,
    ),
    "true": (Filter(must=(ON_SALE,)), lambda i: i.attributes["sale"] is True),
    "false": (
        Filter(must=(MatchValue("attributes.sale", False),)),
        lambda i: i.attributes["sale"] is False,
    ),
    "any keyword": (
        Filter(must=(MatchAny("category", ("hats", "bags")),)),
        lambda i: i.category in ("hats", "bags"),
    ),
    "any integer": (
        Filter(must=(MatchAny("attributes.stock", (0, 3)),)),
        lambda i: i.attributes["stock"] in (0, 3),
    ),
    "words": (
        Filter(must=(MatchText("title", "LEATHER red"),)),
        lambda i: {"leather", "red"} <= set(i.title.lower().split()),
    ),
    "range, closed and open": (
        Filter(must=(Range("price", gte=50, lt=100),)),
        lambda i: _price_within(i, 50, 100),
    ),
    "range, the other bounds": (
        Filter(must=(Range("attributes.stock", gt=0, lte=2),)),
        lambda i: i.attributes["stock"] in (1, 2),
    ),
    "dates, closed and open": (
        Filter(must=(DateRange("attributes.added", gte=MIDSUMMER - DAYS_200, lt=MIDSUMMER),)),
        lambda i: MIDSUMMER - DAYS_200 <= _added(i) < MIDSUMMER,
    ),
    "dates, the other bounds, in another zone": (
        Filter(must=(DateRange("attributes.added", gt=_EAST - DAYS_200, lte=_EAST),)),
        lambda i: MIDSUMMER - DAYS_200 < _added(i) <= MIDSUMMER,
    ),
    "radius": (
        Filter(must=(GeoRadius("location", 50.0, 10.0, 200_000.0),)),
        lambda i: _km(i, 50.0, 10.0) < 200,
    ),
    "box": (
        Filter(must=(GeoBox("location", top=52.0, left=7.0, bottom=48.0, right=12.0),)),
        _inside,
    ),
    "should": (
        Filter(should=(HATS, ON_SALE)),
        lambda i: i.category == "hats" or i.attributes["sale"] is True,
    ),
    "must not": (Filter(must_not=(HATS,)), lambda i: i.category != "hats"),
    "all three": (
        Filter(
            must=(ON_SALE,),
            should=(HATS, Range("price", lt=50)),
            must_not=(MatchValue("brand", "Acme"),),
        ),
        lambda i: (
            i.attributes["sale"] is True
            and (i.category == "hats" or _price_within(i, 0, 50))
            and i.brand != "Acme"
        ),
    ),
    "nested": (
        Filter(must_not=(Filter(must=(HATS,), should=(Filter(must=(ON_SALE,)),)),)),
        lambda i: not (i.category == "hats" and i.attributes["sale"] is True),
    ),
    "a field that no item has": (Filter(must=(MatchValue("attributes.none", 1),)), lambda i: False),
    "empty": (Filter(), lambda i: True),
}


async def test_a_filter_lets_through_what_plain_python_lets_through(
    index: CatalogIndex, soon: Deadline
) -> None:
    await index.create(SPEC_OF_ALL_FIELDS)
    stock = await stocked(index, shelf(15))
    kept = {
        case: [item.id for item in stock.items if predicate(item)]
        for case, (_, predicate) in CASES.items()
    }
    tells_nothing = [case for case, names in kept.items() if not 0 < len(names) < len(stock.items)]
    assert tells_nothing == ["a field that no item has", "empty"]
    answers = {
        case: ids(await index.search(SPEC.name, plan(NORTH, only=only, limit=1000), soon))
        for case, (only, _) in CASES.items()
    }
    assert answers == {
        case: [name for name, _ in stock.nearest(NORTH, names)] for case, names in kept.items()
    }
