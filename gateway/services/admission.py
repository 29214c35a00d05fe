"""How many requests are worked on at once. Beyond that a request is refused, not queued."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.domain.errors import Overloaded
from gateway.telemetry import Metrics

# However slow it is: so few do not make a queue.
LEAST = 8
# The share that a request has in what is known of those before it.
WEIGHT = 1 / 32


class Admission:
    """`limit` slots at most, and no more than what is worked off in `wait_s`.

    More slots than that are a queue whose every request waits until nobody wants its answer any
    more. A request that met n - 1 others and took t seconds says that t / n is the time of one, as
    long as they are worked off in turn; the mean of that over the latest ones tells how many are
    worked off in `wait_s`. Not for use from several threads.
    """

    def __init__(
        self,
        limit: int,
        metrics: Metrics,
        wait_s: float = math.inf,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.metrics = metrics
        self._limit = limit
        self._slots = limit
        self._wait_s = wait_s
        self._clock = clock
        self._one_s = 0.0
        self._taken = 0
        metrics.in_flight_limit.set(limit)

    def require_room(self) -> None:
        """Overloaded at once if no slot is free."""
        if self._taken >= self._slots:
            self.metrics.shed.inc()
            raise Overloaded(f"All {self._slots} slots of this gateway are taken.")

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Holds a slot for the block; Overloaded at once if none is free."""
        self.require_room()
        self._taken += 1
        self.metrics.in_flight.set(self._taken)
        met, start_s = self._taken, self._clock()
        try:
            yield
        finally:
            self._taken -= 1
            self.metrics.in_flight.set(self._taken)
            self._learn((self._clock() - start_s) / met)

    def _learn(self, one_s: float) -> None:
        self._one_s += WEIGHT * (one_s - self._one_s)
        worked_off = self._wait_s / max(self._one_s, 1e-9)
        slots = int(min(max(worked_off, LEAST), self._limit))
        if slots != self._slots:
            self._slots = slots
            self.metrics.in_flight_limit.set(slots)
