"""From which cosine on an answer is good: one cut-off for each kind of query, learned from a golden
set.

Cosines of two models, or of words and pictures in one model, are not to be compared: 0.3 may be a
bull's eye for words and nothing for a photo. So a release gets its own cut-offs:

- *right*: the best cosine of queries whose answer has a relevant item among the first ten;
- *hopeless*: the best cosine of the same queries with their relevant items taken out of the
  catalogue, which is what a shopper meets who wants something that the shop does not sell.

Over all cut-offs that keep at least LEAST_KEPT of the right answers, the one is taken that
separates best: the maximum of Youden's J = true-positive rate - false-positive rate (W. J. Youden,
"Index for rating diagnostic tests", Cancer 3, 1950). The `auc` says how well any cut-off could do:
the probability that a right answer's cosine is above a hopeless one's, ties counted half (the
Mann-Whitney statistic; Hanley and McNeil, Radiology 143, 1982): 1 separates wholly, 0.5 not at all.

The rates are those on the queries that the cut-off was learned from, so they flatter a little, the
more so the fewer there are. A hopeless query may still meet an item that nobody has labelled and
that is good all the same: `false_positive_rate` is then too high, and the cut-off with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gateway.domain.query import ItemPart, Mode, SearchResult
from gateway.services.evaluation import Done, ask_all
from gateway.services.golden_set import GoldenQuery, QueryKind
from gateway.services.retrieval_metrics import DEPTH, Values
from gateway.services.subject import Method, ReleaseInProcess

# A shop would rather show something poor than hide what a shopper wants.
LEAST_KEPT = 0.95
# With fewer right or hopeless queries of a kind than this, one of them is more than 5 %.
MIN_SCORES = 20

BY_COSINE = Method("vectors only", Mode.VECTOR)


@dataclass(frozen=True, slots=True)
class ScoredQuery:
    """One golden query by its vector alone.

    Attributes:
        kind: what the shopper gave.
        right: whether a relevant item is among the first ten.
        top: the best cosine of the answer, from -1 to 1; None if nothing came.
        top_without: the same with the relevant items taken out; None if nothing was left.
    """

    kind: QueryKind
    right: bool
    top: float | None
    top_without: float | None


@dataclass(frozen=True, slots=True)
class Cutoff:
    """An answer whose best cosine is below `cosine` is no good match.

    `true_positive_rate` of the `right` answers and `false_positive_rate` of the `hopeless` ones
    reach it, each from 0 to 1.
    """

    cosine: float
    true_positive_rate: float
    false_positive_rate: float
    auc: float
    right: int
    hopeless: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cut-offs of a release, by kind of query, for the vectors of one `fingerprint`. A kind
    with less than MIN_SCORES right or hopeless queries has none."""

    release: str
    fingerprint: str
    golden: str
    queries: int
    seed: int
    cutoffs: Mapping[str, float]
    rates: Mapping[str, Cutoff]


def calibrate(scored: Sequence[ScoredQuery]) -> dict[QueryKind, Cutoff]:
    """The cut-off of each kind that has enough queries, in the order of `QueryKind`."""
    found = {}
    for kind in QueryKind:
        of_kind = [one for one in scored if one.kind is kind]
        right = _sorted(one.top for one in of_kind if one.right)
        hopeless = _sorted(one.top_without for one in of_kind)
        if min(len(right), len(hopeless)) >= MIN_SCORES:
            found[kind] = _cutoff(right, hopeless)
    return found


async def score_queries(
    subject: ReleaseInProcess, golden: Sequence[GoldenQuery], done: Done
) -> list[ScoredQuery]:
    """Every query twice, with its relevant items and without; `done` counts the searches.

    Items that a query is made of are left out both times: they are their own best match. Raises as
    `evaluate` does.
    """
    with_them = await ask_all(subject, [_without(g, ()) for g in golden], BY_COSINE, done)
    without = await ask_all(
        subject,
        [_without(g, tuple(g.relevant)) for g in golden],
        BY_COSINE,
        lambda count: done(len(golden) + count),
    )
    return [
        ScoredQuery(
            kind=query.kind,
            right=any(hit.item_id in query.relevant for hit in answer.hits[:DEPTH]),
            top=_top(answer),
            top_without=_top(hopeless),
        )
        for query, answer, hopeless in zip(golden, with_them, without, strict=True)
    ]


def _without(golden: GoldenQuery, items: tuple[str, ...]) -> GoldenQuery:
    """The query as it finds neither `items` nor those that it is made of, down to any score."""
    own = tuple(part.item_id for part in golden.query.parts if isinstance(part, ItemPart))
    query = replace(golden.query, exclude_items=(*own, *items), min_score=None)
    return replace(golden, query=query)


def _top(result: SearchResult) -> float | None:
    return result.hits[0].score if result.hits else None


def _sorted(scores: Iterable[float | None]) -> Values:
    return np.sort(np.array([score for score in scores if score is not None], dtype=np.float64))


def _cutoff(right: Values, hopeless: Values) -> Cutoff:
    """The best cut-off between two ascending rows of cosines; of equal ones, the lowest."""
    seen = np.unique(np.concatenate([right, hopeless]))
    # Half-way between neighbours, so that a rounded cosine falls on the same side.
    candidates = np.concatenate([seen[:1], (seen[:-1] + seen[1:]) / 2])
    kept = len(right) - np.searchsorted(right, candidates)
    passed = len(hopeless) - np.searchsorted(hopeless, candidates)
    # J times both counts: whole numbers, so that equal means equal.
    separation = kept * len(hopeless) - passed * len(right)
    allowed = kept >= math.ceil(LEAST_KEPT * len(right) - 1e-9)
    best = int(np.argmax(np.where(allowed, separation, -right.size * hopeless.size - 1)))
    return Cutoff(
        cosine=float(candidates[best]),
        true_positive_rate=float(kept[best] / len(right)),
        false_positive_rate=float(passed[best] / len(hopeless)),
        auc=_auc(right, hopeless),
        right=len(right),
        hopeless=len(hopeless),
    )


def _auc(right: Values, hopeless: Values) -> float:
    below = np.searchsorted(hopeless, right, side="left")
    ties = np.searchsorted(hopeless, right, side="right") - below
    return float((below + ties / 2).sum() / (len(right) * len(hopeless)))
