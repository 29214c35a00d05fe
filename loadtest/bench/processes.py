"""The programs that a benchmark runs beside itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from gateway.adapters.release_files import read_manifest
from gateway.local.sample_catalog import SampleItem


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway: its folder for index and pictures, the release that it answers by, its Triton,
    and the core that it is kept on (None: any)."""

    state: Path
    repository: Path
    release: str
    triton: str
    core: int | None = None

    @property
    def index(self) -> Path:
        """The index's folder: one for each vector space, so that none is another's, also when a
        release is exported anew."""
        fingerprint = read_manifest(self.repository, self.release).fingerprint
        return self.state / f"index-{self.release}-{fingerprint}"

    def environment(self) -> dict[str, str]:
        """This process's, with the gateway's settings."""
        settings = {
            "MODEL_REPOSITORY": self.repository, "TRITON": self.triton, "EDGE_FOLDER": self.index,
            "PICTURES_FOLDER": (self.state / "drawings").resolve(), "DRAIN_S": 0,
            # A large tower on few cores takes longer than a shopper would wait.
            "DEFAULT_TIMEOUT_S": 30,
            # Nobody reads on what it says, and a pipe that is full would stop it.
            "LOG_FORMAT": "text", "LOG_LEVEL": "warning",
        }  # fmt: skip
        return os.environ | {f"LOOKALIKE_{k}": str(v) for k, v in settings.items()}

    def command(self, *arguments: str) -> list[str]:
        """`lookalike …`, on its core."""
        pinned = [] if self.core is None else ["taskset", "-c", str(self.core)]
        return [*pinned, sys.executable, "-m", "gateway", *arguments]


@contextmanager
def responding(repository: Path, release: str) -> Iterator[str]:
    """The responder in Triton's place: its address."""
    command = [sys.executable, "-m", "loadtest.bench.responder", str(repository), release]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield said(process.stdout, r"(\S+:\d+)")
        finally:
            process.terminate()


def index_sample(served: Served, items: Sequence[SampleItem]) -> None:
    """`lookalike index` of the sample catalogue, whose drawings are in `state` already."""
    catalog = served.state / "items.jsonl"
    catalog.write_bytes(b"".join(orjson.dumps(s.item) + b"\n" for s in items))
    command = served.command("index", "--catalog", str(catalog), "--release", served.release)
    done = subprocess.run(
        [*command, "--pictures", str(served.state / "drawings")],
        env=served.environment(), check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"lookalike index: {done.stderr.strip()}")


@contextmanager
def serving(
    served: Served, items: Sequence[SampleItem]
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The gateway's process and HTTP port, with the sample catalogue indexed."""
    index_sample(served, items)
    with started(served) as process:
        yield process, listening(process)


@contextmanager
def started(served: Served) -> Iterator[subprocess.Popen[str]]:
    """`lookalike serve`, which does not answer yet."""
    with subprocess.Popen(
        served.command("serve", "--port", "0", "--grpc-port", "0"),
        env=served.environment(), stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()


def listening(process: subprocess.Popen[str]) -> int:
    """The HTTP port, as soon as the gateway says it."""
    return int(said(process.stderr, r"listening on http://\S+:(\d+)"))


def said(stream: IO[str] | None, pattern: str) -> str:
    """The first group of the first line that has `pattern`."""
    assert stream is not None
    for line in stream:
        if found := re.search(pattern, line):
            return found[1]
    raise RuntimeError("The process ended before it was ready.")
