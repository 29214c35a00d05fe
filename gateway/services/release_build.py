"""A release's collection filled from the active one's items, beside live traffic.

What has been done is read off the two collections, and nowhere else: a build that was killed goes
on where it was, and two builds at once do no harm but work.

**In step.** Every gateway writes an item to the active collection first and to the candidate's
second. The build compares both collections, copies what differs, and compares again, until a
comparison leaves it nothing to write. What it copied while a shop changed the same item, and so may
have written too late, is found by the next comparison; and after the last one only gateways write,
who write to both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.deadline import Deadline
from gateway.domain.errors import BackendUnavailable, CatalogInvalid, Conflict
from gateway.domain.payload import picture_no, to_item
from gateway.domain.ports import (
    CatalogIndex,
    CollectionSpec,
    PictureSource,
    StoredPoint,
)
from gateway.services.active_release import FOLLOW_INTERVAL_S, ActiveRelease, ActiveReleases
from gateway.services.collection_difference import content_of, difference
from gateway.services.item_writer import ItemWriter
from gateway.services.towers import Towers

COPY_ITEMS = 32
COPIES_IN_FLIGHT = 2
COPY_TIMEOUT_S = 300.0
# A build with a limit copies this much of a second at once: in small pieces, evenly.
PACE_S = 0.25
# A write reaches the second collection this much after the first, as a rule; and one item is hardly
# written at each of so many looks.
CROSSING_S = 0.3
LOOKS = 4
# Each pass finds what the one before left or what crossed it; more than a few mean trouble.
MOST_PASSES = 20


@dataclass(frozen=True, slots=True)
class BuildLimits:
    """What a build may cost.

    Attributes:
        most_failed: the share of items, 0 to 1, whose pictures may have become unusable.
        most_per_s: items copied a second; None copies as many as bulk work gets through. Where
            towers and gateway share cores, priorities alone do not keep a build from live searches.
    """

    most_failed: float = 0.01
    most_per_s: float | None = None


USUAL_LIMITS = BuildLimits()


class BuildState(StrEnum):
    """How far a build is."""

    LOADING = "loading"
    EMBEDDING = "embedding"
    INDEXING = "indexing"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True)
class BuildProgress:
    """A build as it goes on.

    Attributes:
        items: items of the active collection, once they have been counted.
        done: items that are in the candidate's collection as they should be.
        embedded: pictures that this build has embedded.
        problems: (item id, why) of items that could not be copied, or not all of whose pictures.
        rate: items a second, 0 before the first are done.
        reason: why it failed.
    """

    release: str
    state: BuildState = BuildState.LOADING
    items: int = 0
    done: int = 0
    embedded: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    started_s: float = field(default_factory=time.monotonic)
    copied: int = 0
    seconds: float = 0.0

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self.state in (BuildState.LOADING, BuildState.EMBEDDING, BuildState.INDEXING)

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.copied / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds that the rest will take at this rate, or None if that is not known."""
        return (self.items - self.done) / self.rate if self.rate > 0 else None


