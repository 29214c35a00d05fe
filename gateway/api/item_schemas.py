"""Items as they travel, and their translation to the domain."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from gateway.api.schemas import Strict
from gateway.domain.items import Item, Location


class LocationIn(Strict):
    """Degrees (WGS 84)."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


AttributeIn = StrictBool | StrictInt | Annotated[float, Field(allow_inf_nan=False)] | StrictStr


_EXAMPLE: dict[str, Any] = {
    "title": "Red leather shoe",
    "pictures": ["https://shop.example/42/front.jpg"],
    "category": "shoes",
    "price": 59.9,
    "attributes": {"colour": "red", "in_stock": True, "added": "2026-03-01T00:00:00Z"},
}


class ItemBody(Strict):
    """What the shop says of an item."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    title: str = Field(min_length=1, max_length=1_000, examples=["Red leather shoe"])
    pictures: list[str] = Field(
        min_length=1, max_length=100, description="Paths or http(s) addresses."
    )
    description: str = Field("", max_length=20_000)
    category: str = Field("", max_length=1_000)
    brand: str = Field("", max_length=1_000)
    price: float | None = Field(None, ge=0, allow_inf_nan=False)
    attributes: dict[str, AttributeIn | list[AttributeIn]] = Field({}, max_length=200)
    location: LocationIn | None = None

    def to_domain(self, item_id: str) -> Item:
        """The item as the domain knows it."""
        place = self.location
        return Item(
            id=item_id,
            title=self.title,
            pictures=tuple(self.pictures),
            description=self.description,
            category=self.category,
            brand=self.brand,
            price=self.price,
            attributes={
                k: tuple(v) if isinstance(v, list) else v for k, v in self.attributes.items()
            },
            location=None if place is None else Location(place.lat, place.lon),
        )


class ItemIn(ItemBody):
    """An item with its id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "sku-42"} | _EXAMPLE]})

    id: str = Field(min_length=1, max_length=256, examples=["sku-42"])


class BatchIn(Strict):
    """Several changes; each is answered by itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"upsert": [{"id": "sku-42"} | _EXAMPLE], "delete": ["sku-7"]}]
        }
    )

    upsert: list[ItemIn] = Field([], max_length=1_000)
    delete: list[str] = Field([], max_length=1_000)


class ItemShown(BaseModel):
    """An item as answers show it: what it has, and of that what was asked for."""

    id: str | None = None
    title: str | None = None
    pictures: list[str] | None = None
    description: str | None = None
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    attributes: dict[str, Any] | None = None
    location: dict[str, float] | None = None


class ItemStatus(BaseModel):
    """What became of one item of a batch."""

    id: str
    status: Literal["indexed", "deleted", "absent", "failed"]
    embedded: int = 0
    skipped_pictures: list[str] = []
    problem: dict[str, Any] | None = None


class BatchOut(BaseModel):
    """What became of each item, in the order of the request: written first, then deleted."""

    results: list[ItemStatus]
