"""Errors of the local engine as gRPC statuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager
from typing import TypeAlias

import grpc

Context: TypeAlias = grpc.aio.ServicerContext
Heard: TypeAlias = MutableSequence[tuple[str, Mapping[str, str]]]


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
    """Answers `Refused` as a status. `before` runs ahead of each call and may raise it too.

    `heard` gets each call's method and headers.
    """

    def __init__(self, before: Callable[[str], Awaitable[None]] | None, heard: Heard) -> None:
        self._before = before
        self._heard = heard

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wraps the handler of a unary call; Qdrant has no other."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method.rpartition("/")[2]
        self._heard.append((method, dict(handler_call_details.invocation_metadata or ())))

        async def call(request: object, context: Context) -> object:
            try:
                if self._before is not None:
                    await self._before(method)
                with _as_status():
                    answer: object = await handler.unary_unary(request, context)
                return answer
            except Refused as exc:
                return await context.abort(exc.code, exc.details)

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )
