"""The time that each stage of a request took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.telemetry.metrics import Metrics, StageName
from gateway.telemetry.request_record import current_request
from gateway.telemetry.tracing import NO_TRACES


class Timings:
    """Seconds by stage of one request; each stage also goes into the metrics, the request's log
    line and its trace."""

    def __init__(self, metrics: Metrics) -> None:
        self.seconds: dict[str, float] = {}
        self._metrics = metrics
        record = current_request()
        self._tracer = NO_TRACES if record is None else record.tracer
        if record is not None:
            record.stages_s = self.seconds

    @contextmanager
    def stage(self, name: StageName) -> Iterator[None]:
        """Times the block. Stages that run side by side or again add up."""
        start_s = time.perf_counter()
        try:
            with self._tracer.stage(name):
                yield
        finally:
            self._add(name, time.perf_counter() - start_s)

    @contextmanager
    def queued_stage(self, name: StageName) -> Iterator[Callable[[], None]]:
        """Times a block whose work waits for its turn: as `queue` until what it yields is called,
        from whichever thread, and as `name` from then on."""
        asked_s = time.perf_counter()
        begun_s: float | None = None

        def begin() -> None:
            nonlocal begun_s
            begun_s = time.perf_counter()

        try:
            yield begin
        finally:
            ended_s = time.perf_counter()
            turn_s = ended_s if begun_s is None else begun_s
            self._past("queue", asked_s, turn_s)
            if begun_s is not None:
                self._past(name, begun_s, ended_s)

    def _past(self, name: StageName, began_s: float, ended_s: float) -> None:
        self._tracer.past_stage(name, began_s, ended_s)
        self._add(name, ended_s - began_s)

    def _add(self, name: StageName, spent_s: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + spent_s
        self._metrics.stages[name].observe(spent_s)
