"""What happens to every gRPC call around its method: an id, a count, a line in the log, a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import grpc.aio

from gateway.api.status import Status, status_of
from gateway.domain.errors import LookalikeError
from gateway.services.gateway import Gateway
from gateway.telemetry.requests_seen import CLIENT_GONE, REQUEST_ID, RequestsSeen, sane_id

_OK = Status(200, grpc.StatusCode.OK)
_LATE = Status(504, grpc.StatusCode.DEADLINE_EXCEEDED)
_GONE = Status(CLIENT_GONE, grpc.StatusCode.CANCELLED)
_UNKNOWN = Status(500, grpc.StatusCode.UNKNOWN)


class GrpcRequests:
    """The calls of one service, as `RequestsSeen` has them."""

    def __init__(self, gateway: Gateway, service: str) -> None:
        self._seen = RequestsSeen(gateway.metrics, gateway.tracer)
        self._service = service

    @contextmanager
    def call(
        self, method: str, context: grpc.aio.ServicerContext, part: str = ""
    ) -> Iterator[None]:
        """A call for the time of the block, which raises what has become of it.

        Its id goes back in the trailing metadata `x-request-id`. `part` is what a search of a
        stream, which is a request of its own, is called there.
        """
        headers = {
            name: value for name, value in context.invocation_metadata() or ()
            if isinstance(value, str)
        }  # fmt: skip
        request_id = sane_id(headers.get(REQUEST_ID))
        if part:
            request_id = sane_id(f"{request_id}/{part}")
        else:
            context.set_trailing_metadata(((REQUEST_ID, request_id),))
        with self._seen.request(headers, request_id) as record:
            record.route = f"{self._service}/{method}"
            status = _UNKNOWN
            try:
                yield
                status = _OK
            except LookalikeError as error:
                status = status_of(error)
                raise
            except asyncio.CancelledError:
                left_s = context.time_remaining()
                status = _GONE if left_s is None or left_s > 0 else _LATE
                raise
            finally:
                record.status, record.grpc_code = status.http, status.grpc.name
