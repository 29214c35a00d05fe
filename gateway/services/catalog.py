"""The catalogue kept in step with the index: items in, points out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from gateway.domain.deadline import Deadline
from gateway.domain.errors import CatalogInvalid, DeadlineExceeded, LookalikeError, NotFound
from gateway.domain.items import Item
from gateway.domain.ports import PictureSource
from gateway.services.active_release import ActiveRelease
from gateway.services.item_writer import ItemOutcome, ItemWriter
from gateway.services.picture_memo import PictureMemo
from gateway.telemetry import Metrics

log = logging.getLogger(__name__)

T = TypeVar("T")

# Items worked on at once by `index`: while one chunk infers, the next are read and decoded.
CHUNK_ITEMS = 32
CHUNKS_IN_FLIGHT = 3
CHUNK_TIMEOUT_S = 120.0

MAX_PICTURES = 100
MAX_ID_CHARS = 256


class KeptReleases(Protocol):
    """Who says which other releases' collections a write goes to."""

    def beside(self, into: ActiveRelease) -> Sequence[ActiveRelease]:
        """Those that are kept in step with `into`: the one before, and one that is being built."""
        ...


class CatalogService:
    """Everything that writes the catalogue, one writer at a time to an item.

    A write goes to the active release's collection, and then to those that are kept in step with
    it. Only the first decides what the caller hears: a shop's change must not fail because of a
    candidate. Where such a copy fails, the item is taken out of that collection, so that it is
    seen to be incomplete, and the next build puts it back.
    """

    def __init__(
        self,
        writer: ItemWriter,
        pictures: PictureSource,
        kept: KeptReleases,
        metrics: Metrics,
    ) -> None:
        self._writer = writer
        self._pictures = pictures
        self._kept = kept
        self._metrics = metrics
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._under_way: set[asyncio.Task[Any]] = set()

    async def upsert(
        self, items: Sequence[Item], into: ActiveRelease, deadline: Deadline
    ) -> list[ItemOutcome]:
        """Writes items; one outcome each, in their order. One bad item fails alone.

        A picture whose bytes are unchanged is not embedded again. What fails for all, such as an
        unreachable server, is raised.
        """
        good = {item.id: item for item in items if _problem(item, items) is None}
        written = await self._to_its_end(self._upsert_all(good, into, deadline), deadline)
        outcomes = {outcome.item_id: outcome for outcome in written}
        return [
            outcomes.get(item.id) or ItemOutcome(item.id, error=_problem(item, items))
            for item in items
        ]

    async def _upsert_all(
        self, items: Mapping[str, Item], into: ActiveRelease, deadline: Deadline
    ) -> list[ItemOutcome]:
        outcomes = []
        async with AsyncExitStack() as stack:
            for item_id in sorted(items):  # one order for all, so that no two writers deadlock
                await stack.enter_async_context(self._lock(item_id))
            rest = iter(items.values())
            while chunk := list(islice(rest, CHUNK_ITEMS)):
                deadline.require("writing items")
                outcomes += await self._upsert(chunk, into, deadline)
        return outcomes

    async def _upsert(
        self, items: Sequence[Item], into: ActiveRelease, deadline: Deadline
    ) -> list[ItemOutcome]:
        others = self._kept.beside(into)
        # Every release must see the same bytes, also if the picture changes meanwhile.
        pictures = PictureMemo(self._pictures) if others else self._pictures
        outcomes = await self._writer.write(items, into, pictures, deadline)
        failed = {outcome.item_id for outcome in outcomes if outcome.error is not None}
        written = [item for item in items if item.id not in failed]
        for other in others:
            await self._copy(written, other, pictures, deadline)
        return outcomes

    async def delete(
        self, item_ids: Sequence[str], into: ActiveRelease, deadline: Deadline
    ) -> list[bool]:
        """Removes items; for each, whether it was there."""
        found = []
        for item_id in item_ids:
            work = self._delete(item_id, into, deadline)
            found.append(await self._to_its_end(work, deadline))
        return found

    async def _delete(self, item_id: str, into: ActiveRelease, deadline: Deadline) -> bool:
        async with self._lock(item_id):
            deadline.require("deleting an item")
            found = await self._writer.remove(item_id, into, deadline)
            for other in self._kept.beside(into):
                await self._remove(item_id, other, deadline)
        return found

    async def _to_its_end(self, work: Coroutine[None, None, T], deadline: Deadline) -> T:
        """A caller that goes away, or whose time is over, must not leave a change in one collection
        and not in the next. Raises DeadlineExceeded in time; the work goes on."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                return await asyncio.shield(task)
        except TimeoutError as exc:
            raise DeadlineExceeded(
                "The time ran out while the catalogue was written to. What has begun is finished; "
                "to write the same again does no harm."
            ) from exc

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # if nobody is left to hear of it, asyncio would call it a fault

    async def close(self) -> None:
        """What nobody waits for any more is finished all the same."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _copy(
        self,
        items: Sequence[Item],
        other: ActiveRelease,
        pictures: PictureSource,
        deadline: Deadline,
    ) -> None:
        try:
            outcomes = await self._writer.write(items, other, pictures, deadline)
            lost = [(outcome.item_id, outcome.error) for outcome in outcomes if outcome.error]
        except NotFound:
            return  # the collection is being retired
        except LookalikeError as exc:
            lost = [(item.id, exc) for item in items]
        for item_id, why in lost:
            log.warning("%s could not be copied to %s: %s", item_id, other.id, why.detail)
            self._metrics.out_of_step.labels(other.id).inc()
            await self._remove(item_id, other, Deadline.after(CHUNK_TIMEOUT_S))

    async def _remove(self, item_id: str, other: ActiveRelease, deadline: Deadline) -> None:
        try:
            await self._writer.remove(item_id, other, deadline)
        except NotFound:
            return  # the collection is being retired
        except LookalikeError as exc:
            # The next comparison of the two collections finds it.
            log.warning("%s could not be removed from %s: %s", item_id, other.id, exc.detail)
            self._metrics.out_of_step.labels(other.id).inc()

    async def index(
        self, items: Iterable[Item], into: ActiveRelease
    ) -> AsyncIterator[list[ItemOutcome]]:
        """Writes a whole catalogue, chunk by chunk, several at once; yields outcomes as they come.

        Run again after an interruption, it embeds only what is missing or changed.
        """
        source = iter(items)
        running: set[asyncio.Task[list[ItemOutcome]]] = set()
        try:
            while True:
                while len(running) < CHUNKS_IN_FLIGHT:
                    chunk = list(islice(source, CHUNK_ITEMS))
                    if not chunk:
                        break
                    deadline = Deadline.after(CHUNK_TIMEOUT_S)
                    running.add(asyncio.create_task(self.upsert(chunk, into, deadline)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()

    def _lock(self, item_id: str) -> asyncio.Lock:
        """One writer at a time to an item; the lock lives while somebody holds or awaits it."""
        lock = self._locks.get(item_id)
        if lock is None:
            lock = self._locks[item_id] = asyncio.Lock()
        return lock


def _problem(item: Item, batch: Sequence[Item]) -> LookalikeError | None:
    """Why an item cannot be indexed, as far as that can be seen without its pictures."""
    if not 0 < len(item.id) <= MAX_ID_CHARS:
        return CatalogInvalid(f"An id has 1 to {MAX_ID_CHARS} characters.", field="id")
    if not 0 < len(item.pictures) <= MAX_PICTURES:
        return CatalogInvalid(f"An item has 1 to {MAX_PICTURES} pictures.", field="pictures")
    if sum(other.id == item.id for other in batch) > 1:
        return CatalogInvalid("The same id stands twice in one batch.", field="id")
    return None
