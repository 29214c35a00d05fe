"""How far the collections that are kept in step have come apart, seen now and then."""

from __future__ import annotations

import asyncio

from gateway.domain.errors import LookalikeError
from gateway.domain.ports import CatalogIndex
from gateway.services.active_release import ActiveReleases
from gateway.services.release_lifecycle import ReleaseLifecycle
from gateway.telemetry import Metrics

# A question to the store for each kept collection; what it shows is acted upon in minutes.
INTERVAL_S = 15.0


class IndexDrift:
    """Compares the collections' numbers of pictures, for the metrics.

    As many pictures are no proof that they are the same ones, which `activate` asks for; fewer are
    a proof that they are not.
    """

    def __init__(
        self,
        index: CatalogIndex,
        releases: ActiveReleases,
        lifecycle: ReleaseLifecycle,
        metrics: Metrics,
    ) -> None:
        self._index = index
        self._releases = releases
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._told: set[str] = set()

    async def follow(self) -> None:
        """Looks until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(INTERVAL_S)

    async def look(self) -> None:
        """Puts what there is now into the metrics; leaves them as they are while the store is away
        or no release is active."""
        try:
            active = self._releases.active().id
            counts: dict[str, int] = {}
            for kept in self._releases.all_kept():
                info = await self._index.describe(kept.collection.name)
                if info is not None:
                    counts[kept.id] = info.points
        except LookalikeError:
            return
        if active in counts:
            self._tell(counts, counts[active])

    def _tell(self, counts: dict[str, int], wanted: int) -> None:
        metrics = self._metrics
        gauges = metrics.index_pictures, metrics.index_drift, metrics.build_running
        for gone in self._told - counts.keys():
            for gauge in gauges:
                gauge.remove(gone)
        self._told = set(counts)
        for release, points in counts.items():
            metrics.index_pictures.labels(release).set(points)
            metrics.index_drift.labels(release).set(abs(points - wanted))
            metrics.out_of_step.labels(release)  # there from the start, at 0
            metrics.build_running.labels(release).set(self._lifecycle.building(release))
