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
class Beam:
    """Nearest vectors by a walk of the HNSW graph, `ef` points wide: wider finds more, and slower.

    The default is as wide as the graph's own beam while it is built. An index widens it to the
    number of points asked for, and scans a collection that is too small for a graph.
    """

    ef: int = 128


@dataclass(frozen=True, slots=True)
class Exact:
    """Nearest vectors by comparing all of them: what approximate answers are measured against."""


@dataclass(frozen=True, slots=True)
class LegWeights:
    """What each leg's ranks count in fusion; 0 or more, 1 each is plain RRF.

    A leg with weight w gives its rank r, counted from 0, 1 / ((r + 1) / w + RRF_K - 1), as Qdrant
    computes it: with half the weight, ranks fall twice as fast. 0 leaves the leg out.
    """

    dense: float = 1.0
    lexical: float = 1.0


@dataclass(frozen=True, slots=True)
class Query:
    """One search. `fields` None means all fields of an item; `min_score` applies to cosine only.

    `nearest` and `weights` are for measuring: a storefront does not send them. `weights` None
    takes those that the gateway is set to.
    """

    parts: tuple[QueryPart, ...]
    mode: Mode = Mode.AUTO
    filter: Filter | None = None
    limit: int = 20
    offset: int = 0
    min_score: float | None = None
    fields: tuple[str, ...] | None = None
    exclude_items: tuple[str, ...] = ()
    nearest: Beam | Exact = Beam()
    weights: LegWeights | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as that decides which release answers.

    `user` is any name that stays the same for a shopper: it meets the same side of a canary at
    every search. `release` names a release that is kept in step, to be asked instead.
    """

    user: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: BM25 weights by term."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What an index is asked to run, in one request. At least one of `dense` and `lexical` is set;
    with both, their ranks are fused (RRF) by `weights`."""

    dense: Vector | None
    lexical: Sparse | None
    filter: Filter | None
    limit: int
    offset: int
    min_score: float | None
    fields: tuple[str, ...] | None
    exclude_items: tuple[str, ...] = ()
    nearest: Beam | Exact = Beam()
    weights: LegWeights = LegWeights()


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that answers, by its best picture. `item` holds the payload's fields."""

    item_id: str
    score: float
    picture: str
    item: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer, wholly from one release. `timings` are seconds by stage; `degraded` is an answer
    of full text alone, because the model that the other half needs is away."""

    hits: tuple[Hit, ...]
    release: str
    mode: Mode
    timings: Mapping[str, float] = field(default_factory=dict)
    degraded: bool = False
