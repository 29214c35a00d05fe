"""An item as a point's payload, and back.

A point carries the whole item, so that one index request answers a search. The item's own fields
are top-level keys, so that a filter's key is the field's name; what belongs to the point rather
than to the item stands under `_point`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from gateway.domain.filters import FieldType, is_moment
from gateway.domain.items import Attribute, Item, Location

POINT_KEY = "_point"
ITEM_FIELDS = (
    "id",
    "title",
    "pictures",
    "description",
    "category",
    "brand",
    "price",
    "attributes",
    "location",
)

# What can be filtered without a catalogue schema of the shop's own.
BASE_FIELDS: Mapping[str, FieldType] = {
    "id": FieldType.KEYWORD,
    "title": FieldType.TEXT,
    "description": FieldType.TEXT,
    "category": FieldType.KEYWORD,
    "brand": FieldType.KEYWORD,
    "price": FieldType.FLOAT,
    "location": FieldType.GEO,
}


def to_payload(item: Item, picture_no: int, digest: str) -> dict[str, Any]:
    """The payload of the item's picture `picture_no` (from 0). `digest` is of the picture's bytes
    and tells a later run whether the vector is still true."""
    payload: dict[str, Any] = {
        "id": item.id,
        "title": item.title,
        "pictures": list(item.pictures),
        "description": item.description,
        "category": item.category,
        "brand": item.brand,
        "attributes": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in item.attributes.items()
        },
        POINT_KEY: {"picture_no": picture_no, "digest": digest},
    }
    # What an item lacks is left out: a score formula takes no null for a number.
    if item.price is not None:
        payload["price"] = item.price
    if item.location is not None:
        payload["location"] = {"lat": item.location.lat, "lon": item.location.lon}
    return payload


def to_item(payload: Mapping[str, Any]) -> Item:
    """The item that a payload was made from."""
    place = payload.get("location")
    attributes: dict[str, Attribute] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in payload.get("attributes", {}).items()
    }
    return Item(
        id=payload["id"],
        title=payload["title"],
        pictures=tuple(payload["pictures"]),
        description=payload["description"],
        category=payload["category"],
        brand=payload["brand"],
        price=payload.get("price"),
        attributes=attributes,
        location=None if place is None else Location(place["lat"], place["lon"]),
    )


def picture_no(payload: Mapping[str, Any]) -> int:
    """Which of the item's pictures the point is, from 0."""
    number: int = payload[POINT_KEY]["picture_no"]
    return number


def digest(payload: Mapping[str, Any]) -> str:
    """The digest of the bytes that the point's vector was made from."""
    value: str = payload[POINT_KEY]["digest"]
    return value


def public(payload: Mapping[str, Any], fields: tuple[str, ...] | None) -> dict[str, Any]:
    """The item as an answer shows it: the chosen fields, without those that are empty."""
    keys = ITEM_FIELDS if fields is None else fields
    return {k: v for k in keys if (v := payload.get(k)) or v == 0}  # a price of nothing is shown


def value_at(payload: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - any JSON
    """What stands at a filter key such as `brand` or `attributes.colour`; None if nothing does."""
    value: Any = payload
    for name in key.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def attribute_fields(items: Iterable[Item]) -> dict[str, FieldType]:
    """What the items' attributes hold, by filter key; those of mixed types cannot be filtered.

    An attribute of nothing but RFC 3339 dates is a datetime.
    """
    kinds: dict[str, set[type]] = {}
    for item in items:
        for name, value in item.attributes.items():
            values = value if isinstance(value, tuple) else (value,)
            kinds.setdefault(name, set()).update(
                datetime if is_moment(v) else type(v) for v in values
            )
    types = {
        frozenset({str}): FieldType.KEYWORD,
        frozenset({datetime}): FieldType.DATETIME,
        frozenset({str, datetime}): FieldType.KEYWORD,
        frozenset({bool}): FieldType.BOOL,
        frozenset({int}): FieldType.INTEGER,
        frozenset({float}): FieldType.FLOAT,
        frozenset({int, float}): FieldType.FLOAT,
    }
    found = {name: types.get(frozenset(kind)) for name, kind in kinds.items()}
    return {f"attributes.{name}": kind for name, kind in found.items() if kind is not None}
