"""What the gateway itself costs: CPU time of its process for each search, with inference free.

The gateway has one core to itself; the responder in Triton's place and the client have another.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson
from PIL import Image

from gateway.local.sample_catalog import SampleItem, render_pictures, sample_items
from loadtest.bench.closed_loop import answer_all, raw
from loadtest.bench.figures import Figure, table
from loadtest.http_caller import request_of
from loadtest.photos import SIZES, photo
from loadtest.picture_folder import CatalogEntry
from loadtest.workload import Ask, Kind, texts

RELEASE = "sample-v1"
RUNS = 5
WARM_UP = 200
PICTURES = 40
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


def measure(state: Path, repository: Path) -> dict[str, Cost]:
    """The costs, by kind of search. `state` keeps the index from run to run."""
    state.mkdir(parents=True, exist_ok=True)
    items = sample_items()
    render_pictures(items, state / "drawings", lambda _: None)
    os.sched_setaffinity(0, {OTHER_CORE})
    try:
        with _responding(repository) as triton, _serving(state, repository, triton, items) as it:
            process, port = it
            return {
                kind: _cost(process.pid, port, runs)
                for kind, runs in _requests(items, state).items()
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


def _requests(items: Sequence[SampleItem], state: Path) -> dict[str, list[list[bytes]]]:
    """For each kind the requests of the warming up and of each run."""
    entries = [CatalogEntry(i.item.id, i.item.title, i.item.category, i.item.brand, "") for i in
               items]  # fmt: skip
    words = texts(entries, 1)
    uploads = []
    for number, sample in enumerate(items[:: len(items) // PICTURES][:PICTURES]):
        path = state / f"{number}.jpg"
        with Image.open(state / "drawings" / sample.item.pictures[0]) as subject:
            path.write_bytes(photo(subject, SIZES["vga"], 1, number))
        uploads.append(_raw(Ask(Kind.IMAGE, picture=path)))
    new = iter(words)
    counts = {kind: [WARM_UP] + [PER_RUN[kind]] * RUNS for kind in PER_RUN}
    few = [_raw(Ask(Kind.TEXT, text)) for text in words[:50]]
    return {
        "image": [[uploads[n % PICTURES] for n in range(count)] for count in counts["image"]],
        # Every text is new, so that no vector is remembered.
        "words": [
            [_raw(Ask(Kind.TEXT, next(new))) for _ in range(count)] for count in counts["words"]
        ],
        "words again": [[few[n % 50] for n in range(count)] for count in counts["words again"]],
    }


def _raw(ask: Ask) -> bytes:
    return raw(*request_of(ask))


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


@contextmanager
def _responding(repository: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "loadtest.bench.responder", str(repository), RELEASE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _said(process.stdout, r"(\S+:\d+)")
        finally:
            process.terminate()


@contextmanager
def _serving(
    state: Path, repository: Path, triton: str, items: Sequence[SampleItem]
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The gateway on its core, with the sample catalogue indexed."""
    settings = {
        "MODEL_REPOSITORY": repository, "TRITON": triton, "EDGE_FOLDER": state / "index",
        "PICTURES_FOLDER": (state / "drawings").resolve(),
        # Nobody reads on what it says, and a pipe that is full would stop it.
        "LOG_FORMAT": "text", "LOG_LEVEL": "warning",
    }  # fmt: skip
    environment = os.environ | {f"LOOKALIKE_{k}": str(v) for k, v in settings.items()}
    catalog = state / "items.jsonl"
    catalog.write_bytes(b"".join(orjson.dumps(s.item) + b"\n" for s in items))
    gateway = ["taskset", "-c", str(GATEWAY_CORE), sys.executable, "-m", "gateway"]
    index = [*gateway, "index", "--catalog", str(catalog), "--release", RELEASE]
    subprocess.run([*index, "--pictures", str(state / "drawings")], env=environment, check=True)
    with subprocess.Popen(
        [*gateway, "serve", "--port", "0", "--grpc-port", "0"],
        env=environment, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process, int(_said(process.stderr, r"listening on http://\S+:(\d+)"))
        finally:
            process.terminate()


def _said(stream: IO[str] | None, pattern: str) -> str:
    """The first group of the first line that has `pattern`."""
    assert stream is not None
    for line in stream:
        if found := re.search(pattern, line):
            return found[1]
    raise RuntimeError("The process ended before it was ready.")
