"""Errors as google.rpc.Status, with the same names and fields as over HTTP."""

from __future__ import annotations

from typing import NoReturn

import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.api.status import code_of, status_of
from gateway.domain.errors import LookalikeError, Overloaded

ERROR_DOMAIN = "lookalike"


async def abort(context: grpc.aio.ServicerContext, error: LookalikeError) -> NoReturn:
    """Ends the call with the error, and with the metadata that it was to end with."""
    status = rpc_status.to_status(_status(error))
    trailing = (*status.trailing_metadata, *(context.trailing_metadata() or ()))
    await context.abort(status.code, status.details, trailing)
    raise AssertionError("abort raises") from error


def _status(error: LookalikeError) -> status_pb2.Status:
    metadata = {} if error.field is None else {"field": error.field}
    details = [
        error_details_pb2.ErrorInfo(reason=code_of(error), domain=ERROR_DOMAIN, metadata=metadata)
    ]
    if isinstance(error, Overloaded):
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=status_of(error).grpc.value[0], message=error.detail)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status
