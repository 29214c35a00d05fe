"""The edge store: Qdrant's engine inside the gateway's process.

**No threads.** qdrant-edge-py 0.9 never lets go of Python's global lock: while a thread was in the
engine, another made no step (20,000 points read: 52 ms, the other stood still for 51 ms). A hop to
a thread would cost 0.1 ms and free nothing, so calls are made where they stand: 0.5 ms for a
hybrid search of 2,000 items. What takes longer is cut into pieces with a turn of the event loop
between them, and the building of the HNSW graph runs in a process of its own.

**Durability.** A write is in the write-ahead log when it returns, and survives the death of the
process by SIGKILL. Against a power cut it is safe after the next flush (3 to 17 ms, so not at every
write): `activate`, `optimize` and `close` flush.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import qdrant_edge as edge

from gateway.adapters import qdrant_edge_query as words
from gateway.adapters.qdrant_aliases import activated, without
from gateway.adapters.qdrant_edge_filter import item_is
from gateway.adapters.qdrant_edge_folder import IndexFolder
from gateway.adapters.qdrant_edge_optimize import optimize
from gateway.adapters.qdrant_edge_query import EdgeOptions
from gateway.adapters.qdrant_edge_shard import Collection, load, make, translated
from gateway.adapters.qdrant_facets import RESULT_SET, counted, result_set
from gateway.adapters.qdrant_paging import PageFill, Pager, payload_keys
from gateway.domain import payload as payloads
from gateway.domain.deadline import Deadline
from gateway.domain.errors import BackendUnavailable, NotFound, SpaceMismatch
from gateway.domain.plan import SearchPlan
from gateway.domain.ports import Aliases, CollectionInfo, CollectionSpec, Point, StoredPoint
from gateway.domain.query import Facets, Hit
from gateway.domain.trial import Trial

# Points written or read between two turns of the event loop: 2 to 4 ms, and 1 ms.
WRITE_POINTS = 32
READ_POINTS = 256

DEFAULTS = EdgeOptions()


class EdgeIndex:
    """`CatalogIndex` on a folder. For one process; make it with `open`."""

    def __init__(self, folder: IndexFolder, options: EdgeOptions) -> None:
        self._folder = folder
        self._options = options
        self._open: dict[str, Collection] = {}
        self._fill = PageFill()  # one: every collection has the same catalogue
        self._layout = asyncio.Lock()  # one collection is made or deleted at a time
        self._optimizing = asyncio.Lock()
        self._closed = False

    @classmethod
    def open(cls, root: Path, options: EdgeOptions = DEFAULTS) -> Self:
        """Opens the folder `root`, or makes it, with all its collections.

        Raises StartupProblem if another process has it open, or if it is damaged.
        """
        index = cls(IndexFolder(root), options)
        try:
            for name in index._folder.names():
                record = index._folder.read(name)
                if record is not None:
                    index._open[name] = load(index._folder, record, index._options)
        except BaseException:
            index._close()
            raise
        return index

    def require_there(self) -> None:
        """See `CatalogIndex`."""
        self._require_open()

    async def create(self, spec: CollectionSpec) -> None:
        """See `CatalogIndex`."""
        self._require_open()
        async with self._layout:
            known = self._open.get(spec.name)
            if known is None:
                self._open[spec.name] = await make(self._folder, spec, self._options)
            elif known.record.spec.fingerprint != spec.fingerprint:
                raise SpaceMismatch(
                    f"The collection {spec.name} was made for another model "
                    f"({known.record.spec.fingerprint}, not {spec.fingerprint})."
                )

    async def describe(self, collection: str) -> CollectionInfo | None:
        """See `CatalogIndex`."""
        self._require_open()
        known = self._open.get(collection)
        if known is None:
            return None
        spec = known.record.spec
        return CollectionInfo(
            name=spec.name,
            dim=spec.dim,
            fingerprint=spec.fingerprint,
            points=known.points(),
            fields=spec.fields,
            green=known.green(),
            made_at_s=known.record.made_at_s,
            graph=known.graph(),
        )

    async def collections(self) -> list[str]:
        """See `CatalogIndex`."""
        self._require_open()
        return sorted(self._open)

    async def drop(self, collection: str) -> None:
        """See `CatalogIndex`."""
        self._require_open()
        async with self._layout:
            known = self._open.pop(collection, None)
            if known is None:
                return
            before = self._folder.read_aliases()
            after = without(before, collection)
            if after != before:
                self._folder.write_aliases(after)
            known.close()
            await asyncio.to_thread(self._folder.remove, collection)

    async def activate(self, collection: str) -> None:
        """See `CatalogIndex`."""
        known = self._collection(collection)
        known.flush()
        self._folder.write_aliases(activated(self._folder.read_aliases(), collection))

    async def set_trial(self, trial: Trial | None) -> None:
        """See `CatalogIndex`."""
        self._require_open()
        if trial is not None:
            self._collection(trial.release)
        self._folder.write_aliases(replace(self._folder.read_aliases(), trial=trial))

    async def aliases(self) -> Aliases:
        """See `CatalogIndex`."""
        self._require_open()
        return self._folder.read_aliases()

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """See `CatalogIndex`; about 9,000 points a second."""
        known = self._collection(collection)
        for start in range(0, len(points), WRITE_POINTS):
            batch = [words.to_point(p) for p in points[start : start + WRITE_POINTS]]
            await known.update(edge.UpdateOperation.upsert_points(batch))
            await asyncio.sleep(0)

    async def delete_points(self, collection: str, ids: Sequence[str]) -> None:
        """See `CatalogIndex`."""
        known = self._collection(collection)
        if ids:
            await known.update(edge.UpdateOperation.delete_points(list(ids)))

    async def item_points(
        self, collection: str, item_id: str, deadline: Deadline
    ) -> list[StoredPoint]:
        """See `CatalogIndex`."""
        known = self._collection(collection)
        deadline.require("reading an item")
        records = [r async for r in _scroll(known, item_is(item_id), [words.IMAGE])]
        return sorted(map(_stored, records), key=lambda p: payloads.picture_no(p.payload))

    async def search(self, collection: str, plan: SearchPlan, deadline: Deadline) -> list[Hit]:
        """See `CatalogIndex`."""
        pager, keys = Pager(plan, self._fill), payload_keys(plan)
        known = self._collection(collection)
        for window in pager.windows():
            deadline.require("searching the index")
            with translated("searching"):
                found = known.shard.query(words.search_request(plan, window, keys))
                pager.add(window, [_Found(point) for point in found])
        return pager.hits()

    async def facets(
        self, collection: str, plan: SearchPlan, fields: Sequence[str], deadline: Deadline
    ) -> Facets:
        """See `CatalogIndex`."""
        known = self._collection(collection)
        counting = result_set(plan)
        if counting is None or not fields:
            return counted(fields, ())
        deadline.require("counting the result set")
        with translated("counting the result set"):
            found = known.shard.query(words.search_request(counting, RESULT_SET, ("id", *fields)))
        payload_of = (point.payload or {} for point in found)
        return counted(
            fields,
            ((p["id"], [payloads.value_at(p, field) for field in fields]) for p in payload_of),
        )

    async def payloads(self, collection: str) -> AsyncIterator[Mapping[str, Any]]:
        """See `CatalogIndex`."""
        async for record in _scroll(self._collection(collection), None, []):
            yield record.payload or {}

    async def optimize(self, collection: str) -> None:
        """See `gateway.adapters.qdrant_edge_optimize`: searches and writes go on meanwhile.

        A no-op for less than `indexing_kb` of vectors, which are scanned.
        """
        async with self._optimizing:
            known = self._collection(collection)
            if known.vectors_kb() >= self._options.indexing_kb:
                await optimize(self._folder, known)

    async def close(self) -> None:
        """See `CatalogIndex`."""
        self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for known in self._open.values():
            known.flush()
            known.close()
        self._folder.close()

    def _require_open(self) -> None:
        if self._closed:
            raise BackendUnavailable("The index is closed.")

    def _collection(self, name: str) -> Collection:
        self._require_open()
        known = self._open.get(name)
        if known is None:
            raise NotFound(f"There is no collection {name}.")
        return known


async def _scroll(
    known: Collection, only: edge.Filter | None, vectors: list[str]
) -> AsyncIterator[edge.Record]:
    """The points that `only` lets through, by id, with a turn of the event loop between slices."""
    offset: Any = None
    while True:
        request = edge.ScrollRequest(
            offset=offset, limit=READ_POINTS, filter=only, with_payload=True, with_vector=vectors
        )
        with translated("reading points"):
            records, offset = known.shard.scroll(request)
        for record in records:
            yield record
        if offset is None:
            return
        await asyncio.sleep(0)


class _Found:
    """See `gateway.adapters.qdrant_paging.Scored`."""

    def __init__(self, point: edge.ScoredPoint) -> None:
        self._point = point
        self._payload: Mapping[str, Any] | None = None
        self.score = point.score

    @property
    def point_id(self) -> str:
        return str(self._point.id)

    @property
    def item_id(self) -> str:
        value: str = self.payload()["id"]
        return value

    def value(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        return payloads.value_at(self.payload(), key)

    def payload(self) -> Mapping[str, Any]:
        if self._payload is None:
            self._payload = self._point.payload or {}
        return self._payload


def _stored(record: edge.Record) -> StoredPoint:
    vector = cast(dict[str, list[float]], record.vector)[words.IMAGE]
    return StoredPoint(str(record.id), np.asarray(vector, np.float32), record.payload or {})
