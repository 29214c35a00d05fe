"""Releases listed, built, activated, rolled back and retired."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from gateway.domain.errors import Conflict, LookalikeError, NotFound
from gateway.domain.ports import Aliases, CatalogIndex
from gateway.domain.trial import Trial
from gateway.services.active_release import FOLLOW_INTERVAL_S, ActiveRelease, ActiveReleases
from gateway.services.collection_difference import difference
from gateway.services.release_build import (
    BuildLimits,
    BuildProgress,
    BuildState,
    ReleaseBuild,
    differing,
)
from gateway.services.release_status import ReleaseFiles, ReleaseOverview, ReleaseStatus
from gateway.services.towers import Towers

log = logging.getLogger(__name__)

LOOKS = 5
LOOK_INTERVAL_S = 0.05
# Before a collection is dropped, every gateway has noticed that it does not answer any more, and
# the searches that were under way with it are done (a search has 2 s unless it asks for more).
RETIRE_GRACE_S = 2 * FOLLOW_INTERVAL_S + 2.0


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
        self._overview = ReleaseOverview(index, files)
        self._changing = asyncio.Lock()
        self._builds: dict[str, tuple[BuildProgress, asyncio.Task[None]]] = {}

    async def list(self) -> list[ReleaseStatus]:
        """Every release, by id."""
        return await self._overview.all(self._progress())

    async def status(self, release_id: str) -> ReleaseStatus:
        """One of them; NotFound if there is no such release."""
        return await self._overview.one(release_id, self._progress())

    def _progress(self) -> Mapping[str, BuildProgress]:
        return {release: progress for release, (progress, _) in self._builds.items()}

    def start_build(self, release_id: str, limits: BuildLimits) -> BuildProgress:
        """Builds in the background; a build that is running already goes on.

        Conflict while another release is built. Failures are in the progress.
        """
        for other, (progress, task) in self._builds.items():
            if not task.done():
                if other == release_id:
                    return progress
                raise Conflict(f"{other} is being built; wait, or stop it first.", field="release")
        progress = BuildProgress(release_id)
        task = asyncio.create_task(self.build(progress, limits))
        self._builds[release_id] = progress, task
        return progress

    def building(self, release_id: str) -> bool:
        """Whether this process builds it at the moment."""
        _, task = self._builds.get(release_id, (None, None))
        return task is not None and not task.done()

    async def build(self, progress: BuildProgress, limits: BuildLimits) -> None:
        """Builds here and now; `progress` tells how it goes and why it failed."""
        try:
            await self._build.run(progress, limits)
        except LookalikeError as exc:
            progress.state, progress.reason = BuildState.FAILED, exc.detail
        except Exception:  # nobody awaits a build: it must end as failed, whatever it met
            log.exception("the build of %s failed", progress.release)
            progress.state, progress.reason = BuildState.FAILED, "An error of ours; see the log."
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
            if self.building(release_id):
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
