"""Keys at the gRPC edge, in the metadata entry `authorization`, looked at before the message is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import grpc
import grpc.aio

from gateway.api.auth import METHODS, bearer
from gateway.api.grpc_errors import abort
from gateway.api.grpc_requests import GrpcRequests
from gateway.domain.access import Scope
from gateway.domain.errors import LookalikeError
from gateway.services.access import Access


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """Refuses calls of `service` whose key does not open them; other services stay open.

    Health and reflection are for balancers and tools, and tell nothing of the catalogue.
    """

    def __init__(self, access: Access, service: str, requests: GrpcRequests) -> None:
        self._access = access
        self._requests = requests
        self._prefix = f"/{service}/"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The method's own handler, or one of the same kind that refuses."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith(self._prefix):
            return handler
        method = handler_call_details.method.removeprefix(self._prefix)
        metadata = dict(handler_call_details.invocation_metadata or ())
        # A method that is in no table is for nobody below admin.
        scope = METHODS.get(method, Scope.ADMIN)
        try:
            self._access.require(scope, bearer(metadata.get("authorization")))
        except LookalikeError as error:
            return _refusing(handler, partial(self._refuse, method, error))
        return handler

    async def _refuse(
        self, method: str, error: LookalikeError, context: grpc.aio.ServicerContext
    ) -> None:
        try:
            with self._requests.call(method, context):
                raise error
        except LookalikeError:
            await abort(context, error)


def _refusing(
    handler: grpc.RpcMethodHandler, end: Callable[[grpc.aio.ServicerContext], Awaitable[None]]
) -> grpc.RpcMethodHandler:
    async def refuse(_: object, context: grpc.aio.ServicerContext) -> None:
        await end(context)

    async def refuse_stream(_: object, context: grpc.aio.ServicerContext) -> AsyncIterator[object]:
        await end(context)
        yield None  # never reached: it makes this a stream

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = kinds[handler.request_streaming, handler.response_streaming]
    behaviour = refuse_stream if handler.response_streaming else refuse
    return make(behaviour, handler.request_deserializer, handler.response_serializer)
