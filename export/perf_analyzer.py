"""NVIDIA's `perf_analyzer`, run on one model of a live Triton, and its CSV report."""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportRefused

PROGRAM = "perf_analyzer"
TIMEOUT_S = 600.0  # for one load; it measures until three windows of five seconds agree

_RATE, _P99 = "Inferences/Second", "p99 latency"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent: requests of `batch_size` rows of `row_dims`, `concurrency` at a time."""

    model: str
    input_name: str
    row_dims: tuple[int, ...]
    batch_size: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What came back. `rows_per_second` counts rows, not requests."""

    batch_size: int
    rows_per_second: float
    p99_us: float


def measure(load: Load, endpoint: str) -> Measured:
    """Runs `perf_analyzer` against Triton's gRPC at `endpoint` (`host:port`).

    Raises ExportRefused if it is not installed, fails or writes no report.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise ExportRefused(
            f"There is no {PROGRAM} here. It is in NVIDIA's image tritonserver:…-py3-sdk, and on "
            "PyPI: pip install perf-analyzer."
        )
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.csv"
        _run([program, *arguments(load, endpoint, report)])
        if not report.is_file():
            raise ExportRefused(f"{PROGRAM} wrote no report of {load.model}.")
        return read_report(report.read_text(encoding="utf-8"), load.batch_size)


def arguments(load: Load, endpoint: str, report: Path) -> list[str]:
    """The command line, by perf_analyzer's documentation (docs/cli.md)."""
    dims = ",".join(str(size) for size in load.row_dims)
    return [
        *("-m", load.model, "-i", "grpc", "-u", endpoint),
        *("-b", str(load.batch_size), "--concurrency-range", str(load.concurrency)),
        *("--shape", f"{load.input_name}:{dims}", "--input-data", "zero"),
        *("--percentile", "99", "-f", str(report)),
    ]


def read_report(text: str, batch_size: int) -> Measured:
    """The last row of a report. Raises ExportRefused for one that lacks what is looked for."""
    rows = list(csv.DictReader(text.splitlines()))
    try:
        return Measured(batch_size, float(rows[-1][_RATE]), float(rows[-1][_P99]))
    except (IndexError, KeyError, TypeError, ValueError) as exc:
        raise ExportRefused(f'{PROGRAM}\'s report has no row with "{_RATE}" and "{_P99}".') from exc


def _run(command: list[str]) -> None:
    try:
        answer = subprocess.run(  # noqa: S603 - perf_analyzer, with arguments of our own
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as exc:
        raise ExportRefused(f"{PROGRAM} did not end within {TIMEOUT_S:.0f} s.") from exc
    if answer.returncode != 0:
        said = " ".join((answer.stderr or answer.stdout).split())
        raise ExportRefused(f"{PROGRAM} failed: {said[-300:]}")
