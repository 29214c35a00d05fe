"""Who may call what: scopes, and keys that are known by their digests alone."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

MIN_SECRET_CHARS = 16

_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")


class Scope(StrEnum):
    """What a key opens. ADMIN opens the other two as well."""

    SEARCH = "search"  # everything that reads the catalogue
    WRITE = "write"  # everything that changes it
    ADMIN = "admin"  # everything that changes releases


@dataclass(frozen=True, slots=True)
class Key:
    """A key's scopes and the SHA-256 digest of its secret, which itself is kept nowhere."""

    scopes: frozenset[Scope]
    digest: bytes

    @classmethod
    def of(cls, secret: str, *scopes: Scope) -> Key:
        """The key whose secret this is."""
        return cls(frozenset(scopes), digest_of(secret))

    def opens(self, scope: Scope) -> bool:
        """Whether a call that needs `scope` may be made with it."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def parse_keys(text: str) -> tuple[Key, ...]:
    """Keys from a setting: one a line, or with commas between; empty lines and `#` lines count not.

    `search:SECRET`, `search+write:SECRET`, or `admin:sha256:HEX` with the digest of the secret.
    ValueError, naming the entry by its number and never its secret, for one that is none.
    """
    lines = [line.strip() for line in re.split(r"[,\n]", text)]
    entries = [line for line in lines if line and not line.startswith("#")]
    return tuple(_key(number, entry) for number, entry in enumerate(entries, start=1))


def _key(number: int, entry: str) -> Key:
    names, colon, secret = entry.partition(":")
    scopes = set(names.split("+"))
    known = {scope.value for scope in Scope}
    if not colon or not scopes <= known:
        raise ValueError(
            f"key {number} does not begin with scopes: write search:…, search+write:… or admin:…"
        )
    chosen = frozenset(Scope(name) for name in scopes)
    if digest := _DIGEST.fullmatch(secret):
        return Key(chosen, bytes.fromhex(digest[1]))
    if secret.startswith("sha256:"):
        raise ValueError(f"key {number} has a digest that is not 64 hexadecimal digits")
    if len(secret) < MIN_SECRET_CHARS or re.search(r"\s", secret):
        raise ValueError(
            f"key {number} has a secret shorter than {MIN_SECRET_CHARS} characters, or with blanks"
        )
    return Key(chosen, digest_of(secret))
