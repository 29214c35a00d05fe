"""What all requests share: strictness, pictures in base64, and the paths of faults."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.domain.errors import InvalidQuery

DATA_URI = re.compile(r"data:[^;,]*(;[^;,]*)*;base64,", re.ASCII)

# pydantic puts the chosen branch of a union into the path; it is no part of the request.
_UNION_TAGS = frozenset(
    {"condition", "nested-filter", "flag", "popularity", "freshness", "proximity"}
)


class Strict(BaseModel):
    """Unknown members are refused: a misspelt one must not be ignored silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def fault_of(exc: ValidationError) -> tuple[str, str]:
    """The first fault that pydantic found: the field's path, such as `must[0].match`, and why."""
    fault = exc.errors(include_url=False, include_context=False)[0]
    return path_of(fault["loc"]), fault["msg"]


def path_of(loc: Sequence[str | int]) -> str:
    """`("query", 0, "text")` as `query[0].text`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in _UNION_TAGS:
            path += f".{part}" if path else part
    return path


def picture_bytes(text: str, field: str) -> bytes:
    """The bytes of base64 or of a base64 data URI."""
    head = DATA_URI.match(text)
    body = text[head.end() :] if head else text
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidQuery(
            "The image is neither base64 nor a base64 data URI. To send a file as it is, use "
            "POST /v1/search/image.",
            field=field,
        ) from exc
