"""A made-up catalogue, and the index's answers worked out by hand (numpy, plain Python)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from gateway.domain import payload as payloads
from gateway.domain.filters import FieldType, Filter
from gateway.domain.items import Attribute, Item, Location, point_id
from gateway.domain.plan import BestScore, SearchPlan, Sparse
from gateway.domain.ports import CatalogIndex, CollectionSpec, Point
from gateway.domain.query import Hit
from gateway.domain.vectors import Batch, Vector

DIM = 16
NO_WORDS = Sparse((), ())
MIDSUMMER = datetime(2026, 6, 21, 12, tzinfo=UTC)
ALL_FIELDS: Mapping[str, FieldType] = {
    **payloads.BASE_FIELDS,
    "attributes.stock": FieldType.INTEGER,
    "attributes.sale": FieldType.BOOL,
    "attributes.sizes": FieldType.KEYWORD,
    "attributes.style": FieldType.KEYWORD,
    "attributes.added": FieldType.DATETIME,
}
# Few fields, because the edge store waits for the disk at each one that it indexes.
SPEC = CollectionSpec("shoes-v1", DIM, "fingerprint-1", {"category": FieldType.KEYWORD})
SPEC_OF_ALL_FIELDS = replace(SPEC, fields=ALL_FIELDS)
CATEGORIES = ("shoes", "hats", "bags")
WORDS = ("Red", "blue", "leather", "summer", "kids")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Items, and the vectors of their pictures: `[pictures, dim]` each."""

    items: tuple[Item, ...]
    vectors: Mapping[str, Batch]

    def points(self) -> list[Point]:
        """Every picture as a point, without words."""
        return [
            Point(
                point_id(item.id, number),
                self.vectors[item.id][number],
                NO_WORDS,
                payloads.to_payload(item, number, "digest"),
            )
            for item in self.items
            for number in range(len(item.pictures))
        ]

    def nearest(self, query: Vector, ids: Iterable[str] | None = None) -> list[tuple[str, float]]:
        """Items by the cosine of their best picture, best first: the exact answer."""
        kept = [item.id for item in self.items] if ids is None else list(ids)
        best = {name: float((self.vectors[name] @ query).max()) for name in kept}
        return sorted(best.items(), key=lambda pair: -pair[1])


def unit_rows(rng: np.random.Generator, rows: int, dim: int = DIM) -> Batch:
    """Random unit vectors `[rows, dim]`."""
    values: Batch = rng.normal(size=(rows, dim)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return values


def shelf(seed: int, items: int = 60, most_pictures: int = 4, dim: int = DIM) -> Shelf:
    """A catalogue in which every field has every kind of value somewhere."""
    rng = np.random.default_rng(seed)
    made = [_item(rng, number, int(rng.integers(1, most_pictures + 1))) for number in range(items)]
    return Shelf(tuple(made), {i.id: unit_rows(rng, len(i.pictures), dim) for i in made})


def _item(rng: np.random.Generator, number: int, pictures: int) -> Item:
    title = " ".join(rng.choice(WORDS, size=3, replace=False))
    # The edge store reads payload numbers of 17 digits back with another last digit.
    place = Location(round(float(rng.uniform(47, 55)), 6), round(float(rng.uniform(6, 15)), 6))
    sizes = tuple(str(size) for size in rng.choice(("s", "m", "l", "xl"), size=2, replace=False))
    added = MIDSUMMER - timedelta(days=int(rng.integers(0, 400)))
    attributes: dict[str, Attribute] = {
        "stock": int(rng.integers(0, 4)),
        "sale": bool(rng.integers(0, 2)),
        "sizes": sizes,
    }
    if number % 4:
        attributes |= {"style": f"style-{number % 9}", "added": added.isoformat()}
    return Item(
        id=f"sku-{number:04}",
        title=title,
        pictures=tuple(f"https://shop.example/{number}/{n}.jpg" for n in range(pictures)),
        category=str(rng.choice(CATEGORIES)),
        brand=str(rng.choice(("Acme", "Bolt"))),
        price=None if number % 7 == 0 else float(rng.integers(1, 200)),
        attributes=attributes,
        location=None if number % 5 == 0 else place,
    )


def plan(
    dense: Vector | BestScore | None = None,
    lexical: Sparse | None = None,
    only: Filter | None = None,
    limit: int = 20,
    offset: int = 0,
    min_score: float | None = None,
    fields: tuple[str, ...] | None = None,
    exclude: tuple[str, ...] = (),
) -> SearchPlan:
    """A plan, with what a test does not speak of left out."""
    return SearchPlan(dense, lexical, only, limit, offset, min_score, fields, exclude)


def ids(hits: Sequence[Hit]) -> list[str]:
    """The items of an answer, best first."""
    return [hit.item_id for hit in hits]


async def stocked(index: CatalogIndex, stock: Shelf, spec: CollectionSpec = SPEC) -> Shelf:
    """The index with a catalogue in it."""
    await index.create(spec)
    await index.upsert(SPEC.name, stock.points())
    return stock
