"""A golden set run against a release, and the answers judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gateway.domain.deadline import Deadline
from gateway.domain.errors import GoldenInvalid, InvalidQuery, NotFound, Overloaded
from gateway.domain.query import SearchResult
from gateway.services.golden_set import GoldenQuery, QueryKind
from gateway.services.retrieval_metrics import (
    Difference,
    Estimate,
    Judged,
    Values,
    compare,
    estimate,
    score,
)
from gateway.services.subject import Method, Subject

# Searches under way at once: enough for Triton to make batches, far from shedding.
IN_FLIGHT = 8
# How long a measurement gives way to others before it is given up.
PATIENCE_S = 60.0
UNKNOWN_SHOWN = 3

Done = Callable[[int], None]
Row = TypeVar("Row")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as the report shows it; `picture` is its URI in the catalogue."""

    item_id: str
    title: str
    picture: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One query's answer, best first, and what it was worth, by metric, from 0 to 1."""

    query_id: str
    kind: QueryKind
    category: str
    variant: str
    answer: tuple[Shown, ...]
    metrics: Mapping[str, float]

    @property
    def ranking(self) -> tuple[str, ...]:
        """The answer's item ids."""
        return tuple(shown.item_id for shown in self.answer)


@dataclass(frozen=True, slots=True)
class Group:
    """Queries that have something in common, and the mean of each metric over them."""

    name: str
    queries: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a release is worth on a golden set. `outcomes` stand in the set's order."""

    release: str
    method: str
    overall: Group
    kinds: tuple[Group, ...]
    variants: tuple[Group, ...]
    categories: tuple[Group, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second release minus the first, by metric, over all queries and by kind.

    `overlap` is the mean fraction of the first ten answers that both give, out of as many as the
    longer of the two answers has.
    """

    first: str
    second: str
    overall: Mapping[str, Difference]
    kinds: Mapping[str, Mapping[str, Difference]]
    overlap: Estimate


async def evaluate(
    subject: Subject, golden: Sequence[GoldenQuery], method: Method, seed: int, done: Done
) -> Evaluation:
    """Runs every query and judges its answer. `done` gets the number of queries finished.

    Raises GoldenInvalid, naming the query, for one that cannot be answered, and what the backends
    raise.
    """
    results = await ask_all(subject, golden, method, done)
    return judge(subject.release, method.name, golden, results, seed)


async def ask_all(
    subject: Subject, golden: Sequence[GoldenQuery], method: Method, done: Done
) -> list[SearchResult]:
    """Every query's answer, in their order; raises as `evaluate` does."""

    async def ask(query: GoldenQuery) -> SearchResult:
        try:
            return await subject.search(query, method)
        except (InvalidQuery, NotFound) as exc:
            raise GoldenInvalid(f"Query {query.id} cannot be answered: {exc.detail}") from exc

    return await each(golden, ask, done)


def judged(golden: Sequence[GoldenQuery], results: Sequence[SearchResult]) -> list[Judged]:
    """Answers beside the grades of their queries, in the same order."""
    return [
        Judged([hit.item_id for hit in result.hits], query.relevant)
        for query, result in zip(golden, results, strict=True)
    ]


def judge(
    release: str,
    method: str,
    golden: Sequence[GoldenQuery],
    results: Sequence[SearchResult],
    seed: int,
) -> Evaluation:
    """Answers in the order of their queries, scored and averaged."""
    values = score(judged(golden, results))
    outcomes = tuple(
        _outcome(query, result, {name: float(v[n]) for name, v in values.items()})
        for n, (query, result) in enumerate(zip(golden, results, strict=True))
    )
    return Evaluation(
        release=release,
        method=method,
        overall=_group("all", values, seed),
        kinds=_groups([o.kind for o in outcomes], values, seed),
        variants=_groups([o.variant for o in outcomes], values, seed),
        categories=_groups([o.category for o in outcomes], values, seed),
        outcomes=outcomes,
    )


async def check_items(subject: Subject, golden: Sequence[GoldenQuery], done: Done) -> None:
    """GoldenInvalid if a relevant item is not in the release's catalogue: a query whose answer
    does not exist would count as a miss of the model."""
    first_query: dict[str, str] = {}
    for query in golden:
        for item_id in query.relevant:
            first_query.setdefault(item_id, query.id)

    async def known(item_id: str) -> bool:
        try:
            await subject.item(item_id)
        except NotFound:
            return False
        return True

    answers = await each(list(first_query), known, done)
    unknown = [item for item, found in zip(first_query, answers, strict=True) if not found]
    if unknown:
        names = ", ".join(repr(name) for name in unknown[:UNKNOWN_SHOWN])
        more = ", …" if len(unknown) > UNKNOWN_SHOWN else ""
        raise GoldenInvalid(
            f"{len(unknown)} of the golden set's {len(first_query)} items are not in the "
            f"catalogue of {subject.release}: {names}{more}; the first is in query "
            f"{first_query[unknown[0]]}."
        )


def compare_releases(first: Evaluation, second: Evaluation, seed: int) -> Comparison:
    """Both releases query by query; they answered the same golden set."""
    kinds = {}
    for group in first.kinds:
        kinds[group.name] = _differences(
            [o for o in first.outcomes if o.kind == group.name],
            [o for o in second.outcomes if o.kind == group.name],
            seed,
        )
    shared = [
        _shared(a.ranking, b.ranking) for a, b in zip(first.outcomes, second.outcomes, strict=True)
    ]
    return Comparison(
        first=first.release,
        second=second.release,
        overall=_differences(first.outcomes, second.outcomes, seed),
        kinds=kinds,
        overlap=estimate(np.array(shared), seed),
    )


def worst(evaluation: Evaluation, most: int) -> list[Outcome]:
    """The queries answered worst: by nDCG@10, equal ones spread over kinds and variants."""
    seen: dict[tuple[float, str, str], int] = {}
    keyed = []
    for outcome in evaluation.outcomes:
        value = outcome.metrics["ndcg@10"]
        group = (value, outcome.kind, outcome.variant)
        turn = seen[group] = seen.get(group, 0) + 1
        keyed.append((value, turn, outcome))
    return [o for value, _, o in sorted(keyed, key=lambda k: k[:2])[:most] if value < 1]


async def each(
    rows: Sequence[Row], work: Callable[[Row], Awaitable[Result]], done: Done
) -> list[Result]:
    """`work` on every row, IN_FLIGHT at once; the results in the order of the rows.

    Measuring gives way to shoppers: what is refused for want of room is tried again, and raises
    Overloaded after PATIENCE_S.
    """
    results: dict[int, Result] = {}
    waiting = iter(enumerate(rows))

    async def worker() -> None:
        for number, row in waiting:
            results[number] = await _patiently(work, row)
            done(len(results))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(worker())
    except ExceptionGroup as failures:
        # The first fault is the answer; the other searches were cancelled because of it.
        raise failures.exceptions[0] from failures
    return [results[number] for number in range(len(rows))]


async def _patiently(work: Callable[[Row], Awaitable[Result]], row: Row) -> Result:
    until = Deadline.after(PATIENCE_S)
    while True:
        try:
            return await work(row)
        except Overloaded as exc:
            if until.remaining_s() <= exc.retry_after_s:
                raise
            await asyncio.sleep(exc.retry_after_s)


def _shared(first: Sequence[str], second: Sequence[str]) -> float:
    """How much two rankings have in common, from 0 to 1; two empty ones are alike."""
    longer = max(len(first), len(second))
    return len(set(first) & set(second)) / longer if longer else 1.0


def _outcome(query: GoldenQuery, result: SearchResult, metrics: Mapping[str, float]) -> Outcome:
    answer = tuple(
        Shown(hit.item_id, str(hit.item.get("title", "")), hit.picture) for hit in result.hits
    )
    return Outcome(query.id, query.kind, query.category, query.variant, answer, metrics)


def _group(name: str, values: Mapping[str, Values], seed: int) -> Group:
    count = len(next(iter(values.values())))
    return Group(name, count, {metric: estimate(v, seed) for metric, v in values.items()})


def _groups(names: Iterable[str], values: Mapping[str, Values], seed: int) -> tuple[Group, ...]:
    """One group for each name that is not empty, in alphabetical order."""
    labels = np.array(list(names), dtype=object)
    return tuple(
        _group(str(name), {m: v[labels == name] for m, v in values.items()}, seed)
        for name in sorted(set(labels))
        if name
    )


def _differences(
    first: Sequence[Outcome], second: Sequence[Outcome], seed: int
) -> dict[str, Difference]:
    return {
        metric: compare(
            np.array([o.metrics[metric] for o in first]),
            np.array([o.metrics[metric] for o in second]),
            seed,
        )
        for metric in first[0].metrics
    }
