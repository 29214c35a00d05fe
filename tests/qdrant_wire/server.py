"""The servicers, and the server around them."""

# ruff: noqa: N802  # the methods are named as in Qdrant's protocol

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

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

VERSION = "1.20.0"
Context = grpc.aio.ServicerContext
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


class Refused(Exception):
    """What a real server would answer with this status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


@contextmanager
def _as_status() -> Iterator[None]:
    try:
        yield
    except ValueError as exc:
        text = str(exc)
        if "not found" in text:
            code = grpc.StatusCode.NOT_FOUND
        elif "already exists" in text:
            code = grpc.StatusCode.ALREADY_EXISTS
        else:
            code = grpc.StatusCode.INVALID_ARGUMENT
        raise Refused(code, text) from exc
    except NotImplementedError as exc:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, str(exc)) from exc


class Statuses(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Answers `Refused` as a status. `before` runs ahead of each call and may raise it too."""

    def __init__(self, before: Callable[[str], Awaitable[None]] | None) -> None:
        self._before = before

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wraps the handler of a unary call; Qdrant has no other."""
        handler = await continuation(handler_call_details)

        async def call(request: object, context: Context) -> object:
            try:
                if self._before is not None:
                    await self._before(handler_call_details.method.rpartition("/")[2])
                with _as_status():
                    answer: object = await handler.unary_unary(request, context)
                return answer
            except Refused as exc:
                return await context.abort(exc.code, exc.details)

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )


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
        # An alias is as good as a name here, as it is with a real server.
        info = RestToGrpc.convert_collection_info(
            self._local.get_collection(request.collection_name)
        )
        for key, kind in self._indexes.get(request.collection_name, {}).items():
            info.payload_schema[key].data_type = kind
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
            else RestToGrpc.convert_extended_point_id(following),
        )

    async def Query(self, request: wire.QueryPoints, context: Context) -> wire.QueryResponse:
        """The universal query: nearest, prefetch, fusion."""
        asked = GrpcToRest.convert_query_points(request)
        answer = self._local.query_points(
            request.collection_name,
            query=cast(models.Query | None, asked.query),
            using=asked.using,
            prefetch=asked.prefetch,
            query_filter=asked.filter,
            search_params=asked.params,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
            score_threshold=asked.score_threshold,
        )
        return wire.QueryResponse(
            result=[RestToGrpc.convert_scored_point(p) for p in answer.points]
        )


class Health(qdrant_pb2_grpc.QdrantServicer):
    """Who is there."""

    async def HealthCheck(
        self, request: wire.HealthCheckRequest, context: Context
    ) -> wire.HealthCheckReply:
        """The version that this server plays."""
        return wire.HealthCheckReply(title="qdrant wire test server", version=VERSION)


def _filter(request: wire.ScrollPoints) -> models.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


@asynccontextmanager
async def serving(
    port: int = 0, before: Callable[[str], Awaitable[None]] | None = None
) -> AsyncIterator[int]:
    """An empty server on 127.0.0.1; gives its port. Port 0 chooses a free one.

    `before` is called with the method's name ahead of each call: to hold it, or to raise `Refused`.
    """
    local = QdrantLocal(location=":memory:")
    indexes: dict[str, dict[str, int]] = {}
    server = grpc.aio.server(interceptors=(Statuses(before),))
    # The generated functions have no types.
    add: list[tuple[Callable[..., None], object]] = [
        (
            collections_service_pb2_grpc.add_CollectionsServicer_to_server,
            Collections(local, indexes),
        ),
        (points_service_pb2_grpc.add_PointsServicer_to_server, Points(local, indexes)),
        (qdrant_pb2_grpc.add_QdrantServicer_to_server, Health()),
    ]
    for add_to_server, servicer in add:
        add_to_server(servicer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(grace=None)
        local.close()
