"""What came back, in words that HTTP and gRPC share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from loadtest.record import ANSWERED, REFUSED
from loadtest.workload import Ask, Kind

# Kinds that a shop with anything in it answers with something.
ALWAYS_FINDS = (Kind.IMAGE, Kind.TEXT, Kind.HYBRID, Kind.SIMILAR)
EMPTY = "empty answer"
NOT_WRITTEN = "item not written"


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome — ANSWERED, REFUSED, or the name of an error — and the answer's bytes."""

    outcome: str
    size_bytes: int = 0

    @property
    def is_error(self) -> bool:
        """Whether this is neither an answer nor shedding."""
        return self.outcome not in (ANSWERED, REFUSED)


class Caller(Protocol):
    """Sends requests over one protocol. An error is an answer; nothing is raised."""

    protocol: str

    def send(self, ask: Ask) -> Answer:
        """The answer to one request."""
