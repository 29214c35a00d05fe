"""Which release answers: the alias in the index, followed, and guarded against a mismatch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.errors import BackendUnavailable, LookalikeError, NotFound, SpaceMismatch
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import CatalogIndex, CollectionInfo
from gateway.telemetry import Metrics

log = logging.getLogger(__name__)

# An activation elsewhere reaches every gateway process within this.
FOLLOW_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class ActiveRelease:
    """A release and the collection that was built with it. A request reads this once."""

    loaded: LoadedRelease
    collection: CollectionInfo

    @property
    def id(self) -> str:
        """The release's id, as answers name it."""
        return self.loaded.release.id


class AnsweringRelease(Protocol):
    """Who says which release answers a search."""

    def active(self) -> ActiveRelease:
        """The release that answers now; a LookalikeError, saying why, when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class PinnedRelease:
    """Always the same release, whichever the alias names: to measure it beside the live one."""

    release: ActiveRelease

    def active(self) -> ActiveRelease:
        """See `AnsweringRelease`."""
        return self.release


class ActiveReleases:
    """Follows the alias. `load` reads a release's files by id; it may be slow and may raise."""

    def __init__(
        self, index: CatalogIndex, load: Callable[[str], LoadedRelease], metrics: Metrics
    ) -> None:
        self._index = index
        self._load = load
        self._metrics = metrics
        self._active: ActiveRelease | None = None
        self._problem: LookalikeError = BackendUnavailable(
            "No release is active yet: index a catalogue with `lookalike index`."
        )
        self._loaded: dict[str, LoadedRelease] = {}

    def active(self) -> ActiveRelease:
        """The release that answers now.

        Raises SpaceMismatch or BackendUnavailable, saying why, when there is none to answer.
        """
        if self._active is None:
            raise self._problem
        return self._active

    async def refresh(self) -> None:
        """Reads the alias and takes up the release that it names, if it may answer."""
        try:
            name = await self._index.active()
            if name is None:
                raise BackendUnavailable(
                    "No release is active yet: index a catalogue with `lookalike index`."
                )
            if self._active is None or self._active.collection.name != name:
                self._take(await self._guarded(name))
        except BackendUnavailable as exc:
            # The store being away does not change which release is right: keep answering what
            # can be answered; each request meets the store's own error.
            if self._active is None:
                self._problem = exc
        except LookalikeError as exc:
            self._active = None
            self._problem = exc

    async def follow(self) -> None:
        """Keeps `active` true until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL_S)
            await self.refresh()

    async def release(self, release_id: str) -> LoadedRelease:
        """A release's files, read once per process; NotFound or ReleaseInvalid as `load` raises."""
        if release_id not in self._loaded:
            self._loaded[release_id] = await asyncio.to_thread(self._load, release_id)
        return self._loaded[release_id]

    async def built(self, release_id: str) -> ActiveRelease:
        """A release and its collection, active or not.

        Raises NotFound if no catalogue has been indexed with it, and what `release` raises.
        """
        loaded = await self.release(release_id)
        info = await self._index.describe(release_id)
        if info is None:
            raise NotFound(
                f"Nothing is indexed with {release_id} yet: run "
                f"`lookalike index --release {release_id}` first.",
                field="release",
            )
        check_space(loaded, info)
        return ActiveRelease(loaded, info)

    async def _guarded(self, collection: str) -> ActiveRelease:
        """The release of a collection, refused if their fingerprints differ."""
        info = await self._index.describe(collection)
        if info is None:
            raise BackendUnavailable(f"The alias names {collection}, which does not exist.")
        loaded = await self.release(info.name)
        check_space(loaded, info)
        return ActiveRelease(loaded, info)

    def _take(self, active: ActiveRelease) -> None:
        if self._active is not None:
            self._metrics.active_release.labels(self._active.id).set(0)
        self._active = active
        self._metrics.active_release.labels(active.id).set(1)
        log.info("release %s is active", active.id)


def check_space(loaded: LoadedRelease, info: CollectionInfo) -> None:
    """SpaceMismatch unless the collection was built by exactly this release."""
    release = loaded.release
    if info.fingerprint != release.fingerprint or info.dim != release.dim:
        raise SpaceMismatch(
            f"The collection {info.name} was built with weights, tokenizer, preprocessing or "
            f"precision other than those of release {release.id} in the model repository. "
            f"Put the right release back, or index the catalogue again."
        )
