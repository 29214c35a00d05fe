"""How good rankings are, and how sure that is.

The metrics are those of `trec_eval`, computed by `pytrec_eval`:

- recall@k: the fraction of a query's relevant items among the first k;
- precision@k: the fraction of the first k that is relevant, k counted in full;
- mrr@10: 1 / the rank of the first relevant item among the first 10, 0 if there is none
  (Voorhees, TREC-8 1999);
- ndcg@10: grades discounted by log2(rank + 1), over the same sum of the ideal order (Järvelin and
  Kekäläinen, TOIS 2002; the gain is the grade itself).

Intervals are 95 % bootstrap percentile intervals over queries (Efron 1979). Two releases are
compared query by query, by the randomisation test (Smucker, Allan and Carterette, CIKM 2007).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.domain.errors import StartupProblem

DEPTH = 10
METRICS = (
    "recall@1", "recall@5", "recall@10", "precision@1", "precision@5", "precision@10", "mrr@10",
    "ndcg@10",
)  # fmt: skip

RESAMPLES = 2_000
CONFIDENCE = 0.95
# Resampling matrices are made in pieces of this many numbers: 16 MB.
_PIECE = 2_000_000

_TREC_NAMES = {
    **{f"recall@{k}": f"recall_{k}" for k in (1, 5, 10)},
    **{f"precision@{k}": f"P_{k}" for k in (1, 5, 10)},
    "mrr@10": "recip_rank",
    "ndcg@10": "ndcg_cut_10",
}

Values = NDArray[np.float64]  # [queries]


@dataclass(frozen=True, slots=True)
class Judged:
    """A ranking of item ids, best first, and the grades of the query's relevant items."""

    ranking: Sequence[str]
    relevant: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Second minus first over the same queries. `p_value`: how likely a mean difference at least
    this large would be if it were chance which of the two gave which answer."""

    first: float
    second: float
    difference: Estimate
    p_value: float


def score(judged: Sequence[Judged]) -> dict[str, Values]:
    """Every metric of every query: `[queries]` each, from 0 to 1. Only the first DEPTH ranks count.

    Raises StartupProblem if the extra `evaluate` is not installed.
    """
    try:
        from pytrec_eval import RelevanceEvaluator
    except ImportError as exc:
        raise StartupProblem(
            "Evaluating needs pytrec-eval-terrier. Install it with "
            "`pip install 'lookalike[evaluate]'`."
        ) from exc
    qrels = {str(n): {k: int(g) for k, g in one.relevant.items()} for n, one in enumerate(judged)}
    # trec_eval orders by score alone, so the rank becomes one.
    runs = {
        str(n): {item: float(DEPTH - rank) for rank, item in enumerate(one.ranking[:DEPTH])}
        for n, one in enumerate(judged)
    }
    measures = {"recall.1,5,10", "P.1,5,10", "recip_rank", "ndcg_cut.10"}
    rows = RelevanceEvaluator(qrels, measures).evaluate(runs)
    return {
        name: np.array([rows.get(str(n), {}).get(trec, 0.0) for n in range(len(judged))])
        for name, trec in _TREC_NAMES.items()
    }


def estimate(values: Values, seed: int) -> Estimate:
    """The mean of `[queries]` with its bootstrap interval; one query has an interval of itself."""
    means = _resampled_means(values, seed)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def compare(first: Values, second: Values, seed: int) -> Difference:
    """How the second differs from the first on the same queries: `[queries]` each."""
    differences = second - first
    return Difference(
        first=float(first.mean()),
        second=float(second.mean()),
        difference=estimate(differences, seed),
        p_value=_randomisation(differences, seed),
    )


def _resampled_means(values: Values, seed: int) -> Values:
    """The means of RESAMPLES samples of the same size, drawn with replacement."""
    rng = np.random.default_rng(seed)
    count = len(values)
    rows = max(1, _PIECE // count)
    means = []
    for start in range(0, RESAMPLES, rows):
        size = (min(rows, RESAMPLES - start), count)
        means.append(values[rng.integers(0, count, size=size)].mean(axis=1))
    return np.concatenate(means)


def _randomisation(differences: Values, seed: int) -> float:
    """The two-sided p-value: signs flipped at random, RESAMPLES times, the observed one counted."""
    rng = np.random.default_rng(seed)
    observed = abs(differences.sum())
    count = len(differences)
    rows = max(1, _PIECE // count)
    extreme = 0
    for start in range(0, RESAMPLES, rows):
        size = (min(rows, RESAMPLES - start), count)
        signs = rng.integers(0, 2, size=size, dtype=np.int8) * 2 - 1
        # Sums of the same numbers in another order differ in the last digits.
        extreme += int((np.abs(signs @ differences) >= observed - 1e-9).sum())
    return (extreme + 1) / (RESAMPLES + 1)
