"""Releases listed, built, activated, rolled back and retired."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from gateway.domain.errors import Conflict, LookalikeError, NotFound
from gateway.domain.ports import (
    Aliases,
    CatalogIndex,
    CollectionInfo,
)
from gateway.domain.release import Release
from gateway.domain.trial import Trial
from gateway.services.active_release import FOLLOW_INTERVAL_S, ActiveRelease, ActiveReleases
from gateway.services.collection_difference import difference
from gateway.services.release_build import (
    BuildProgress,
    BuildState,
    ReleaseBuild,
    differing,
)
from gateway.services.towers import Towers

LOOKS = 5
LOOK_INTERVAL_S = 0.05
# Before a collection is dropped, every gateway has noticed that it does not answer any more, and
# the searches that were under way with it are done (a search has 2 s unless it asks for more).
RETIRE_GRACE_S = 2 * FOLLOW_INTERVAL_S + 2.0


class ReleaseState(StrEnum):
    """What a release is at the moment."""

    ACTIVE = "active"
    PREVIOUS = "previous"  # answered before; kept in step to go back to
    BUILDING = "building"
    BUILT = "built"  # as many pictures as the active one has
    INCOMPLETE = "incomplete"  # fewer: a build was interrupted, or pictures failed
    EXPORTED = "exported"  # in the model repository, without a collection
    UNUSABLE = "unusable"  # its files, or its collection, do not fit


@dataclass(frozen=True, slots=True)
class ReleaseStatus:
    """One line of the list.

    Attributes:
        points: pictures in its collection; None without one.
        made_at_s: when its collection was made, seconds since 1970.
        evaluation: metric → mean of its last recorded evaluation, such as `recall@10`.
        trial: the share of live searches that it gets, if it is tried.
        build: the build of this process, if there was one since the start.
        problem: why it is unusable.
    """

    id: str
    state: ReleaseState
    architecture: str | None = None
    precision: str | None = None
    dim: int | None = None
    fingerprint: str | None = None
    points: int | None = None
    made_at_s: float | None = None
    evaluation: Mapping[str, float] | None = None
    trial: Trial | None = None
    build: BuildProgress | None = None
    problem: str | None = None


class ReleaseFiles(Protocol):
    """The model repository's manifests."""

    def ids(self) -> tuple[str, ...]:
        """The releases that there are, sorted."""
        ...

    def manifest(self, release_id: str) -> Release:
        """One of them; NotFound or ReleaseInvalid."""
        ...

    def evaluation(self, release_id: str) -> Mapping[str, float] | None:
        """The means of its last recorded evaluation, if there is one."""
        ...


