"""A whole catalogue into a release's collection, and that collection made the active one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.domain.errors import BackendUnavailable, LookalikeError
from gateway.domain.filters import FieldType
from gateway.domain.items import Item
from gateway.domain.payload import BASE_FIELDS
from gateway.domain.ports import CatalogIndex, CollectionSpec
from gateway.services.active_release import ActiveRelease, ActiveReleases
from gateway.services.catalog import CatalogService
from gateway.services.item_writer import ItemOutcome
from gateway.services.towers import Towers

# Reasons kept for the report; beyond this only the count goes on.
MAX_PROBLEMS_KEPT = 1_000


@dataclass(slots=True)
class IndexReport:
    """What a run did. `problems` are (item id, why) of items and pictures that were left out."""

    items: int = 0
    failed: int = 0
    embedded: int = 0
    problems: list[tuple[str, LookalikeError]] = field(default_factory=list)

    def add(self, outcome: ItemOutcome) -> None:
        """Counts one item."""
        self.items += 1
        self.embedded += outcome.embedded
        causes = list(outcome.skipped)
        if outcome.error is not None:
            self.failed += 1
            causes = [outcome.error]
        room = MAX_PROBLEMS_KEPT - len(self.problems)
        self.problems += [(outcome.item_id, cause) for cause in causes[:room]]


class Indexing:
    """Fills collections. `done` callbacks get the number of items finished so far."""

    def __init__(
        self,
        index: CatalogIndex,
        releases: ActiveReleases,
        catalog: CatalogService,
        towers: Towers,
    ) -> None:
        self._index = index
        self._releases = releases
        self._catalog = catalog
        self._towers = towers

    async def run(
        self,
        release_id: str,
        items: Iterable[Item],
        fields: Mapping[str, FieldType],
        done: Callable[[int], None],
    ) -> IndexReport:
        """Indexes `items` with a release; makes it the active one if none is.

        `fields` can be filtered besides the usual ones. After an interruption, run it again: what
        is in the index already is not embedded again. Raises what the ports raise when a backend
        fails, and SpaceMismatch if the release's collection was built by a model that differs.
        """
        into = await self._collection(release_id, fields)
        report = IndexReport()
        async for outcomes in self._catalog.index(items, into):
            for outcome in outcomes:
                report.add(outcome)
            done(report.items)
        await self._index.optimize(into.collection.name)
        if (await self._index.aliases()).active is None and report.items > report.failed:
            await self._index.activate(into.collection.name)
        await self._releases.refresh()
        return report

    async def _collection(self, release_id: str, fields: Mapping[str, FieldType]) -> ActiveRelease:
        loaded = await self._releases.release(release_id)
        release = loaded.release
        await self._towers.load(release)
        spec = CollectionSpec(
            release.id, release.dim, release.fingerprint, {**BASE_FIELDS, **fields}
        )
        await self._index.create(spec)
        info = await self._index.describe(spec.name)
        if info is None:
            raise BackendUnavailable(f"The collection {spec.name} vanished while being made.")
        return ActiveRelease(loaded, info)
