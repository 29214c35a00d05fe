"""Words, vectors or both: what each is worth on a golden set, and how to weigh them.

Weights are found on one half of the queries and everything is reported on the other half, so that
the tuned column has not seen its own examination.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.domain.errors import GoldenInvalid
from gateway.domain.query import LegWeights, Mode, TextPart
from gateway.services.evaluation import (
    Done,
    Evaluation,
    Group,
    ask_all,
    compare_releases,
    evaluate,
    judged,
)
from gateway.services.golden_set import GoldenQuery, halves
from gateway.services.retrieval_metrics import Difference, score
from gateway.services.subject import Method, Subject

TUNED_METRIC = "ndcg@10"
ALL = "all"
MIN_QUERIES = 4
# Qdrant's weight divides a leg's ranks (`LegWeights`), and RRF_K is 60: between 1 and 0.3 little
# changes, below 0.05 only a leg's very first ranks still count.
STEPS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.6)
EQUAL = LegWeights()
GRID = (
    EQUAL,
    *(LegWeights(1.0, step) for step in STEPS),
    *(LegWeights(step, 1.0) for step in STEPS),
)

WORDS = Method("BM25 only", Mode.TEXT)
VECTORS = Method("vectors only", Mode.VECTOR)
FUSED_EQUAL = Method("fused, equal", Mode.HYBRID, EQUAL)

Progress = Callable[[str, int], Done]  # a title and how much there is to do


@dataclass(frozen=True, slots=True)
class GridPoint:
    """Weights and their mean TUNED_METRIC on the half that is tuned on."""

    weights: LegWeights
    mean: float


@dataclass(frozen=True, slots=True)
class LegReport:
    """The methods on the held-out half. `columns` are methods in the order of the table, each
    with all queries that have words, then by kind and by variant; `rescored` are the same methods
    with the second stage: their candidates in the order of the exact cosine.

    `gain` is tuned minus equal weights, by metric; `words_or_vectors` is vectors minus words in
    TUNED_METRIC, over ALL and by variant: the evidence for what `mode: auto` should do. Both are
    paired: query by query, on the held-out half (`gateway.services.retrieval_metrics.compare`).
    """

    release: str
    tuned_on: int
    reported_on: int
    best: LegWeights
    grid: tuple[GridPoint, ...]
    columns: tuple[Evaluation, ...]
    rescored: tuple[Evaluation, ...]
    gain: Mapping[str, Difference]
    words_or_vectors: Mapping[str, Difference]


async def tune(
    subject: Subject, golden: Sequence[GoldenQuery], seed: int, progress: Progress
) -> LegReport:
    """Tries GRID on one half of the queries with words, and compares the legs on the other.

    Raises GoldenInvalid if fewer than MIN_QUERIES queries have words that are wanted.
    """
    worded = [g for g in golden if _has_words(g)]
    if len(worded) < MIN_QUERIES:
        raise GoldenInvalid(
            f"Tuning needs at least {MIN_QUERIES} queries with words; there are {len(worded)}."
        )
    tuning, held_out = halves(worded, seed)
    grid = await _try(subject, tuning, progress("trying weights", len(GRID) * len(tuning)))
    best = max(grid, key=lambda point: point.mean).weights
    tuned = Method("fused, tuned", Mode.HYBRID, best)
    methods = (WORDS, VECTORS, FUSED_EQUAL, tuned)
    second = [replace(method, name=f"{method.name}, rescored", rescore=True) for method in methods]
    columns = [
        await evaluate(subject, held_out, method, seed, progress(method.name, len(held_out)))
        for method in (*methods, *second)
    ]
    words, vectors, equal, weighted = columns[: len(methods)]
    return LegReport(
        release=subject.release,
        tuned_on=len(tuning),
        reported_on=len(held_out),
        best=best,
        grid=grid,
        columns=tuple(columns[: len(methods)]),
        rescored=tuple(columns[len(methods) :]),
        gain=compare_releases(equal, weighted, seed).overall,
        words_or_vectors=_by_variant(words, vectors, seed),
    )


def _has_words(golden: GoldenQuery) -> bool:
    """Whether full text can answer: words with a negative weight are not searched for."""
    return any(isinstance(part, TextPart) and part.weight > 0 for part in golden.query.parts)


async def _try(
    subject: Subject, golden: Sequence[GoldenQuery], done: Done
) -> tuple[GridPoint, ...]:
    """The grid, equal weights first, so that they win a draw."""
    points = []
    for number, weights in enumerate(GRID):
        method = Method("grid", Mode.HYBRID, weights)
        results = await ask_all(subject, golden, method, _after(number * len(golden), done))
        values = score(judged(golden, results))[TUNED_METRIC]
        points.append(GridPoint(weights, float(values.mean())))
    return tuple(points)


def _after(before: int, done: Done) -> Done:
    """Counts on from `before`."""
    return lambda count: done(before + count)


def _by_variant(words: Evaluation, vectors: Evaluation, seed: int) -> dict[str, Difference]:
    found = {ALL: compare_releases(words, vectors, seed).overall[TUNED_METRIC]}
    for group in words.variants:
        found[group.name] = compare_releases(
            _only(words, group), _only(vectors, group), seed
        ).overall[TUNED_METRIC]
    return found


def _only(evaluation: Evaluation, group: Group) -> Evaluation:
    """The evaluation's queries of one variant."""
    outcomes = tuple(o for o in evaluation.outcomes if o.variant == group.name)
    return Evaluation(evaluation.release, evaluation.method, group, (), (), (), outcomes)
