"""`/v1/embeddings` in OpenAI's shape, so that its clients work as they are."""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.responses import Response

from gateway.api.auth import GuardedRoute
from gateway.api.documented import answers, openai_problems
from gateway.api.request_parts import GatewayOf, ReadDeadline, json_response
from gateway.api.schemas import DATA_URI, Strict, picture_bytes
from gateway.domain.errors import NotFound
from gateway.domain.query import MAX_PARTS, ImagePart, TextPart
from gateway.domain.vectors import Vector

router = APIRouter(
    prefix="/v1",
    tags=["embeddings"],
    route_class=GuardedRoute,
    # In OpenAI's shape: see problems.OPENAI_PATHS.
    responses=openai_problems(400, 401, 403, 404, 413, 422, 429, 503, 504),
)


class Encoding(StrEnum):
    """How vectors travel: numbers, or base64 of little-endian float32."""

    FLOAT = "float"
    BASE64 = "base64"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_STRING = {"type": "string"}
Inputs = Annotated[
    list[str],
    Field(min_length=1, max_length=MAX_PARTS),
    BeforeValidator(_as_list),
    WithJsonSchema(
        {"anyOf": [_STRING, {"type": "array", "items": _STRING, "minItems": 1,
                             "maxItems": MAX_PARTS}]}
    ),
]  # fmt: skip


class EmbeddingsIn(Strict):
    """OpenAI's request. `input` holds strings; a base64 data URI of a picture is a picture."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "sample-v1", "input": ["red shoe"]}]}
    )

    input: Inputs
    model: str = Field(description="The active release's id; another is a 404, never a mixture.")
    encoding_format: Encoding = Encoding.FLOAT
    dimensions: int | None = Field(None, ge=1, description="Only what the release has.")
    user: str | None = Field(None, description="Accepted, and ignored.")


class EmbeddingOut(BaseModel):
    """One vector; base64 is of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class UsageOut(BaseModel):
    """Nothing is billed here."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsOut(BaseModel):
    """OpenAI's answer."""

    object: Literal["list"]
    data: list[EmbeddingOut]
    model: str
    usage: UsageOut


@router.post("/embeddings", responses=answers(EmbeddingsOut))
async def embeddings(body: EmbeddingsIn, gateway: GatewayOf, deadline: ReadDeadline) -> Response:
    """The vectors of texts and pictures in the active release's space, of length 1.

    Nothing is billed here, so `usage` is zero.
    """
    active = gateway.releases.active()
    if body.model != active.id:
        raise NotFound(f"The active release is {active.id}, not {body.model!r}.", field="model")
    dim = active.loaded.release.dim
    if body.dimensions not in (None, dim):
        raise NotFound(f"{active.id} has {dim} dimensions and no others.", field="dimensions")
    parts = [_part(text, f"input[{number}]") for number, text in enumerate(body.input)]
    vectors, release = await gateway.search.embed(parts, deadline)
    data = [
        {"object": "embedding", "index": number, "embedding": _encoded(v, body.encoding_format)}
        for number, v in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return json_response({"object": "list", "data": data, "model": release, "usage": usage})


def _part(text: str, at: str) -> TextPart | ImagePart:
    return ImagePart(picture_bytes(text, at)) if DATA_URI.match(text) else TextPart(text)


def _encoded(vector: Vector, encoding: Encoding) -> list[float] | str:
    if encoding is Encoding.FLOAT:
        numbers: list[float] = vector.tolist()
        return numbers
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
