"""How soon the gateway answers, and what it holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.local.sample_catalog import render_pictures, sample_items
from loadtest.bench.figures import Figure, table
from loadtest.bench.processes import Served, index_sample, listening, responding, started
from loadtest.bench.subject import Subject

RUNS = 5


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the process's birth to its first answer; MiB of its own once it answers, and
    with the pages of files that the kernel may take back."""

    seconds: Figure
    own_mib: Figure
    resident_mib: Figure


def measure(subject: Subject) -> Start:
    """The gateway on an index that is there, with inference free."""
    items = sample_items()
    render_pictures(items, subject.state / "drawings", lambda _: None)
    seconds, own, resident = [], [], []
    with responding(subject.repository, subject.release) as triton:
        served = Served(subject.state, subject.repository, subject.release, triton)
        index_sample(served, items)
        for _ in range(RUNS):
            begun = time.perf_counter()
            with started(served) as process:
                listening(process)
                seconds.append(time.perf_counter() - begun)
                held = _held_mib(process.pid)
                own.append(held["RssAnon"])
                resident.append(held["VmRSS"])
    return Start(Figure.of(seconds), Figure.of(own), Figure.of(resident))


def shown(found: Start) -> list[str]:
    """One row."""
    row = ["gateway", str(found.seconds), str(found.own_mib), str(found.resident_mib)]
    return table(["", "s to its first answer", "MiB of its own", "MiB with files' pages"], [row])


def _held_mib(pid: int) -> Mapping[str, float]:
    """proc(5), status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    entries = (line.split() for line in lines if line.endswith("kB"))
    return {name.rstrip(":"): int(kib) / 1024 for name, kib, _ in entries}
