"""The errors of each call as the OpenAPI document shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field

from gateway.api.problems import MEDIA_TYPE, describe, openai_shape
from gateway.domain import errors
from gateway.domain.errors import LookalikeError


class Fault(BaseModel):
    """One of several faults in a request."""

    field: str
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="urn:lookalike:… names the error for programs.")
    title: str
    status: int
    detail: str = Field(description="What was wrong, and what to do.")
    field: str | None = Field(None, description="The part of the request at fault.")
    errors: list[Fault] | None = Field(None, description="All faults, if there are several.")
    request_id: str


class OpenAiError(BaseModel):
    """An error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class OpenAiProblem(BaseModel):
    """The body of an error of `/v1/embeddings`."""

    error: OpenAiError


# A status, what it means here, and an error as an example.
_ERRORS: Mapping[int, tuple[str, LookalikeError]] = {
    400: (
        "The body cannot be read as what it says it is.",
        errors.InvalidQuery("There was an error parsing the body."),
    ),
    401: (
        "No key, or one that is not known, where the gateway was started with keys.",
        errors.Unauthorized("Send a key: `Authorization: Bearer …`."),
    ),
    403: (
        "The key does not open such calls.",
        errors.Forbidden("This key does not open calls of scope write."),
    ),
    404: (
        "There is no such item or release.",
        errors.NotFound("The catalogue has no item 'sku-7'.", field="query[0].item"),
    ),
    409: (
        "Not in the state that things are in; for a search: a token of another release.",
        errors.StaleToken("The token was made by another release.", field="query[0].token"),
    ),
    413: (
        "A picture, or the body, is too large.",
        errors.PictureTooLarge("The picture has 30,000,000 pixels.", field="image"),
    ),
    422: (
        "The request cannot be answered as it stands; `field` names the part.",
        errors.UnknownField(
            "'colour' cannot be filtered by. Known fields: brand (keyword), price (float).",
            field="filter.must[0].key",
        ),
    ),
    429: (
        "No room now; Retry-After says when to come back, in seconds.",
        errors.Overloaded("All 256 slots of this gateway are taken."),
    ),
    503: (
        "Triton or Qdrant is away, or no release can answer.",
        errors.BackendUnavailable("Triton cannot be reached."),
    ),
    504: (
        "The time ran out: that of X-Timeout-Ms, or the gateway's own.",
        errors.DeadlineExceeded("The request's time ran out."),
    ),
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """`responses` of a route that may answer with these, as `application/problem+json`."""
    return {status: _response(status, MEDIA_TYPE, "Problem") for status in statuses}


def answers(model: type[BaseModel]) -> Responses:
    """`responses` of a route that answers 200 with a `model`; it is documented, and not imposed."""
    return {200: {"model": model}}


def openai_problems(*statuses: int) -> Responses:
    """The same for a route that answers errors in OpenAI's shape."""
    return {status: _response(status, "application/json", "OpenAiProblem") for status in statuses}


def install(app: FastAPI) -> None:
    """Puts the errors' schemas into the document of `app`."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        made = plain()
        schemas = made["components"]["schemas"]
        for model in (Problem, OpenAiProblem):
            own = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs", {}))
            schemas[model.__name__] = own
        return made

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way


def _response(status: int, media_type: str, schema: str) -> dict[str, Any]:
    meaning, error = _ERRORS[status]
    example = describe(error) | {"status": status, "request_id": "9f0c"}
    if schema == "OpenAiProblem":
        example = {"error": openai_shape(example)}
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    response: dict[str, Any] = {"description": meaning, "content": {media_type: content}}
    if status == 429:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return response
