"""The one table from errors to HTTP and gRPC status codes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import grpc

from gateway.domain import errors


@dataclass(frozen=True, slots=True)
class Status:
    """How an error leaves the gateway."""

    http: int
    grpc: grpc.StatusCode


TABLE: Mapping[type[errors.LookalikeError], Status] = {
    errors.LookalikeError: Status(500, grpc.StatusCode.INTERNAL),
    errors.InvalidQuery: Status(422, grpc.StatusCode.INVALID_ARGUMENT),
    errors.PictureTooLarge: Status(413, grpc.StatusCode.INVALID_ARGUMENT),
    errors.NotFound: Status(404, grpc.StatusCode.NOT_FOUND),
    errors.Conflict: Status(409, grpc.StatusCode.FAILED_PRECONDITION),
    errors.Unauthorized: Status(401, grpc.StatusCode.UNAUTHENTICATED),
    errors.Forbidden: Status(403, grpc.StatusCode.PERMISSION_DENIED),
    errors.Overloaded: Status(429, grpc.StatusCode.RESOURCE_EXHAUSTED),
    errors.DeadlineExceeded: Status(504, grpc.StatusCode.DEADLINE_EXCEEDED),
    errors.BackendUnavailable: Status(503, grpc.StatusCode.UNAVAILABLE),
    errors.SpaceMismatch: Status(503, grpc.StatusCode.FAILED_PRECONDITION),
    errors.ReleaseInvalid: Status(503, grpc.StatusCode.FAILED_PRECONDITION),
    errors.CatalogInvalid: Status(422, grpc.StatusCode.INVALID_ARGUMENT),
    errors.StartupProblem: Status(503, grpc.StatusCode.UNAVAILABLE),
}


def status_of(error: errors.LookalikeError) -> Status:
    """The status of the error's class or of its nearest ancestor in the table."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def code_of(error: errors.LookalikeError) -> str:
    """The error's name for programs: `undecodable-picture`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
