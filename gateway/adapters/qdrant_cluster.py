"""The cluster store: Qdrant servers, over gRPC.

A collection's fingerprint and fields stand in its metadata, which servers keep since 1.16; RRF with
a constant of one's own is of the same release. Older servers are refused by `describe`, because
they lose the metadata.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
from qdrant_client import AsyncQdrantClient, grpc, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from gateway.adapters import qdrant_cluster_query as words
from gateway.adapters.qdrant_aliases import activated
from gateway.adapters.qdrant_cluster_aliases import changes, to_aliases
from gateway.adapters.qdrant_cluster_client import ClusterOptions, alive, close, connect
from gateway.adapters.qdrant_cluster_errors import require_there, translated
from gateway.adapters.qdrant_cluster_filter import item_is
from gateway.adapters.qdrant_facets import RESULT_SET, counted, result_set
from gateway.adapters.qdrant_paging import PageFill, Pager, payload_keys
from gateway.adapters.watched_connection import WatchedConnection
from gateway.domain import payload as payloads
from gateway.domain.deadline import Deadline
from gateway.domain.errors import (
    BackendUnavailable,
    LookalikeError,
    NotFound,
    SpaceMismatch,
)
from gateway.domain.filters import FieldType
from gateway.domain.plan import SearchPlan
from gateway.domain.ports import Aliases, CollectionInfo, CollectionSpec, Point, StoredPoint
from gateway.domain.query import Facets, Hit
from gateway.domain.trial import Trial
from gateway.telemetry.tracing import Headers

METADATA_KEY = "lookalike"
READ_POINTS = 256
# A server takes requests of up to 32 MB; 64 points of 2,048 numbers are half a megabyte, and are
# encoded in about 4 ms, during which the event loop stands still.
WRITE_POINTS = 64
POLL_S = 0.5


class ClusterIndex:
    """`CatalogIndex` on a Qdrant cluster. Connects at the first call."""

    def __init__(self, options: ClusterOptions) -> None:
        self._options = options
        self._fill = PageFill()  # one: every collection has the same catalogue
        self._connection = WatchedConnection(
            f"Qdrant at {options.host}:{options.grpc_port}",
            lambda: connect(options),
            alive,
            close,
        )
        server = f"{options.host}:{options.grpc_port}"
        self._calling = partial(translated, to=self._connection, server=server)

    @property
    def _client(self) -> AsyncQdrantClient:
        return self._connection.current

    @property
    def away(self) -> bool:
        """Whether Qdrant is known to be away."""
        return self._connection.away

    def require_there(self) -> None:
        """See `CatalogIndex`."""
        require_there(self._connection, "the search")

    async def create(self, spec: CollectionSpec) -> None:
        """See `CatalogIndex`."""
        known = await self.describe(spec.name)
        if known is None:
            try:
                await self._create(spec)
            except LookalikeError:
                # Another gateway may have been faster.
                known = await self.describe(spec.name)
                if known is None:
                    raise
        if known is not None and known.fingerprint != spec.fingerprint:
            raise SpaceMismatch(
                f"The collection {spec.name} was made for another model "
                f"({known.fingerprint}, not {spec.fingerprint})."
            )
        # Also for one that exists: the process that made it may have died on the way.
        for key, kind in {"id": FieldType.KEYWORD, **spec.fields}.items():
            async with self._calling("indexing a field"):
                await self._client.create_payload_index(
                    spec.name, key, field_schema=words.field_index(kind)
                )

    async def _create(self, spec: CollectionSpec) -> None:
        about = {
            "dim": spec.dim,
            "fingerprint": spec.fingerprint,
            "fields": {key: str(kind) for key, kind in spec.fields.items()},
            "made_at_s": time.time(),
        }
        async with self._calling("creating a collection"):
            await self._client.create_collection(
                spec.name,
                vectors_config=words.dense_config(spec),
                sparse_vectors_config=words.sparse_config(),
                hnsw_config=words.hnsw_config(),
                shard_number=self._options.shards,
                replication_factor=self._options.replicas,
                write_consistency_factor=self._options.write_consistency,
                metadata={METADATA_KEY: about},
            )

    async def describe(self, collection: str) -> CollectionInfo | None:
        """See `CatalogIndex`. SpaceMismatch for a collection that somebody else made."""
        try:
            async with self._calling("describing a collection"):
                info = await self._client.get_collection(collection)
        except NotFound:
            return None
        about = (info.config.metadata or {}).get(METADATA_KEY)
        if about is None:
            raise SpaceMismatch(
                f"The collection {collection} does not say for which model it was made. "
                "It is not Lookalike's, or the server is older than Qdrant 1.16."
            )
        fields = {key: FieldType(kind) for key, kind in about["fields"].items()}
        return CollectionInfo(
            name=collection,
            dim=int(about["dim"]),
            fingerprint=about["fingerprint"],
            points=info.points_count or 0,
            fields=fields,
            green=info.status is models.CollectionStatus.GREEN,
            made_at_s=about.get("made_at_s"),
            # Words' vectors are indexed at once and are in this count; nearly all points have some.
            graph=(info.indexed_vectors_count or 0) > (info.points_count or 0),
        )

    async def collections(self) -> list[str]:
        """See `CatalogIndex`."""
        async with self._calling("listing collections"):
            answer = await self._client.get_collections()
        return sorted(collection.name for collection in answer.collections)

    async def drop(self, collection: str) -> None:
        """See `CatalogIndex`. Its aliases go with it."""
        try:
            async with self._calling("deleting a collection"):
                await self._client.delete_collection(collection)
        except NotFound:
            return

    async def activate(self, collection: str) -> None:
        """See `CatalogIndex`."""
        before = await self.aliases()
        await self._change(before, activated(before, collection), [collection])

    async def set_trial(self, trial: Trial | None) -> None:
        """See `CatalogIndex`."""
        before = await self.aliases()
        named = [] if trial is None else [trial.release]
        await self._change(before, replace(before, trial=trial), named)

    async def aliases(self) -> Aliases:
        """See `CatalogIndex`."""
        async with self._calling("reading the aliases"):
            answer = await self._client.get_aliases()
        return to_aliases(answer.aliases)

    async def _change(self, before: Aliases, after: Aliases, named: Sequence[str]) -> None:
        async with self._calling("moving the aliases"):
            for collection in named:  # a change of nothing would not say that it is not there
                await self._client.get_collection(collection)
            if operations := changes(before, after):
                await self._client.update_collection_aliases(operations)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        """See `CatalogIndex`."""
        for start in range(0, len(points), WRITE_POINTS):
            batch = [words.to_point(p) for p in points[start : start + WRITE_POINTS]]
            async with self._calling("writing points"):
                await self._client.upsert(collection, batch)

    async def delete_points(self, collection: str, ids: Sequence[str]) -> None:
        """See `CatalogIndex`."""
        if not ids:
            return
        selected = models.PointIdsList(points=list(ids))
        async with self._calling("deleting points"):
            await self._client.delete(collection, selected)

    async def item_points(
        self, collection: str, item_id: str, deadline: Deadline
    ) -> list[StoredPoint]:
        """See `CatalogIndex`."""
        async with self._calling("reading an item", deadline):
            records = [r async for r in self._scroll(collection, item_is(item_id), [words.IMAGE])]
        return sorted(map(_stored, records), key=lambda p: payloads.picture_no(p.payload))

    async def search(self, collection: str, plan: SearchPlan, deadline: Deadline) -> list[Hit]:
        """See `CatalogIndex`."""
        pager, keys = Pager(plan, self._fill), payload_keys(plan)
        for window in pager.windows():
            async with self._calling("searching the index", deadline) as headers:
                request = words.search_request(plan, window, keys)
                found = await self._query(collection, request, deadline, headers)
            pager.add(window, [_Found(point) for point in found])
        return pager.hits()

    async def facets(
        self, collection: str, plan: SearchPlan, fields: Sequence[str], deadline: Deadline
    ) -> Facets:
        """See `CatalogIndex`."""
        counting = result_set(plan)
        if counting is None or not fields:
            return counted(fields, ())
        async with self._calling("counting the result set", deadline) as headers:
            request = words.search_request(counting, RESULT_SET, ("id", *fields))
            found = await self._query(collection, request, deadline, headers)
        payload_of = (point.payload for point in found)
        return counted(
            fields,
            (
                (p["id"].string_value, [words.payload_value(p, field) for field in fields])
                for p in payload_of
            ),
        )

    async def _query(
        self, collection: str, request: models.QueryRequest, deadline: Deadline, headers: Headers
    ) -> Sequence[grpc.ScoredPoint]:
        """Not `query_points`: it decodes every payload (18 µs each), and takes no deadline but
        whole seconds."""
        answer = await self._client.grpc_points.Query(
            RestToGrpc.convert_query_points(request, collection),
            timeout=deadline.remaining_s(),
            metadata=headers or None,
        )
        return cast(Sequence[grpc.ScoredPoint], answer.result)

    async def payloads(self, collection: str) -> AsyncIterator[Mapping[str, Any]]:
        """See `CatalogIndex`."""
        async for record in self._scroll(collection, None, []):
            yield record.payload or {}

    async def _scroll(
        self, collection: str, only: models.Filter | None, vectors: list[str]
    ) -> AsyncIterator[models.Record]:
        offset: Any = None
        while True:
            async with self._calling("reading points"):
                records, offset = await self._client.scroll(
                    collection,
                    scroll_filter=only,
                    limit=READ_POINTS,
                    offset=offset,
                    with_payload=True,
                    with_vectors=vectors,
                )
            for record in records:
                yield record
            if offset is None:
                return

    async def optimize(self, collection: str) -> None:
        """Waits until the servers have built their graphs; they do it by themselves."""
        while True:
            async with self._calling("waiting for the index"):
                info = await self._client.get_collection(collection)
            if info.status is models.CollectionStatus.GREEN:
                return
            if info.status is models.CollectionStatus.RED:
                raise BackendUnavailable(f"The optimisation of {collection} failed in Qdrant.")
            if info.status is models.CollectionStatus.GREY:
                # A server that was restarted waits for a change before it goes on.
                async with self._calling("waking the optimiser"):
                    await self._client.update_collection(
                        collection, optimizers_config=models.OptimizersConfigDiff()
                    )
            await asyncio.sleep(POLL_S)

    async def close(self) -> None:
        """See `CatalogIndex`."""
        await self._connection.close()


class _Found:
    """See `gateway.adapters.qdrant_paging.Scored`."""

    def __init__(self, point: grpc.ScoredPoint) -> None:
        self._point = point
        self.score: float = point.score

    @property
    def point_id(self) -> str:
        value: str = self._point.id.uuid
        return value

    @property
    def item_id(self) -> str:
        value: str = self._point.payload["id"].string_value
        return value

    def value(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        return words.payload_value(self._point.payload, key)

    def payload(self) -> Mapping[str, Any]:
        decoded: Mapping[str, Any] = GrpcToRest.convert_payload(self._point.payload)
        return decoded


def _stored(record: models.Record) -> StoredPoint:
    vector = cast(dict[str, list[float]], record.vector)[words.IMAGE]
    return StoredPoint(str(record.id), np.asarray(vector, np.float32), record.payload or {})
