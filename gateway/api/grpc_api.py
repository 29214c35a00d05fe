"""The gRPC edge: the same services as HTTP, with no logic of its own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias, TypeVar

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.api import grpc_messages as messages
from gateway.api.auth import bearer
from gateway.api.grpc_errors import abort
from gateway.api.grpc_guard import Guard
from gateway.api.grpc_requests import GrpcRequests
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from gateway.domain.deadline import Deadline
from gateway.domain.errors import InvalidQuery, LookalikeError, StartupProblem
from gateway.domain.query import Caller, Query, SearchResult
from gateway.services.access import Access
from gateway.services.catalog import CHUNK_ITEMS
from gateway.services.gateway import Gateway
from gateway.services.item_writer import ItemOutcome

SERVICE = pb.DESCRIPTOR.services_by_name["Lookalike"].full_name
STREAM_IN_FLIGHT = 32
MAX_BATCH = 1_000
HEALTH_INTERVAL_S = 1.0

EVERYBODY = Access()

Context: TypeAlias = grpc.aio.ServicerContext
Request = TypeVar("Request")
Response = TypeVar("Response")


class _Servicer(Protocol):
    """What a method's wrapper needs of whose method it is."""

    requests: GrpcRequests


Self = TypeVar("Self", bound=_Servicer)
Handler = Callable[[Self, Request, Context], Awaitable[Response]]


def _answered(handler: Handler[Self, Request, Response]) -> Handler[Self, Request, Response]:
    """A handler whose calls are seen, and whose errors leave as google.rpc.Status with their
    details."""

    @functools.wraps(handler)
    async def wrapped(self: Self, request: Request, context: Context) -> Response:
        try:
            with self.requests.call(handler.__name__, context):
                return await handler(self, request, context)
        except LookalikeError as error:
            await abort(context, error)

    return wrapped


class LookalikeServicer(lookalike_pb2_grpc.LookalikeServicer):
    """`lookalike.v1.Lookalike`; each call is documented in the proto file."""

    def __init__(self, gateway: Gateway, access: Access, requests: GrpcRequests) -> None:
        self.requests = requests
        self._gateway = gateway
        self._access = access

    @_answered
    async def Search(self, request: pb.SearchRequest, context: Context) -> pb.SearchResponse:  # noqa: N802 - gRPC's name
        """One search."""
        return messages.answer_of(await self._answer(messages.query_of(request), context))

    async def SearchStream(  # noqa: N802 - gRPC's name
        self, requests: AsyncIterator[pb.StreamedSearch], context: Context
    ) -> None:
        """Many searches at once, each answered when it is done, and a request of its own."""
        room = asyncio.Semaphore(STREAM_IN_FLIGHT)
        writing = asyncio.Lock()

        async def answer(asked: pb.StreamedSearch) -> None:
            try:
                response = await self._streamed(asked, context)
                async with writing:  # gRPC takes one message at a time
                    await context.write(response)
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            async for asked in requests:
                await room.acquire()
                group.create_task(answer(asked))

    @_answered
    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:  # noqa: N802 - gRPC's name
        """Vectors of texts and pictures."""
        parts = [messages.part_of(p, f"inputs[{n}]") for n, p in enumerate(request.inputs)]
        vectors, release = await self._gateway.search.embed(parts, self._reading(context))
        return pb.EmbedResponse(
            vectors=[pb.Vector(values=vector.tolist()) for vector in vectors], release=release
        )

    @_answered
    async def UpsertItems(  # noqa: N802 - gRPC's name
        self, requests: AsyncIterator[pb.Item], context: Context
    ) -> pb.ItemStatuses:
        """Adds or replaces items, a chunk at a time as they come."""
        results: list[pb.ItemStatus] = []
        chunk: list[pb.Item] = []
        async for message in requests:
            chunk.append(message)
            if len(chunk) == CHUNK_ITEMS:
                results += await self._upserted(chunk, context)
                chunk = []
        results += await self._upserted(chunk, context)
        return pb.ItemStatuses(results=results)

    @_answered
    async def DeleteItems(  # noqa: N802 - gRPC's name
        self, request: pb.DeleteItemsRequest, context: Context
    ) -> pb.ItemStatuses:
        """Removes items."""
        if len(request.ids) > MAX_BATCH:
            raise InvalidQuery(f"At most {MAX_BATCH:,} ids at once.", field="ids")
        active = self._gateway.releases.active()
        ids = list(request.ids)
        found = await self._gateway.catalog.delete(ids, active, self._writing(context))
        deleted, absent = pb.ItemStatus.OUTCOME_DELETED, pb.ItemStatus.OUTCOME_ABSENT
        return pb.ItemStatuses(
            results=[
                pb.ItemStatus(id=item_id, outcome=deleted if was_there else absent)
                for item_id, was_there in zip(ids, found, strict=True)
            ]
        )

    @_answered
    async def GetItem(self, request: pb.GetItemRequest, context: Context) -> pb.Item:  # noqa: N802 - gRPC's name
        """One item."""
        item = await self._gateway.search.item(request.id, self._reading(context))
        return messages.item_message(item)

    async def _answer(self, query: Query, context: Context) -> SearchResult:
        search = self._gateway.search
        return await search.search(query, self._reading(context), _caller(context))

    async def _streamed(self, asked: pb.StreamedSearch, context: Context) -> pb.StreamedAnswer:
        try:
            with self.requests.call("SearchStream", context, part=asked.id or "-"):
                self._access.spend(_key(context))
                query = messages.query_of(asked.request)
                result = await self._answer(query, context)
                return pb.StreamedAnswer(id=asked.id, response=messages.answer_of(result))
        except LookalikeError as error:
            return pb.StreamedAnswer(id=asked.id, error=messages.error_message(error))

    async def _upserted(self, chunk: list[pb.Item], context: Context) -> list[pb.ItemStatus]:
        """One status an item, in their order; one that cannot be read fails alone."""
        outcomes: list[ItemOutcome | None] = []
        items = []
        for message in chunk:
            try:
                items.append(messages.item_of(message))
                outcomes.append(None)
            except LookalikeError as error:
                outcomes.append(ItemOutcome(message.id, error=error))
        active = self._gateway.releases.active()
        written = iter(await self._gateway.catalog.upsert(items, active, self._writing(context)))
        return [messages.status_of_item(o if o is not None else next(written)) for o in outcomes]

    def _reading(self, context: Context) -> Deadline:
        limits = self._gateway.timeouts
        left_s = context.time_remaining()
        return Deadline.after(limits.default_s if left_s is None else min(left_s, limits.most_s))

    def _writing(self, context: Context) -> Deadline:
        limits = self._gateway.timeouts
        left_s = context.time_remaining()
        asked_s = limits.write_s if left_s is None else left_s
        return Deadline.after(min(asked_s, limits.write_most_s))