class ReleaseBuild:
    """Builds collections. Bulk work: Triton and the decoding of live searches go before it."""

    def __init__(
        self,
        index: CatalogIndex,
        releases: ActiveReleases,
        writer: ItemWriter,
        pictures: PictureSource,
        towers: Towers,
    ) -> None:
        self._index = index
        self._releases = releases
        self._writer = writer
        self._pictures = pictures
        self._towers = towers

    async def run(self, progress: BuildProgress, limits: BuildLimits = USUAL_LIMITS) -> None:
        """Fills the collection of `progress.release` until it is in step with the active one.

        Raises NotFound, ReleaseInvalid or Conflict for a release that cannot be used,
        SpaceMismatch if its collection is of another model, CatalogInvalid when too many items
        fail, and what the backends raise.
        """
        source = self._releases.active()
        target = await self._prepare(progress, source)
        progress.state = BuildState.EMBEDDING
        visible_at_s = time.monotonic() + 2 * FOLLOW_INTERVAL_S  # to every gateway's next look
        for _ in range(MOST_PASSES):
            await asyncio.sleep(max(0.0, visible_at_s - time.monotonic()))
            changed = await self._pass(progress, source, target, limits)
            if not changed:
                break
        else:
            raise BackendUnavailable(
                f"The items of {target.id} change faster than they can be copied; try again."
            )
        progress.state = BuildState.INDEXING
        await self._index.optimize(target.collection.name)
        progress.state = BuildState.DONE

    async def _prepare(self, progress: BuildProgress, source: ActiveRelease) -> ActiveRelease:
        """The release loaded and proven, and its collection there."""
        if progress.release == source.id:
            raise Conflict(f"{source.id} is the active release: it is built.")
        loaded = await self._releases.release(progress.release)
        release = loaded.release
        await self._towers.prove(loaded)
        spec = CollectionSpec(
            release.id, release.dim, release.fingerprint, source.collection.fields
        )
        await self._index.create(spec)
        info = await self._index.describe(spec.name)
        if info is None:
            raise BackendUnavailable(f"The collection {spec.name} vanished while being made.")
        await self._releases.refresh()
        return ActiveRelease(loaded, info)

    async def _pass(
        self,
        progress: BuildProgress,
        source: ActiveRelease,
        target: ActiveRelease,
        limits: BuildLimits,
    ) -> bool:
        """Compares and copies once; whether anything was left to copy."""
        names = source.collection.name, target.collection.name
        found = await difference(self._index, *names)
        progress.items = found.items
        progress.done = found.items - len(found.stale)
        known_bad = progress.problems.keys()
        ids = sorted((found.stale | found.surplus) - known_bad)
        if len(ids) <= COPY_ITEMS:  # the last few may just be crossing: look again
            ids = await differing(self._index, *names, ids)
        if not ids:
            return False
        started_s = time.monotonic()
        before_s, room = progress.seconds, asyncio.Semaphore(COPIES_IN_FLIGHT)

        async def copy(chunk: Sequence[str]) -> None:
            try:
                done = await self._copy(chunk, source, target, progress)
            finally:
                room.release()
            progress.done += done
            progress.copied += len(chunk)
            progress.seconds = before_s + time.monotonic() - started_s
            self._require_few(progress, limits.most_failed)

        try:
            async with asyncio.TaskGroup() as group:
                async for chunk in _paced(ids, limits.most_per_s):
                    await room.acquire()
                    group.create_task(copy(chunk))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return True

    async def _copy(
        self,
        ids: Sequence[str],
        source: ActiveRelease,
        target: ActiveRelease,
        progress: BuildProgress,
    ) -> int:
        """Writes some items to the target as the source has them; how many could be."""
        deadline = Deadline.after(COPY_TIMEOUT_S)
        name = source.collection.name
        points = {i: await self._index.item_points(name, i, deadline) for i in ids}
        items = [to_item(found[0].payload) for found in points.values() if found]
        outcomes = await self._writer.write(items, target, self._pictures, deadline)
        for item_id, found in points.items():
            if not found:
                await self._writer.remove(item_id, target, deadline)
        for outcome in outcomes:
            progress.embedded += outcome.embedded
            causes = [outcome.error] if outcome.error else outcome.skipped
            if causes:
                progress.problems[outcome.item_id] = causes[0].detail
        return sum(outcome.item_id not in progress.problems for outcome in outcomes)

    def _require_few(self, progress: BuildProgress, most_failed: float) -> None:
        failed = len(progress.problems)
        if failed > most_failed * progress.items:
            item_id, why = next(iter(progress.problems.items()))
            raise CatalogInvalid(
                f"{failed:,} of {progress.items:,} items have pictures that cannot be used any "
                f"more, the first being {item_id}: {why} Put them right, or allow more."
            )


async def _paced(ids: Sequence[str], most_per_s: float | None) -> AsyncIterator[Sequence[str]]:
    """The items in chunks: each as soon as it is asked for, but none before its time."""
    size, each_s = COPY_ITEMS, 0.0
    if most_per_s is not None:
        size = max(1, min(COPY_ITEMS, int(most_per_s * PACE_S)))
        each_s = size / most_per_s
    due_s = time.monotonic()
    for start in range(0, len(ids), size):
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        # From now on, if it came late: what was missed is not made up for in a burst.
        due_s = max(due_s, time.monotonic()) + each_s
        yield ids[start : start + size]


async def differing(index: CatalogIndex, source: str, target: str, ids: Sequence[str]) -> list[str]:
    """Those of some items that differ at every one of several looks.

    A single look may fall between a write's arrival in the one collection and in the other.
    """
    left = list(ids)
    for _ in range(LOOKS):
        if not left:
            break
        await asyncio.sleep(CROSSING_S)
        left = [item_id for item_id in left if await _differs(index, source, target, item_id)]
    return left


async def _differs(index: CatalogIndex, source: str, target: str, item_id: str) -> bool:
    deadline = Deadline.after(COPY_TIMEOUT_S)
    here = await index.item_points(source, item_id, deadline)
    there = await index.item_points(target, item_id, deadline)
    return _contents(here) != _contents(there)


def _contents(points: Sequence[StoredPoint]) -> list[tuple[int, bytes]]:
    return [(picture_no(point.payload), content_of(point.payload)) for point in points]
