"""Errors as `application/problem+json` (RFC 9457), whatever raised them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.schemas import path_of
from gateway.api.status import code_of, status_of
from gateway.domain.errors import LookalikeError, Overloaded, Unauthorized

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS_SHOWN = 5
# Routes whose callers expect errors in OpenAI's shape.
OPENAI_PATHS = ("/v1/embeddings",)


def install(app: FastAPI) -> None:
    """Makes `app` answer every error as a problem."""
    app.add_exception_handler(LookalikeError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def describe(error: LookalikeError) -> dict[str, Any]:
    """An error as a problem's members."""
    status = status_of(error)
    code = code_of(error)
    problem: dict[str, Any] = {
        "type": f"urn:lookalike:{code}",
        "title": code.replace("-", " ").capitalize(),
        "status": status.http,
        "detail": error.detail,
    }
    if error.field is not None:
        problem["field"] = error.field
    return problem


async def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, LookalikeError)
    headers = {}
    if isinstance(exc, Overloaded):
        headers["Retry-After"] = str(math.ceil(exc.retry_after_s))
    if type(exc) is Unauthorized:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(request, describe(exc), headers)


async def _malformed(request: Request, exc: Exception) -> Response:
    """What pydantic found, each fault by the field's path in the request."""
    assert isinstance(exc, RequestValidationError)
    faults = [
        {"field": path_of(_inside(fault["loc"])), "detail": fault["msg"]}
        for fault in exc.errors()[:MAX_ERRORS_SHOWN]
    ]
    first = faults[0]
    where = f"{first['field']}: " if first["field"] else ""
    problem = {
        "type": "urn:lookalike:invalid-query",
        "title": "Invalid query",
        "status": 422,
        "detail": f"{where}{first['detail']}",
        "field": first["field"],
        "errors": faults,
    }
    return _response(request, problem, {})


async def _http(request: Request, exc: Exception) -> Response:
    """The framework's own: no such path, wrong method, a body too large."""
    assert isinstance(exc, HTTPException)
    problem = {
        "type": "about:blank",
        "title": exc.detail,
        "status": exc.status_code,
        "detail": f"{request.method} {request.url.path}: {exc.detail}.",
    }
    return _response(request, problem, dict(exc.headers or {}))


async def _unexpected(request: Request, exc: Exception) -> Response:
    """A fault of this program. The log has it; the caller learns nothing of our insides."""
    known = {"request_id": request.scope.get("request_id")}  # the request's own record is closed
    log.error("unexpected error", exc_info=exc, extra={"fields": known})
    problem = {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The gateway failed. The request id finds the reason in its log.",
    }
    return _response(request, problem, {})


def _response(request: Request, problem: dict[str, Any], headers: dict[str, str]) -> Response:
    problem["request_id"] = request.scope.get("request_id", "")
    if request.url.path in OPENAI_PATHS:
        body = orjson.dumps({"error": openai_shape(problem)})
        return Response(body, problem["status"], headers, media_type="application/json")
    return Response(
        orjson.dumps(problem), problem["status"], headers=headers, media_type=MEDIA_TYPE
    )


def openai_shape(problem: Mapping[str, Any]) -> dict[str, Any]:
    """A problem as OpenAI's clients read it."""
    return {
        "message": problem["detail"],
        "type": "invalid_request_error" if problem["status"] < 500 else "server_error",
        "param": problem.get("field"),
        "code": problem["type"].rpartition(":")[2],
    }


def _inside(loc: Sequence[str | int]) -> Sequence[str | int]:
    """Without the part of the request that FastAPI puts first."""
    return loc[1:] if loc and loc[0] in ("body", "query", "path", "header") else loc
