"""Qdrant's services on top of `qdrant_client`'s local mode."""

# ruff: noqa: N802  # the methods are named as in Qdrant's protocol

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from uuid import UUID

import grpc
from qdrant_client import grpc as wire
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import (
    collections_service_pb2_grpc,
    points_service_pb2_grpc,
    qdrant_pb2_grpc,
)
from qdrant_client.local.qdrant_local import QdrantLocal

from tests.qdrant_wire.statuses import Context, Refused

VERSION = "1.20.0"
_DONE = wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed)
_FIELD_TYPES = {  # the request's enumeration → the description's
    wire.FieldType.FieldTypeKeyword: wire.PayloadSchemaType.Keyword,
    wire.FieldType.FieldTypeInteger: wire.PayloadSchemaType.Integer,
    wire.FieldType.FieldTypeFloat: wire.PayloadSchemaType.Float,
    wire.FieldType.FieldTypeGeo: wire.PayloadSchemaType.Geo,
    wire.FieldType.FieldTypeText: wire.PayloadSchemaType.Text,
    wire.FieldType.FieldTypeBool: wire.PayloadSchemaType.Bool,
    wire.FieldType.FieldTypeDatetime: wire.PayloadSchemaType.Datetime,
}


class Collections(collections_service_pb2_grpc.CollectionsServicer):
    """Collections and aliases."""

    def __init__(self, local: QdrantLocal, indexes: dict[str, dict[str, int]]) -> None:
        self._local = local
        self._indexes = indexes

    async def Create(
        self, request: wire.CreateCollection, context: Context
    ) -> wire.CollectionOperationResponse:
        """A collection, with its metadata."""
        done = self._local.create_collection(
            request.collection_name,
            vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
            sparse_vectors_config=GrpcToRest.convert_sparse_vector_config(
                request.sparse_vectors_config
            ),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        return wire.CollectionOperationResponse(result=done)

    async def Get(
        self, request: wire.GetCollectionInfoRequest, context: Context
    ) -> wire.GetCollectionInfoResponse:
        """A collection's description."""
        # An alias is as good as a name, as it is with a real server.
        name = self._local.aliases.get(request.collection_name, request.collection_name)
        info = RestToGrpc.convert_collection_info(
            self._local.get_collection(request.collection_name)
        )
        for key, kind in self._indexes.get(name, {}).items():
            info.payload_schema[key].data_type = cast(wire.PayloadSchemaType.ValueType, kind)
        return wire.GetCollectionInfoResponse(result=info)

    async def Update(
        self, request: wire.UpdateCollection, context: Context
    ) -> wire.CollectionOperationResponse:
        """A change of parameters, which has no effect."""
        self._local.get_collection(request.collection_name)
        return wire.CollectionOperationResponse(result=True)

    async def Delete(
        self, request: wire.DeleteCollection, context: Context
    ) -> wire.CollectionOperationResponse:
        """Deletes; the answer says whether there was anything to delete."""
        self._indexes.pop(request.collection_name, None)
        done = self._local.delete_collection(request.collection_name)
        return wire.CollectionOperationResponse(result=done)

    async def List(
        self, request: wire.ListCollectionsRequest, context: Context
    ) -> wire.ListCollectionsResponse:
        """The names of all collections."""
        names = [known.name for known in self._local.get_collections().collections]
        return wire.ListCollectionsResponse(
            collections=[wire.CollectionDescription(name=name) for name in names]
        )

    async def CollectionExists(
        self, request: wire.CollectionExistsRequest, context: Context
    ) -> wire.CollectionExistsResponse:
        """Whether there is such a collection."""
        exists = self._local.collection_exists(request.collection_name)
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=exists))

    async def UpdateAliases(
        self, request: wire.ChangeAliases, context: Context
    ) -> wire.CollectionOperationResponse:
        """All changes of one request, or none."""
        changes = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        done = self._local.update_collection_aliases(changes)
        return wire.CollectionOperationResponse(result=done)

    async def ListAliases(
        self, request: wire.ListAliasesRequest, context: Context
    ) -> wire.ListAliasesResponse:
        """Every alias."""
        answer = self._local.get_aliases()
        aliases = [RestToGrpc.convert_alias_description(alias) for alias in answer.aliases]
        return wire.ListAliasesResponse(aliases=aliases)


