"""What the gateway itself costs: CPU time of its process for each search, with inference free.

The gateway has one core to itself; the responder in Triton's place and the client have another.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from gateway.local.sample_catalog import SampleItem, render_pictures, sample_items
from loadtest.bench.closed_loop import answer_all
from loadtest.bench.figures import Figure, table
from loadtest.bench.processes import Served, responding, serving
from loadtest.bench.requests import search_by, uploads, words
from loadtest.bench.subject import Subject

RUNS = 5
WARM_UP = 200
PER_RUN = {"image": 300, "words": 800, "words again": 800}

GATEWAY_CORE, OTHER_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one kind of search: the gateway's CPU milliseconds for one, and how many were answered
    a second."""

    cpu_ms: Figure
    per_second: Figure

    @property
    def per_core_second(self) -> float:
        """How many a core could answer a second, if it did nothing else."""
        return 1000 / self.cpu_ms.median


def measure(subject: Subject) -> dict[str, Cost]:
    """The costs, by kind of search. `subject.state` keeps the index from run to run."""
    subject.state.mkdir(parents=True, exist_ok=True)
    items = sample_items()
    render_pictures(items, subject.state / "drawings", lambda _: None)
    os.sched_setaffinity(0, {OTHER_CORE})
    try:
        with (
            responding(subject.repository, subject.release) as triton,
            serving(_on_its_core(subject, triton), items) as it,
        ):
            process, port = it
            return {
                kind: _cost(process.pid, port, runs)
                for kind, runs in _requests(items, subject.state).items()
            }
    finally:
        os.sched_setaffinity(0, range(os.cpu_count() or 1))


def shown(costs: Mapping[str, Cost]) -> list[str]:
    """The costs as a table."""
    rows = [
        [kind, str(cost.cpu_ms), f"{cost.per_core_second:.0f}", str(cost.per_second)]
        for kind, cost in costs.items()
    ]
    return table(["search", "CPU ms", "a core and second", "answered/s"], rows)


def _on_its_core(subject: Subject, triton: str) -> Served:
    return Served(subject.state, subject.repository, subject.release, triton, GATEWAY_CORE)


def _requests(items: Sequence[SampleItem], state: Path) -> dict[str, list[list[bytes]]]:
    """For each kind the requests of the warming up and of each run."""
    pictures, texts = uploads(items, state), words(items)
    few = [search_by(text) for text in islice(texts, 50)]
    asked = {
        "image": cycle(pictures),
        # Every text is new, so that no vector is remembered.
        "words": map(search_by, texts),
        "words again": cycle(few),
    }
    return {
        kind: [list(islice(asked[kind], count)) for count in [WARM_UP] + [PER_RUN[kind]] * RUNS]
        for kind in PER_RUN
    }


def _cost(pid: int, port: int, runs: Sequence[Sequence[bytes]]) -> Cost:
    asyncio.run(answer_all(port, runs[0]))
    cpu_ms, per_second = [], []
    for requests in runs[1:]:
        before, start = _cpu_s(pid), time.perf_counter()
        asyncio.run(answer_all(port, requests))
        wall_s, cpu_s = time.perf_counter() - start, _cpu_s(pid) - before
        cpu_ms.append(cpu_s / len(requests) * 1000)
        per_second.append(len(requests) / wall_s)
    return Cost(Figure.of(cpu_ms), Figure.of(per_second))


def _cpu_s(pid: int) -> float:
    """CPU seconds of all of a process's threads, in and out of the kernel (proc(5), stat)."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS
