"""What the shop sells."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.domain.filters import is_moment

Scalar = str | int | float | bool
Attribute = Scalar | tuple[Scalar, ...]

# Any fixed UUID serves; this one makes point ids the same on every machine.
_POINT_NAMESPACE = uuid.UUID("5a0b7c1e-54a4-5f0e-9a3f-6c6f6f6b616c")


@dataclass(frozen=True, slots=True)
class Location:
    """Where an item is: degrees north and east (WGS 84)."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Item:
    """One article. Each of its `pictures` (a path or URL) becomes one point in the index.

    `price` is in the shop's own currency; `attributes` are free fields, filterable as
    `attributes.<name>`.
    """

    id: str
    title: str
    pictures: tuple[str, ...]
    description: str = ""
    category: str = ""
    brand: str = ""
    price: float | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    location: Location | None = None

    def lexical_text(self) -> str:
        """The words that full-text search sees; dates are none."""
        words = [self.title, self.description, self.category, self.brand]
        for value in self.attributes.values():
            values = value if isinstance(value, tuple) else (value,)
            words += [v for v in values if isinstance(v, str) and not is_moment(v)]
        return " ".join(w for w in words if w)


def point_id(item_id: str, picture_no: int) -> str:
    """The UUID of an item's picture, counted from 0: the same everywhere and in every release."""
    return str(uuid.uuid5(_POINT_NAMESPACE, f"{picture_no}/{item_id}"))
