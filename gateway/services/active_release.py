"""Which release answers: the alias in the index, followed, and guarded against a mismatch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.errors import BackendUnavailable, LookalikeError, NotFound, SpaceMismatch
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import CatalogIndex, CollectionInfo
from gateway.domain.trial import Trial, falls_within
from gateway.telemetry import Metrics

log = logging.getLogger(__name__)

# An activation elsewhere reaches every gateway process within this.
FOLLOW_INTERVAL_S = 0.5
# A collection that could not be taken up is looked at again after this: its release may be on the
# way into the model repository.
RETRY_S = 10.0


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

    def answering(self, route: Route) -> ActiveRelease:
        """The release that answers a search that came this way.

        NotFound for a release asked for by name that is not kept in step.
        """
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """What decides which release answers: `release` if the caller names one, else whether `key`
    falls into a canary's share. The same key meets the same release."""

    key: Callable[[], bytes]
    release: str | None = None


@dataclass(frozen=True, slots=True)
class PinnedRelease:
    """Always the same release, whichever the alias names: to measure it beside the live one."""

    release: ActiveRelease

    def active(self) -> ActiveRelease:
        """See `AnsweringRelease`."""
        return self.release

    def answering(self, route: Route) -> ActiveRelease:
        """See `AnsweringRelease`."""
        return self.release


class ActiveReleases:
    """Follows the aliases, and the collections that are kept in step with the active one.

    Kept is every collection whose release this model repository has: the one that is being built,
    the one before, and whatever has not been retired. `load` reads a release's files by id; it may
    be slow and may raise.
    """

    def __init__(
        self,
        index: CatalogIndex,
        load: Callable[[str], LoadedRelease],
        metrics: Metrics,
    ) -> None:
        self._index = index
        self._load = load
        self._metrics = metrics
        self._active: ActiveRelease | None = None
        self._before: str | None = None  # the collection that was active until the last change
        self._trial: Trial | None = None
        self._kept: dict[str, ActiveRelease] = {}
        self._retry_at_s: dict[str, float] = {}  # collections passed over; monotonic seconds
        self._refreshing = asyncio.Lock()
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

    def answering(self, route: Route) -> ActiveRelease:
        """See `AnsweringRelease`."""
        if route.release is not None:
            return self.kept(route.release)
        trial = self._trial
        if trial is not None and trial.canary > 0:
            candidate = self._kept.get(trial.release)
            if candidate is not None and falls_within(trial.canary, b"canary" + route.key()):
                return candidate
        return self.active()

    def shadowing(self, route: Route, answered: ActiveRelease) -> ActiveRelease | None:
        """The candidate that gets a copy of a search that the active release answered, if any."""
        trial = self._trial
        if trial is None or trial.shadow == 0 or answered is not self._active:
            return None
        if route.release is not None or not falls_within(trial.shadow, b"shadow" + route.key()):
            return None
        return self._kept.get(trial.release)

    def kept(self, release_id: str) -> ActiveRelease:
        """A release that is kept in step, by id; NotFound if there is no such one."""
        if self._active is not None and self._active.id == release_id:
            return self._active
        try:
            return self._kept[release_id]
        except KeyError as exc:
            known = ", ".join(sorted(self._kept)) or "none"
            raise NotFound(
                f"No collection of release {release_id!r} is kept here; kept: {known}.",
                field="release",
            ) from exc

    def beside(self, into: ActiveRelease) -> list[ActiveRelease]:
        """See `gateway.services.catalog.KeptReleases`. Nothing is kept in step with a collection
        that does not answer, nor did before the last change."""
        name = into.collection.name
        answers = self._active is not None and self._active.collection.name == name
        if not answers and name != self._before:
            return []
        return [kept for other, kept in self._kept.items() if other != name]

    async def refresh(self) -> None:
        """Reads the aliases and collections, and takes up what they say, if it may answer."""
        async with self._refreshing:  # a slow one must not undo what a later one has read
            await self._refresh()

    def all_kept(self) -> list[ActiveRelease]:
        """The active release, if there is one, and those kept in step with it."""
        answering = [] if self._active is None else [self._active]
        return answering + [kept for kept in self._kept.values() if kept not in answering]

    async def _refresh(self) -> None:
        try:
            aliases = await self._index.aliases()
            if aliases.active is None:
                raise BackendUnavailable(
                    "No release is active yet: index a catalogue with `lookalike index`."
                )
            if self._active is None or self._active.collection.name != aliases.active:
                self._take(await self._guarded(aliases.active))
            await self._keep(await self._index.collections())
            self._trial = aliases.trial
        except BackendUnavailable as exc:
            # The store being away does not change which release is right: keep answering what
            # can be answered; each request meets the store's own error.
            if self._active is None:
                self._problem = exc
        except LookalikeError as exc:
            self._leave()
            self._problem = exc

    async def follow(self) -> None:
        """Keeps `active` true until cancelled."""
        while True:
            await asyncio.sleep(FOLLOW_INTERVAL_S)
            await self.refresh()

    async def _keep(self, collections: Sequence[str]) -> None:
        """Takes up collections that appeared, and lets go of those that are gone."""
        for gone in self._kept.keys() - set(collections):
            del self._kept[gone]
            self._loaded.pop(gone, None)
            log.info("release %s is kept no more", gone)
        for name in collections:
            if name in self._kept or time.monotonic() < self._retry_at_s.get(name, 0.0):
                continue
            try:
                self._kept[name] = await self._guarded(name)
                log.info("release %s is kept in step", name)
            except BackendUnavailable:
                raise
            except LookalikeError as exc:
                # Somebody else's collection, or one whose release is not in this repository.
                if name not in self._retry_at_s:
                    log.warning("the collection %s is passed over: %s", name, exc.detail)
                self._retry_at_s[name] = time.monotonic() + RETRY_S

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
                f"`lookalike releases build {release_id}` first.",
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

    def _leave(self) -> None:
        """No release answers, until one is taken."""
        if self._active is not None:
            self._metrics.active_release.labels(self._active.id).set(0)
        self._active = None

    def _take(self, active: ActiveRelease) -> None:
        if self._active is not None:
            self._before = self._active.collection.name
        self._leave()
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
