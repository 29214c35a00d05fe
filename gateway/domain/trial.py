"""A release tried on live searches beside the active one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

# Shares are kept in hundredths of a percent: they travel in the name of an alias.
STEPS = 10_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What a candidate gets of the live searches; shares are 0 to 1.

    Attributes:
        release: the candidate.
        canary: share that it answers.
        shadow: share of those answered by the active release that it gets a copy of; its answers
            to these are compared and thrown away.
    """

    release: str
    canary: float = 0.0
    shadow: float = 0.0


def falls_within(share: float, key: bytes) -> bool:
    """Whether `key` belongs to the share, 0 to 1, of all keys: always the same answer for a key,
    and a larger share holds all of a smaller one's keys."""
    digest = hashlib.blake2b(key, digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64
