"""What an index is asked to run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.domain.boosts import Boost
from gateway.domain.filters import Filter
from gateway.domain.query import Beam, Exact, Fusion, LegWeights
from gateway.domain.vectors import Vector

USUAL_BEAM = Beam()
EVEN = LegWeights()


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector: BM25 weights by term."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BestScore:
    """Examples to be compared with one by one, as Qdrant's `best_score` does: a picture that is
    most like a wanted one scores more than 0, one that is most like an unwanted one less."""

    wanted: tuple[Vector, ...]
    unwanted: tuple[Vector, ...]


@dataclass(frozen=True, slots=True)
class Rescore:
    """Candidates again, by their exact cosine to `vector`."""

    vector: Vector


@dataclass(frozen=True, slots=True)
class Diversify:
    """Candidates again, by maximal marginal relevance: each next hit has the greatest
    (1 - diversity) · cosine to `vector` - diversity · greatest cosine to a hit before it
    (Carbonell and Goldstein, SIGIR 1998)."""

    vector: Vector
    diversity: float


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What an index is asked to run, in one request.

    At least one of the legs `dense` and `lexical` is set; two are fused, by RRF with `weights` or
    by DBSF, which has none. `second` orders the candidates again, then `boosts` do; freshness
    counts from `at`. `min_score` is a least cosine of the dense leg and of `Rescore`.
    """

    dense: Vector | BestScore | None
    lexical: Sparse | None
    filter: Filter | None
    limit: int
    offset: int
    min_score: float | None
    fields: tuple[str, ...] | None
    exclude_items: tuple[str, ...] = ()
    nearest: Beam | Exact = USUAL_BEAM
    weights: LegWeights = EVEN
    fusion: Fusion = Fusion.RRF
    second: Rescore | Diversify | None = None
    boosts: tuple[Boost, ...] = ()
    at: datetime | None = None
    group_by: str | None = None
