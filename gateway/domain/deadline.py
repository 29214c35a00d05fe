"""The moment by which an answer is worth having."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gateway.domain.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, in seconds; it belongs to one request and never moves."""

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline that lies `seconds` ahead of now."""
        return cls(time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at_s - time.monotonic())

    def require(self, doing: str, at_least_s: float = 0.0) -> float:
        """Seconds left, if more than `at_least_s`; otherwise DeadlineExceeded naming `doing`."""
        left = self.remaining_s()
        if left <= at_least_s:
            raise DeadlineExceeded(f"The request's time ran out before {doing}.")
        return left