class Points(points_service_pb2_grpc.PointsServicer):
    """Points and queries."""

    def __init__(self, local: QdrantLocal, indexes: dict[str, dict[str, int]]) -> None:
        self._local = local
        self._indexes = indexes

    async def Upsert(
        self, request: wire.UpsertPoints, context: Context
    ) -> wire.PointsOperationResponse:
        """Writes points."""
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self._local.upsert(request.collection_name, points)
        return wire.PointsOperationResponse(result=_DONE)

    async def Delete(
        self, request: wire.DeletePoints, context: Context
    ) -> wire.PointsOperationResponse:
        """Deletes points by id or filter."""
        selector = GrpcToRest.convert_points_selector(request.points)
        self._local.delete(request.collection_name, selector)
        return wire.PointsOperationResponse(result=_DONE)

    async def CreateFieldIndex(
        self, request: wire.CreateFieldIndexCollection, context: Context
    ) -> wire.PointsOperationResponse:
        """Remembers the field's type."""
        self._local.get_collection(request.collection_name)
        fields = self._indexes.setdefault(request.collection_name, {})
        fields[request.field_name] = _FIELD_TYPES[request.field_type]
        return wire.PointsOperationResponse(result=_DONE)

    async def Scroll(self, request: wire.ScrollPoints, context: Context) -> wire.ScrollResponse:
        """Points by id, a page at a time."""
        offset = None
        if request.HasField("offset"):
            offset = GrpcToRest.convert_point_id(request.offset)
        records, following = self._local.scroll(
            request.collection_name,
            scroll_filter=_filter(request),
            limit=request.limit,
            offset=offset,
            with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
            with_vectors=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        return wire.ScrollResponse(
            result=[RestToGrpc.convert_record(record) for record in records],
            next_page_offset=None
            if following is None
            else RestToGrpc.convert_extended_point_id(cast(int | str | UUID, following)),
        )

    async def Query(self, request: wire.QueryPoints, context: Context) -> wire.QueryResponse:
        """The universal query: nearest, recommend, prefetch, fusion, formula."""
        asked = GrpcToRest.convert_query_points(request)
        for stage in _stages(asked):
            self._check_length(request.collection_name, stage)
            stage.params = None  # local mode is exact, and warns when told how to approximate
        answer = self._local.query_points(
            request.collection_name,
            query=cast(models.Query | None, asked.query),
            using=asked.using,
            prefetch=asked.prefetch,
            query_filter=asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
            score_threshold=asked.score_threshold,
        )
        return wire.QueryResponse(
            result=[RestToGrpc.convert_scored_point(p) for p in answer.points]
        )

    def _check_length(self, name: str, leg: models.QueryRequest | models.Prefetch) -> None:
        """Refuses a vector of the wrong length in a real server's words; local mode has none."""
        if not isinstance(leg.query, models.NearestQuery) or not isinstance(
            leg.query.nearest, list
        ):
            return
        vectors = self._local.get_collection(name).config.params.vectors
        size = cast(dict[str, models.VectorParams], vectors)[leg.using or ""].size
        if len(leg.query.nearest) != size:
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                "Wrong input: Vector dimension error: "
                f"expected dim: {size}, got {len(leg.query.nearest)}",
            )


class Health(qdrant_pb2_grpc.QdrantServicer):
    """Who is there."""

    async def HealthCheck(
        self, request: wire.HealthCheckRequest, context: Context
    ) -> wire.HealthCheckReply:
        """The version that this server plays."""
        return wire.HealthCheckReply(title="qdrant wire test server", version=VERSION)


def _stages(
    stage: models.QueryRequest | models.Prefetch,
) -> Iterator[models.QueryRequest | models.Prefetch]:
    """A request and all its prefetches, however deep."""
    yield stage
    for inner in cast(list[models.Prefetch], stage.prefetch or []):
        yield from _stages(inner)


def _filter(request: wire.ScrollPoints) -> models.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None
