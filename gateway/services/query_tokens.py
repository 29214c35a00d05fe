"""Tokens in a query made into what they stand for, and a query made into a token."""

from __future__ import annotations

import hashlib

from gateway.domain.errors import StaleToken
from gateway.domain.query import (
    Caller,
    ImagePart,
    Query,
    QueryPart,
    RecalledPart,
    TextPart,
    TokenPart,
)
from gateway.domain.query_token import KEY_BYTES, made, read
from gateway.domain.vectors import Vector
from gateway.services.active_release import ActiveRelease


def recalled(parts: tuple[QueryPart, ...]) -> tuple[QueryPart, ...]:
    """The parts with their tokens read; InvalidQuery or StaleToken as `query_token.read` says."""
    if not any(isinstance(part, TokenPart) for part in parts):
        return parts
    return tuple(
        RecalledPart(read(part.token, f"query[{number}].token"), part.weight)
        if isinstance(part, TokenPart)
        else part
        for number, part in enumerate(parts)
    )


def check_recalled(part: RecalledPart, active: ActiveRelease, field: str) -> None:
    """StaleToken unless the token is of the release that answers."""
    release = active.loaded.release
    if not part.token.of(release.fingerprint) or len(part.token.vector) != release.dim:
        raise StaleToken(
            f"The token was made by another release than {active.id}, which answers now; vectors "
            "of two releases cannot be compared. Send the query itself again.",
            field=field,
        )


def wanted_words(parts: tuple[QueryPart, ...]) -> str:
    """The words that full text looks for; those of parts with a negative weight are not wanted."""
    found = []
    for part in parts:
        if part.weight > 0 and isinstance(part, TextPart):
            found.append(part.text)
        elif part.weight > 0 and isinstance(part, RecalledPart):
            found.append(part.token.words)
    return " ".join(found).strip()


def share_key(query: Query, caller: Caller) -> bytes:
    """What a canary's share is taken of: the shopper, or else what was asked for first, so that
    further pages come from the same release."""
    if caller.user is not None:
        return caller.user.encode()
    return first_asked(query.parts)


def first_asked(parts: tuple[QueryPart, ...]) -> bytes:
    """KEY_BYTES that are the same for the same parts, and for a token made of them."""
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    for part in parts:
        if isinstance(part, RecalledPart):
            return part.token.key
        digest.update(part.data if isinstance(part, ImagePart) else repr(part).encode())
    return digest.digest()


def token_of(query: Query, active: ActiveRelease, vector: Vector) -> str:
    """The query as a token of the release that answered; `vector` is what was searched by."""
    return made(
        active.loaded.release.fingerprint,
        first_asked(query.parts),
        has_looks(query.parts),
        vector,
        wanted_words(query.parts),
    )


def has_words(parts: tuple[QueryPart, ...]) -> bool:
    """Whether there are words in the parts, wanted or not."""
    return any(
        bool(part.token.words) if isinstance(part, RecalledPart) else isinstance(part, TextPart)
        for part in parts
    )


def has_looks(parts: tuple[QueryPart, ...]) -> bool:
    """Whether there is more in the parts than words: a picture, an item or a vector."""
    return any(
        part.token.looks if isinstance(part, RecalledPart) else not isinstance(part, TextPart)
        for part in parts
    )
