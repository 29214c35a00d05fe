"""What a run measured, second by second: mergeable, so that many workers make one record.

A request belongs to the second in which it was *due*, counted from the start of the test, so that
a backlog is charged to the load that caused it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.histogram import Histogram

ANSWERED = "answered"
REFUSED = "refused"  # 429 and RESOURCE_EXHAUSTED: shed on purpose, told apart from errors
NOT_SENT = "not sent"  # due, but no slot was free in time


@dataclass
class Tally:
    """Requests of some seconds and kinds, by what became of them."""

    answered: Histogram = field(default_factory=Histogram)
    refused: Histogram = field(default_factory=Histogram)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def error_count(self) -> int:
        """How many were neither answered nor refused."""
        return sum(self.errors.values())

    @property
    def count(self) -> int:
        """All that were due."""
        return self.answered.count + self.refused.count + self.error_count

    def add(self, outcome: str, latencies: Histogram) -> None:
        """Adds requests with one outcome."""
        if outcome == ANSWERED:
            self.answered.merge(latencies)
        elif outcome == REFUSED:
            self.refused.merge(latencies)
        else:
            self.errors[outcome] = self.errors.get(outcome, 0) + latencies.count


class Record:
    """Counts by second, kind and outcome; and how late requests were sent (open model)."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, str, str], Histogram] = {}
        self._lags: dict[int, Histogram] = {}

    def add(self, second: int, kind: str, outcome: str, ms: float) -> None:
        """Counts one request."""
        self._cells.setdefault((second, kind, outcome), Histogram()).add(ms)

    def add_lag(self, second: int, ms: float) -> None:
        """Counts how late one was sent."""
        self._lags.setdefault(second, Histogram()).add(ms)

    def lag(self, seconds: range) -> Histogram:
        """How late the requests of some seconds were sent."""
        total = Histogram()
        for second in seconds:
            total.merge(self._lags.get(second, Histogram()))
        return total

    def merge(self, other: Record) -> None:
        """Adds another's counts to this one."""
        for key, latencies in other._cells.items():
            self._cells.setdefault(key, Histogram()).merge(latencies)
        for second, lags in other._lags.items():
            self._lags.setdefault(second, Histogram()).merge(lags)

    def taken(self) -> Record:
        """What was counted since the last time, which this record then forgets."""
        part = Record()
        part._cells, part._lags = self._cells, self._lags
        self._cells, self._lags = {}, {}
        return part

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of request that were due, in a fixed order."""
        return tuple(sorted({kind for _, kind, _ in self._cells}))

    @property
    def seconds(self) -> range:
        """The seconds with requests, and those between."""
        seconds = [second for second, _, _ in self._cells]
        return range(min(seconds), max(seconds) + 1) if seconds else range(0)

    def tally(self, kind: str | None = None, seconds: range | None = None) -> Tally:
        """The sum over some seconds (all), of one kind (all)."""
        total = Tally()
        for (second, of_kind, outcome), latencies in self._cells.items():
            if kind in (None, of_kind) and (seconds is None or second in seconds):
                total.add(outcome, latencies)
        return total

    def by_second(self) -> Iterator[tuple[int, Tally]]:
        """Each second's sum."""
        tallies = {second: Tally() for second in self.seconds}
        for (second, _, outcome), latencies in self._cells.items():
            tallies[second].add(outcome, latencies)
        yield from tallies.items()

    def to_json(self) -> dict[str, Any]:
        """Everything, with keys that JSON and msgpack take."""
        cells = [[*key, latencies.to_json()] for key, latencies in self._cells.items()]
        lags = [[second, lags.to_json()] for second, lags in self._lags.items()]
        return {"cells": cells, "lags": lags}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Record:
        """The record that `to_json` gave."""
        made = cls()
        for second, kind, outcome, latencies in data["cells"]:
            made._cells[second, kind, outcome] = Histogram.from_json(latencies)
        made._lags = {second: Histogram.from_json(lags) for second, lags in data["lags"]}
        return made


@dataclass(frozen=True)
class Run:
    """A record and what is needed to judge and draw it again."""

    record: Record
    model: str  # "open" or "closed"
    offered: str  # a sentence
    slo: str
    steps: str | None
    step_seconds: int
    warm_up_s: int
    ran_s: float
    started: str  # ISO 8601
    pictures: str  # a sentence
    mix: str

    @property
    def seconds(self) -> range:
        """What is judged: without the warming up, unless there are steps, which have their own."""
        seconds = self.record.seconds
        return seconds if self.steps else range(min(self.warm_up_s, seconds.stop), seconds.stop)

    def save(self, path: Path) -> None:
        """Writes it all as JSON."""
        values = {name: value for name, value in vars(self).items() if name != "record"}
        path.write_text(json.dumps({**values, "record": self.record.to_json()}))

    @classmethod
    def load(cls, path: Path) -> Run:
        """Reads what `save` wrote."""
        values = json.loads(path.read_text())
        return cls(**{**values, "record": Record.from_json(values["record"])})