class GrpcServer:
    """The service with health and reflection, on an address of the caller's choice."""

    def __init__(
        self, gateway: Gateway, max_picture_bytes: int, access: Access = EVERYBODY
    ) -> None:
        self._gateway = gateway
        requests = GrpcRequests(gateway, SERVICE)
        # Several pictures fit into one query.
        self._server = grpc.aio.server(
            # An interceptor costs every call; where there are no keys, none may call for admin.
            interceptors=() if access.keyless else (Guard(access, SERVICE, requests),),
            options=[
                ("grpc.max_receive_message_length", 2 * max_picture_bytes),
                # A port in use is a mistake to be told, not to be shared.
                ("grpc.so_reuseport", 0),
            ],
        )
        self._health = health.aio.HealthServicer()
        add = lookalike_pb2_grpc.add_LookalikeServicer_to_server
        add(LookalikeServicer(gateway, access, requests), self._server)  # type: ignore[no-untyped-call] # by protoc
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

    async def start(self, host: str, port: int) -> int:
        """Serves; returns the port, which was chosen if `port` is 0.

        StartupProblem if it is taken.
        """
        try:
            bound = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as exc:
            raise StartupProblem(
                f"gRPC cannot listen on port {port} of {host}. Stop what uses it, or choose "
                f"another with `--grpc-port` (`make demo ARGS='--grpc-port 8082'`)."
            ) from exc
        await self._server.start()
        self._following = asyncio.create_task(self._follow_readiness())
        return int(bound)

    async def stop(self, grace_s: float) -> None:
        """Refuses new calls, and gives those at work `grace_s` seconds to end."""
        self._following.cancel()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)

    async def _follow_readiness(self) -> None:
        serving = health_pb2.HealthCheckResponse.SERVING
        not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
        while True:
            state = await self._gateway.readiness.check()
            for name in ("", SERVICE):
                await self._health.set(name, serving if state.ready else not_serving)
            await asyncio.sleep(HEALTH_INTERVAL_S)


def _key(context: Context) -> str | None:
    return bearer(dict(context.invocation_metadata() or ()).get("authorization"))


def _caller(context: Context) -> Caller:
    """The same headers as over HTTP, as metadata."""
    metadata = dict(context.invocation_metadata() or ())
    user, release = metadata.get("x-user-id"), metadata.get("x-release")
    return Caller(None if user is None else str(user), None if release is None else str(release))
