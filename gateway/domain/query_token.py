"""A query in a few hundred bytes: its vector and its words, to be sent back instead of its picture.

The gateway keeps nothing of a search. Asked to, it gives the caller a token, and the caller sends
it with the next page, with other filters, or as one part among others. Sent alone, with the options
of before, it is the same query to the last bit: that is why the vector is not rounded.

A token holds, as base64url without padding:

    1 byte   version of this layout
    8 bytes  hash of the release's fingerprint
    8 bytes  key of the query that was sent first, which decides on a canary's share
    1 byte   1 if there was more in it than words, else 0
    2 bytes  how many numbers, big-endian
    4 bytes  each number, little-endian float32
    …        the wanted words, UTF-8
    4 bytes  CRC-32 of all before

It is checked for damage and not signed: whoever makes one up has made up a vector, which a query
may hold anyway. Nor is it secret: the words can be read in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from gateway.domain.errors import InvalidQuery, StaleToken
from gateway.domain.vectors import Vector

VERSION = 1
KEY_BYTES = 8
_HEAD = struct.Struct(f">B8s{KEY_BYTES}s?H")
_CHECK_BYTES = 4
# Of a vector whose length was 1 when it was written.
_LENGTH_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class QueryToken:
    """What a token holds. `looks`: the query had a picture, an item or a vector in it."""

    space: bytes
    key: bytes
    looks: bool
    vector: Vector
    words: str

    def of(self, fingerprint: str) -> bool:
        """Whether the vector is of that release's space."""
        return self.space == _space(fingerprint)


def made(fingerprint: str, key: bytes, looks: bool, vector: Vector, words: str) -> str:
    """A token. `key` has KEY_BYTES bytes, `vector` has length 1."""
    head = _HEAD.pack(VERSION, _space(fingerprint), key, looks, len(vector))
    body = head + vector.astype("<f4").tobytes() + words.encode()
    return base64.urlsafe_b64encode(body + _checksum(body)).rstrip(b"=").decode("ascii")


def read(token: str, field: str) -> QueryToken:
    """What `token` holds.

    InvalidQuery for one that is damaged, StaleToken for one of another layout, naming `field`.
    """
    body = _undamaged(token, field)
    version = body[0]
    if version != VERSION:
        raise StaleToken(
            f"The token was made by another version of the gateway ({version}, not {VERSION}). "
            "Send the query itself again.",
            field=field,
        )
    _, space, key, looks, dim = _HEAD.unpack_from(body)
    end = _HEAD.size + 4 * dim
    try:
        vector = np.frombuffer(body[_HEAD.size : end], dtype="<f4").astype(np.float32, copy=False)
        words = body[end:].decode()
    except (ValueError, UnicodeDecodeError) as exc:
        raise _damaged(field) from exc
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if len(vector) != dim or not abs(length - 1.0) <= _LENGTH_TOLERANCE:
        raise _damaged(field)
    return QueryToken(space, key, looks, vector, words)


def _undamaged(token: str, field: str) -> bytes:
    """The bytes before the checksum, if it is theirs."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _damaged(field) from exc
    body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if len(body) < _HEAD.size or check != _checksum(body):
        raise _damaged(field)
    return body


def _damaged(field: str) -> InvalidQuery:
    return InvalidQuery(
        "The token is damaged: send back what came as query_token, unchanged.", field=field
    )


def _space(fingerprint: str) -> bytes:
    return hashlib.blake2b(fingerprint.encode(), digest_size=8).digest()


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECK_BYTES, "big")