class ReleaseLifecycle:
    """Everything that changes which release answers. One change at a time in a process."""

    def __init__(
        self,
        index: CatalogIndex,
        releases: ActiveReleases,
        files: ReleaseFiles,
        build: ReleaseBuild,
        towers: Towers,
        grace_s: float = RETIRE_GRACE_S,
    ) -> None:
        self._index = index
        self._releases = releases
        self._files = files
        self._build = build
        self._towers = towers
        self._grace_s = grace_s
        self._changing = asyncio.Lock()
        self._builds: dict[str, tuple[BuildProgress, asyncio.Task[None]]] = {}

    async def list(self) -> list[ReleaseStatus]:
        """Every release of the repository, and every collection whose release is not there."""
        aliases = await self._index.aliases()
        collections = await self._index.collections()
        exported = await asyncio.to_thread(self._files.ids)
        active = None if aliases.active is None else await self._index.describe(aliases.active)
        return [
            await self._status(name, aliases, active) for name in sorted({*exported, *collections})
        ]

    async def status(self, release_id: str) -> ReleaseStatus:
        """One of them; NotFound if neither the repository nor the index has it."""
        for status in await self.list():
            if status.id == release_id:
                return status
        raise NotFound(f"There is no release {release_id!r}.", field="release")

    def start_build(self, release_id: str, most_failed: float) -> BuildProgress:
        """Builds in the background; a build that is running already goes on.

        Conflict while another release is built. Failures are in the progress.
        """
        for other, (progress, task) in self._builds.items():
            if not task.done():
                if other == release_id:
                    return progress
                raise Conflict(f"{other} is being built; wait, or stop it first.", field="release")
        progress = BuildProgress(release_id)
        task = asyncio.create_task(self.build(progress, most_failed))
        self._builds[release_id] = progress, task
        return progress

    async def build(self, progress: BuildProgress, most_failed: float) -> None:
        """Builds here and now; `progress` tells how it goes and why it failed."""
        try:
            await self._build.run(progress, most_failed)
        except LookalikeError as exc:
            progress.state, progress.reason = BuildState.FAILED, exc.detail
        except asyncio.CancelledError:
            progress.state = BuildState.STOPPED
            raise

    async def stop_build(self, release_id: str) -> None:
        """Stops a build; what it has done stays. NotFound if none is running."""
        _, task = self._builds.get(release_id, (None, None))
        if task is None or task.done():
            raise NotFound(f"No build of {release_id!r} is running here.", field="release")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def activate(self, release_id: str, most_missing: int = 0) -> Aliases:
        """Makes a release answer, if it is complete and right.

        `most_missing` items may be missing, because their pictures cannot be used any more.
        Conflict, saying what to do, if anything speaks against it; else what the backends raise.
        """
        async with self._changing:
            await self._releases.refresh()
            candidate = await self._releases.built(release_id)
            await self._towers.prove(candidate.loaded)
            aliases = await self._index.aliases()
            if aliases.active is not None and aliases.active != candidate.collection.name:
                await self._require_complete(aliases.active, candidate, most_missing)
            await self._index.activate(candidate.collection.name)
            await self._releases.refresh()
            return await self._index.aliases()

    async def rollback(self, force: bool = False) -> Aliases:
        """Makes the release before answer again.

        It has been kept in step, so that as many pictures are enough of a proof, and only if there
        are not the collections are compared; `force` does without that as well. Conflict if there
        is nothing to go back to, or it missed changes.
        """
        async with self._changing:
            aliases = await self._index.aliases()
            if aliases.previous is None:
                raise Conflict("There is no release to go back to.")
            before = await self._releases.built(aliases.previous)
            await self._towers.prove(before.loaded)
            if not force and aliases.active is not None:
                await self._require_as_many(aliases.active, before)
            await self._index.activate(before.collection.name)
            await self._releases.refresh()
            return await self._index.aliases()

    async def retire(self, release_id: str) -> None:
        """Deletes a release's collection and unloads its towers; its files stay.

        Conflict for the active release or one that is being built, NotFound without a collection.
        """
        async with self._changing:
            aliases = await self._index.aliases()
            if aliases.active == release_id:
                raise Conflict(f"{release_id} is active: activate another release first.")
            _, task = self._builds.get(release_id, (None, None))
            if task is not None and not task.done():
                raise Conflict(f"{release_id} is being built: stop that first.")
            if release_id not in await self._index.collections():
                raise NotFound(f"Nothing is indexed with {release_id!r}.", field="release")
            if aliases.trial is not None and aliases.trial.release == release_id:
                await self._index.set_trial(None)
            await asyncio.sleep(self._grace_s)
            if (await self._index.aliases()).active == release_id:
                raise Conflict(f"{release_id} has become active meanwhile.")
            await self._index.drop(release_id)
            await self._releases.refresh()
            self._builds.pop(release_id, None)
            with suppress(NotFound):
                release = await asyncio.to_thread(self._files.manifest, release_id)
                await self._towers.unload(release)

    async def set_trial(self, trial: Trial | None) -> None:
        """Gives a candidate a share of the live searches, or ends that.

        Conflict if the candidate is not complete; it need not be to be shadowed.
        """
        async with self._changing:
            if trial is not None:
                aliases = await self._index.aliases()
                if trial.release == aliases.active:
                    raise Conflict(f"{trial.release} is active: it answers every search.")
                candidate = await self._releases.built(trial.release)
                await self._towers.prove(candidate.loaded)
                if trial.canary > 0 and aliases.active is not None:
                    await self._require_complete(aliases.active, candidate, 0)
            await self._index.set_trial(trial)
            await self._releases.refresh()

    async def close(self) -> None:
        """Stops builds."""
        for release_id in list(self._builds):
            with suppress(NotFound):
                await self.stop_build(release_id)

    async def _require_as_many(self, active: str, before: ActiveRelease) -> None:
        for _ in range(LOOKS):  # writes that are on their way are in one of them only
            counts = [
                None if info is None else info.points
                for info in (
                    await self._index.describe(active),
                    await self._index.describe(before.collection.name),
                )
            ]
            if counts[0] == counts[1]:
                return
            await asyncio.sleep(LOOK_INTERVAL_S)
        try:
            await self._require_complete(active, before, 0)
        except Conflict as exc:
            raise Conflict(
                f"{before.id} missed changes. {exc.detail} `lookalike releases rollback --force` "
                "goes back nevertheless: these items are then as they were before."
            ) from exc

    async def _require_complete(
        self, active: str, candidate: ActiveRelease, most_missing: int
    ) -> None:
        name = candidate.collection.name
        found = await difference(self._index, active, name)
        left = await differing(self._index, active, name, sorted(found.stale | found.surplus))
        if len(left) > most_missing:
            raise Conflict(
                f"{len(left):,} of {found.items:,} items are not in {candidate.id} as they are in "
                f"the active release, {left[0]} among them: run `lookalike releases build "
                f"{candidate.id}`, or allow so many with `--missing {len(left)}`."
            )
        info = await self._index.describe(name)
        if info is None or not info.green:
            raise Conflict(
                f"The index of {candidate.id} is still being built: run `lookalike releases build "
                f"{candidate.id}` or wait."
            )

    async def _status(
        self, name: str, aliases: Aliases, active: CollectionInfo | None
    ) -> ReleaseStatus:
        progress, task = self._builds.get(name, (None, None))
        status = ReleaseStatus(name, ReleaseState.EXPORTED, build=progress)
        try:
            release = await asyncio.to_thread(self._files.manifest, name)
            status = replace(
                status,
                architecture=release.architecture,
                precision=release.precision,
                dim=release.dim,
                fingerprint=release.fingerprint,
                evaluation=await asyncio.to_thread(self._files.evaluation, name),
            )
            info = await self._index.describe(name)
        except LookalikeError as exc:
            return replace(status, state=ReleaseState.UNUSABLE, problem=exc.detail)
        if info is None:
            return status
        trial = aliases.trial if aliases.trial and aliases.trial.release == name else None
        status = replace(status, points=info.points, made_at_s=info.made_at_s, trial=trial)
        if info.fingerprint != release.fingerprint:
            return replace(
                status,
                state=ReleaseState.UNUSABLE,
                problem="Its collection was built by another model than the repository has now.",
            )
        building = task is not None and not task.done()
        return replace(status, state=_state(name, info, aliases, active, building))


def _state(
    name: str,
    info: CollectionInfo,
    aliases: Aliases,
    active: CollectionInfo | None,
    building: bool,
) -> ReleaseState:
    if name == aliases.active:
        return ReleaseState.ACTIVE
    if building:
        return ReleaseState.BUILDING
    if active is None or info.points != active.points:
        return ReleaseState.INCOMPLETE
    return ReleaseState.PREVIOUS if name == aliases.previous else ReleaseState.BUILT
