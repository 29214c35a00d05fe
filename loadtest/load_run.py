"""One process's part of a run: takes requests as they fall due, sends them, keeps the record."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import gevent
from gevent.queue import Empty, Queue

from loadtest.answers import Answer, Caller
from loadtest.arrivals import arrivals, measure, pace
from loadtest.options import LoadOptions
from loadtest.picture_folder import PictureFolder
from loadtest.record import NOT_SENT, REFUSED, Record
from loadtest.workload import Ask, Workload

# How long a free slot waits for a request before it looks whether the test has ended.
IDLE_S = 1.0


class RequestFailed(Exception):
    """A request that was neither answered nor refused, for locust's list of failures."""


class LoadRun:
    """`fire` is locust's request event; `name` tells this process from the others of a distributed
    run."""

    def __init__(
        self,
        options: LoadOptions,
        fire: Callable[..., None],
        name: Callable[[], str],
    ) -> None:
        self.options = options
        self.record = Record()
        self.started = datetime.now(UTC)
        self.pictures = ""
        self.ran_s = 0.0
        self._workload: Workload | None = None
        self._fire, self._name = fire, name
        self._streams = itertools.count()
        # By protocol: an arrival is given to one before it is known who is free, so that both are
        # asked alike.
        self._due: defaultdict[str, Queue[tuple[float, Ask]]] = defaultdict(Queue)
        self._slots: Counter[str] = Counter()
        self._pacing: Any = None
        self._start = time.perf_counter()

    def prepare(self) -> None:
        """Reads the folder of pictures, which whoever sends requests needs; BadFolder if there is
        none."""
        options = self.options
        folder = PictureFolder.load(options.pictures).complete()
        self.pictures = f"{len(folder.pictures):,}: {folder.summary()}"
        self._workload = Workload(folder, options.mix, options.seed, options.zipf_exponent)

    def now(self) -> float:
        """Seconds since the test started."""
        return time.perf_counter() - self._start

    def begin(self, options: LoadOptions) -> None:
        """A test starts: with an empty record and, where requests are sent from here, with the
        clock of the open model."""
        self.options = options
        self.record = Record()
        self.started = datetime.now(UTC)
        self._streams = itertools.count()
        self._due.clear()
        self._start = time.perf_counter()
        if self._workload is not None:
            self.prepare()
            if options.is_open:
                self._pacing = gevent.spawn(self._pace, self._workload)

    def end_arrivals(self) -> None:
        """Nothing falls due any more; what is under way is finished."""
        self.ran_s = self.now()
        if self._pacing is not None:
            self._pacing.kill()

    def finish(self) -> None:
        """Counts what was due and found no free slot until the end."""
        for protocol, due in self._due.items():
            while not due.empty():
                due_s, ask = due.get_nowait()
                self._count(ask, protocol, NOT_SENT, due_s, self.now() - due_s)

    def join(self, protocol: str) -> Iterator[Ask]:
        """A user comes; its requests, in the closed model."""
        assert self._workload is not None
        self._slots[protocol] += 1
        return self._workload.stream(f"{self._name()}/{next(self._streams)}")

    def leave(self, protocol: str) -> None:
        """A user goes."""
        self._slots[protocol] -= 1

    def serve(self, caller: Caller, asks: Iterator[Ask]) -> None:
        """Sends the next request: in the open model the one that has waited longest (or none, after
        IDLE_S), in the closed model the next of `asks`, after a pause."""
        if self.options.is_open:
            try:
                due_s, ask = self._due[caller.protocol].get(timeout=IDLE_S)
            except Empty:
                return
        else:
            if self.options.think_s:
                gevent.sleep(random.expovariate(1 / self.options.think_s))
            due_s, ask = self.now(), next(asks)
        self._send(caller, ask, due_s)

    def _send(self, caller: Caller, ask: Ask, due_s: float) -> None:
        size_bytes = 0

        def send() -> str:
            nonlocal size_bytes
            answer: Answer = caller.send(ask)
            size_bytes = answer.size_bytes
            return answer.outcome

        measured = measure(due_s, self.now, self.options.timeout_s, send)
        self.record.add_lag(int(due_s), measured.lag_s * 1000)
        self._count(ask, caller.protocol, measured.outcome, due_s, measured.latency_s, size_bytes)

    def _count(
        self, ask: Ask, protocol: str, outcome: str, due_s: float, latency_s: float, size: int = 0
    ) -> None:
        self.record.add(int(due_s), ask.kind, outcome, latency_s * 1000)
        failed = Answer(outcome).is_error
        self._fire(
            request_type=protocol,
            # Refusals have a row of their own, so that they are neither failures nor latencies.
            name=f"{ask.kind} refused" if outcome == REFUSED else str(ask.kind),
            response_time=latency_s * 1000,
            response_length=size,
            exception=RequestFailed(outcome) if failed else None,
            context={},
        )

    def _pace(self, workload: Workload) -> None:
        asks = workload.stream(f"{self._name()}/open")
        chance = random.Random(f"{self.options.seed}/{self._name()}/arrivals")
        times = arrivals(self.options.plan, chance)

        def put(due_s: float) -> None:
            [protocol] = chance.choices(list(self._slots), list(self._slots.values()))
            self._due[protocol].put((due_s, next(asks)))

        def mine() -> bool:
            # A process has the part of the load for which it has slots.
            return chance.random() * self.options.in_flight < self._slots.total()

        pace(times, self.now, gevent.sleep, put, mine)
