"""How many requests are worked on at once. Beyond that a request is refused, not queued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.domain.errors import Overloaded
from gateway.telemetry import Metrics


class Admission:
    """`limit` slots; not for use from several threads."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self._limit = limit
        self._taken = 0
        self.metrics = metrics

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Holds a slot for the block; Overloaded at once if none is free."""
        if self._taken >= self._limit:
            self.metrics.shed.inc()
            raise Overloaded(f"All {self._limit} slots of this gateway are taken.")
        self._taken += 1
        self.metrics.in_flight.set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            self.metrics.in_flight.set(self._taken)
