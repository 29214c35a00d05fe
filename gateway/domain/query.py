"""A search as asked (`Query`) and as answered (`SearchResult`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gateway.domain.boosts import Boost
from gateway.domain.filters import Filter
from gateway.domain.items import Attribute, Scalar
from gateway.domain.query_token import QueryToken

MAX_LIMIT = 1_000
MAX_DEPTH = 10_000  # offset + limit: deeper pages cost the index more than any shopper reads
MAX_PARTS = 16
MAX_TEXT_CHARS = 2_000
MAX_URL_CHARS = 2_000
MAX_WEIGHT = 1_000.0
MAX_LEG_WEIGHT = 1_000.0
MAX_BOOSTS = 8
MAX_FACETS = 10
MAX_BOOST_WEIGHT = 100.0
MAX_SCALE = 1e9
MAX_HALF_LIFE_DAYS = 36_500.0


class Mode(StrEnum):
    """Which legs answer: nearest vectors, full text, or both fused."""

    AUTO = "auto"
    VECTOR = "vector"
    TEXT = "text"
    HYBRID = "hybrid"


class Strategy(StrEnum):
    """How the parts of a query become one search among vectors.

    `weighted_sum`: the nearest to the sum of the parts' vectors, each times its weight.
    `average_vector`: the nearest to twice the mean of the wanted less the mean of the unwanted.
    `best_score`: each picture by the example that it is most like; one that is most like an
    unwanted example comes last.
    The last two are Qdrant's recommendation strategies; of weights, they know the sign only.
    """

    WEIGHTED_SUM = "weighted_sum"
    AVERAGE_VECTOR = "average_vector"
    BEST_SCORE = "best_score"


class Fusion(StrEnum):
    """How the two legs of a hybrid search become one ranking.

    `rrf`: by ranks (reciprocal rank fusion). `dbsf`: by scores, each leg's scaled so that its mean
    less (plus) three standard deviations is 0 (1), and added up (distribution-based score fusion).
    """

    RRF = "rrf"
    DBSF = "dbsf"


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
class UrlPart:
    """A picture by its http(s) URL, for the gateway to fetch."""

    url: str
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


@dataclass(frozen=True, slots=True)
class TokenPart:
    """An earlier query, as the token that its answer carried."""

    token: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class RecalledPart:
    """An earlier query, its token read. It may be of any release until that has been checked."""

    token: QueryToken
    weight: float = 1.0


QueryPart = TextPart | ImagePart | UrlPart | ItemPart | VectorPart | TokenPart | RecalledPart


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

    `weights` None takes those that the gateway is set to; `fusion` and `weights` matter where both
    legs answer. `rescore` puts the candidates in the order of their exact cosine; `diversity` is
    the part, from 0 to 1, that unlikeness to the hits above plays in the order. `group_by` None
    gives each item once, a field each of its values. `facets` are fields whose values are counted
    over the result set. `scores` asks for what each leg thinks of the items; `return_query` for a
    token of the query. `nearest` is for measuring: a
    storefront does not send it.
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
    fusion: Fusion = Fusion.RRF
    strategy: Strategy = Strategy.WEIGHTED_SUM
    rescore: bool = False
    diversity: float = 0.0
    boosts: tuple[Boost, ...] = ()
    group_by: str | None = None
    facets: tuple[str, ...] = ()
    scores: bool = False
    return_query: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as far as that decides which release answers.

    `user` is any name that stays the same for a shopper: it meets the same side of a canary at
    every search. `release` names a release that is kept in step, to be asked instead.
    """

    user: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that answers, by its best picture. `item` holds the payload's fields.

    In a grouped search `group` is the group's value, None for an item that lacks the field and so
    stands alone; `others` are the ids of further members that were met, best first. `scores` are
    the item's in each leg, by the leg's name (`vector`, `text`), where they were asked for.
    """

    item_id: str
    score: float
    picture: str
    item: Mapping[str, Any]
    group: Attribute | None = None
    others: tuple[str, ...] = ()
    scores: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many items of the result set have a value; an item with several counts for each."""

    value: Scalar
    count: int


Facets = Mapping[str, tuple[FacetCount, ...]]  # by field, in the order asked; most frequent first


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer, wholly from one release. `timings` are seconds by stage.

    `confident` says whether the best cosine reaches the release's cut-off for such a query, None if
    it has none or there is no cosine. `degraded` is an answer of full text alone, because the model
    that the other half needs is away.
    """

    hits: tuple[Hit, ...]
    release: str
    mode: Mode
    timings: Mapping[str, float] = field(default_factory=dict)
    facets: Facets = field(default_factory=dict)
    query_token: str | None = None
    confident: bool | None = None
    degraded: bool = False
