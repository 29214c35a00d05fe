"""What each release is at the moment, read off repository, collections, aliases and builds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from gateway.domain.errors import LookalikeError, NotFound
from gateway.domain.ports import Aliases, CatalogIndex, CollectionInfo
from gateway.domain.release import Release
from gateway.domain.trial import Trial
from gateway.services.release_build import BuildProgress

Builds = Mapping[str, BuildProgress]


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


class ReleaseOverview:
    """Derived anew at every question: nothing of it is kept."""

    def __init__(self, index: CatalogIndex, files: ReleaseFiles) -> None:
        self._index = index
        self._files = files

    async def all(self, builds: Builds) -> list[ReleaseStatus]:
        """Every release of the repository, and every collection whose release is not there.

        `builds` are those of this process, by release.
        """
        names = {*await asyncio.to_thread(self._files.ids), *await self._index.collections()}
        around = await self._surroundings()
        return [await self._status(name, builds, *around) for name in sorted(names)]

    async def one(self, release_id: str, builds: Builds) -> ReleaseStatus:
        """One of them; NotFound if neither the repository nor the index has it."""
        exported = await asyncio.to_thread(self._files.ids)
        if release_id not in exported and release_id not in await self._index.collections():
            raise NotFound(f"There is no release {release_id!r}.", field="release")
        return await self._status(release_id, builds, *await self._surroundings())

    async def _surroundings(self) -> tuple[Aliases, CollectionInfo | None]:
        """The aliases, and the active collection."""
        aliases = await self._index.aliases()
        active = None if aliases.active is None else await self._index.describe(aliases.active)
        return aliases, active

    async def _status(
        self, name: str, builds: Builds, aliases: Aliases, active: CollectionInfo | None
    ) -> ReleaseStatus:
        progress = builds.get(name)
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
        building = progress is not None and progress.running
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
