"""A search as asked (`Query`), as an index runs it (`SearchPlan`), and as answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.domain.filters import Filter
from gateway.domain.vectors import Vector

MAX_LIMIT = 1_000
MAX_DEPTH = 10_000  # offset + limit: deeper pages cost the index more than any shopper reads
MAX_PARTS = 16
MAX_TEXT_CHARS = 2_000
MAX_WEIGHT = 1_000.0


class Mode(StrEnum):
    """Which legs answer: nearest vectors, full text, or both fused."""

    AUTO = "auto"
    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Crop:
    """A box on the upright picture, as fractions of its width and height from the top left."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class TextPart:
    """Words, as the shopper typed them."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An encoded picture."""

    data: bytes
    weight: float = 1.0
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class ItemPart:
    """An item of the catalogue, by its own stored vector."""

    item_id: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class VectorPart:
    """A raw vector of the active release's space; any length but zero."""

    values: tuple[float, ...]
    weight: float = 1.0


QueryPart = TextPart | ImagePart | ItemPart | VectorPart


@dataclass(frozen=True, slots=True)
class Query:
    """One search. `fields` None means all fields of an item; `min_score` applies to cosine only."""

    parts: tuple[QueryPart, ...]
    mode: Mode = Mode.AUTO
    filter: Filter | None = None
    limit: int = 20
    offset: int = 0
    min_score: float | None = None
    fields: tuple[str, ...] | None = None
    exclude_items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: BM25 weights by term."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What an index is asked to run, in one request. At least one of `dense` and `lexical` is set;
    with both, their ranks are fused (RRF)."""

    dense: Vector | None
    lexical: Sparse | None
    filter: Filter | None
    limit: int
    offset: int
    min_score: float | None
    fields: tuple[str, ...] | None
    exclude_items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that answers, by its best picture. `item` holds the payload's fields."""

    item_id: str
    score: float
    picture: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer, wholly from one release. `timings` are seconds by stage."""

    hits: tuple[Hit, ...]
    release: str
    mode: Mode
    timings: Mapping[str, float] = field(default_factory=dict)
