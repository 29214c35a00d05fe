"""Copies of live searches for a candidate, compared with what the active release answered."""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, replace

from gateway.domain.deadline import Deadline
from gateway.domain.errors import LookalikeError
from gateway.domain.query import Query, RecalledPart, SearchResult, UrlPart, VectorPart
from gateway.services.active_release import ActiveRelease, ActiveReleases
from gateway.services.search import Answered
from gateway.telemetry import Metrics

log = logging.getLogger(__name__)

DEPTH = 10
# Copies at once: a candidate that is slow gets fewer, and the live searches never wait for it.
MOST_AT_ONCE = 8
TIMEOUT_S = 5.0
REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """One search answered by both releases.

    Attributes:
        overlap: share of the first DEPTH items in common, 0 to 1; of fewer if there are fewer.
        rank_correlation: Spearman's, -1 to 1, of the ranks of the items in common; None below
            two of them.
        difference_s: the candidate's seconds less the active release's.
    """

    overlap: float
    rank_correlation: float | None
    difference_s: float


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """The latest comparisons of one candidate in this gateway process: how many, and medians."""

    release: str
    compared: int
    overlap: float
    rank_correlation: float | None
    difference_s: float


class Shadow:
    """Runs the copies that `releases` wants. `search` asks a given release, at bulk priority."""

    def __init__(
        self,
        releases: ActiveReleases,
        search: Callable[[Query, ActiveRelease, Deadline], Awaitable[SearchResult]],
        metrics: Metrics,
    ) -> None:
        self._releases = releases
        self._search = search
        self._metrics = metrics
        self._running: set[asyncio.Task[None]] = set()
        self._release: str | None = None
        self._latest: deque[Comparison] = deque(maxlen=REMEMBERED)

    def observe(self, answered: Answered) -> None:
        """Has the candidate, if there is one, answer the same query later, if there is room."""
        candidate = self._releases.shadowing(answered.route, answered.by)
        if candidate is None:
            return
        if answered.query.offset > 0:
            return  # further pages would compare other depths
        if any(
            isinstance(part, VectorPart | RecalledPart | UrlPart) for part in answered.query.parts
        ):
            return  # a vector is of one release, and another's server is not asked twice
        if len(self._running) >= MOST_AT_ONCE:
            self._metrics.shadow.labels("left out").inc()
            return
        # In a context of its own: the copy is no part of the request that it is a copy of.
        task = asyncio.create_task(self._compare(answered, candidate), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def report(self) -> ShadowReport | None:
        """The latest comparisons, or None if there were none."""
        if self._release is None or not self._latest:
            return None
        ranked = [c.rank_correlation for c in self._latest if c.rank_correlation is not None]
        return ShadowReport(
            release=self._release,
            compared=len(self._latest),
            overlap=statistics.fmean(c.overlap for c in self._latest),
            rank_correlation=statistics.fmean(ranked) if ranked else None,
            difference_s=statistics.median(c.difference_s for c in self._latest),
        )

    async def settled(self) -> None:
        """Returns when every copy has been compared."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Gives up what is running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _compare(self, answered: Answered, candidate: ActiveRelease) -> None:
        query = replace(
            answered.query,
            limit=DEPTH,
            offset=0,
            fields=(),
            facets=(),
            scores=False,
            return_query=False,
        )
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            other = await self._search(query, candidate, Deadline.after(TIMEOUT_S))
        except LookalikeError as exc:
            self._metrics.shadow.labels("failed").inc()
            log.info("the candidate %s could not answer: %s", candidate.id, exc.detail)
            return
        self._remember(
            candidate.id,
            compare(
                [hit.item_id for hit in answered.result.hits[:DEPTH]],
                [hit.item_id for hit in other.hits[:DEPTH]],
                loop.time() - started_s - answered.seconds,
            ),
        )

    def _remember(self, release: str, comparison: Comparison) -> None:
        if release != self._release:
            self._release = release
            self._latest.clear()
        self._latest.append(comparison)
        metrics = self._metrics
        metrics.shadow.labels("compared").inc()
        metrics.shadow_overlap.observe(comparison.overlap)
        metrics.shadow_difference_seconds.observe(comparison.difference_s)
        if comparison.rank_correlation is not None:
            metrics.shadow_rank_correlation.observe(comparison.rank_correlation)


def compare(active: Sequence[str], candidate: Sequence[str], difference_s: float) -> Comparison:
    """Compares two rankings of item ids, best first, each id once."""
    common = [item for item in active if item in set(candidate)]
    longest = max(len(active), len(candidate))
    return Comparison(
        overlap=len(common) / longest if longest else 1.0,
        rank_correlation=_spearman(common, candidate),
        difference_s=difference_s,
    )


def _spearman(common: Sequence[str], candidate: Sequence[str]) -> float | None:
    """Pearson's correlation of the ranks within the items in common."""
    if len(common) < 2:
        return None
    theirs = sorted(common, key=candidate.index)
    return statistics.correlation(range(len(common)), [theirs.index(item) for item in common])
