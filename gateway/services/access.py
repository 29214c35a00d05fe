"""The doorkeeper of both edges: is this key good for this call, and has it calls left?"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.domain.access import Key, Scope, digest_of
from gateway.domain.errors import Forbidden, Overloaded, Unauthorized

# Whoever holds a key that closes a scope, closes this for callers without one. Writing is not left
# open where searching is not.
_CLOSED_BY = {
    Scope.SEARCH: {Scope.SEARCH},
    Scope.WRITE: {Scope.SEARCH, Scope.WRITE},
}


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a key may call: `per_s` in the long run, `burst` at once."""

    per_s: float
    burst: int


class TokenBucket:
    """`burst` tokens at first, `per_s` more a second up to that; not for several threads."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = float(rate.burst)
        self._at_s = clock()

    def take(self) -> None:
        """Takes a token; Overloaded, saying when there will be one, if there is none."""
        now_s = self._clock()
        grown = self._tokens + (now_s - self._at_s) * self._rate.per_s
        self._tokens, self._at_s = min(grown, float(self._rate.burst)), now_s
        if self._tokens < 1.0:
            raise Overloaded(
                f"This key may call {self._rate.per_s:g} times a second.",
                retry_after_s=(1.0 - self._tokens) / self._rate.per_s,
            )
        self._tokens -= 1.0


class Access:
    """The keys of one gateway process.

    A scope that no key was made for is open to everybody, but for admin, which is closed then.
    """

    def __init__(self, keys: Sequence[Key] = (), rate: Rate | None = None) -> None:
        self._keys = [(key, None if rate is None else TokenBucket(rate)) for key in keys]
        made_for = {scope for key in keys for scope in key.scopes}
        self._open = {scope for scope, by in _CLOSED_BY.items() if not made_for & by}
        self._admin = Scope.ADMIN in made_for

    @property
    def keyless(self) -> bool:
        """Whether there are no keys at all."""
        return not self._keys

    def require(self, scope: Scope, shown: str | None) -> None:
        """Returns if a caller that shows this secret may make a call that needs `scope`.

        Raises Unauthorized without a key or with one that is not ours, Forbidden with one of other
        scopes, Overloaded when the key has called too often.
        """
        found = None if shown is None else self._find(shown)
        if found is not None:
            key, bucket = found
            if not (key.opens(scope) or scope in self._open):
                raise Forbidden(f"This key does not open calls of scope {scope}.")
            if bucket is not None:
                bucket.take()
        elif scope not in self._open:
            raise self._refusal(scope, shown)

    def spend(self, shown: str | None) -> None:
        """Counts one more call of a caller that was let in: each search of a stream is one.

        Overloaded when the key has called too often.
        """
        found = None if shown is None else self._find(shown)
        if found is not None and found[1] is not None:
            found[1].take()

    def _refusal(self, scope: Scope, shown: str | None) -> Unauthorized:
        if scope is Scope.ADMIN and not self._admin:
            return Unauthorized(
                "This gateway answers no admin calls: it was started without LOOKALIKE_ADMIN_KEY."
            )
        if shown is None:
            return Unauthorized(f"Send a key of scope {scope}: `Authorization: Bearer …`.")
        return Unauthorized("That is no key of this gateway.")

    def _find(self, shown: str) -> tuple[Key, TokenBucket | None] | None:
        """Looks at every key, so that the time taken tells nothing of which one is nearly right."""
        digest = digest_of(shown)
        found = None
        for known in self._keys:
            if hmac.compare_digest(digest, known[0].digest):
                found = known
        return found
