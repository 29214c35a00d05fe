"""`make load`: a load test of two minutes on the demo, from nothing to a report.

Starts the demo on free ports, makes pictures if there are none, runs locust, stops everything.
Options are locust's and this project's own; they come after the ones below and win.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(".lookalike/load")
PICTURES = FOLDER / "pictures"
SHOP = FOLDER / "shop"
PICTURE_COUNT = 200
LOCUSTFILE = Path(__file__).with_name("locustfile.py")

# What two cores without a GPU hold with the sample model; see docs/loadtest.md.
RATE = 20
STOP_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo answers."""

    http: str
    grpc: str


@contextmanager
def demo(state: Path) -> Iterator[Addresses]:
    """The demo on free ports, as a process of its own."""
    command = [sys.executable, "-m", "gateway", "demo", "--state", str(state)]
    with subprocess.Popen(
        [*command, "--port", "0", "--grpc-port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield _addresses(process)
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


def _addresses(process: subprocess.Popen[str]) -> Addresses:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if port := re.search(r"gRPC .* on port (\d+)", line):
            found = re.search(r"ready on (http://\S+)", said)
            assert found is not None
            return Addresses(found[1], f"127.0.0.1:{port[1]}")
    raise SystemExit("The demo did not start.")


def locust(addresses: Addresses, options: Sequence[str]) -> list[str]:
    """The command: two minutes in the open model, unless `options` say something else."""
    own = ["--model", "--steps", "-u", "--users", "--rate"]
    chosen = any(option.split("=")[0] in own for option in options)
    return [
        *(sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"),
        *("--host", addresses.http, "--grpc", addresses.grpc),
        *("--pictures", str(PICTURES), "--report", str(FOLDER), "--run-time", "2m"),
        *("--html", str(FOLDER / "locust.html"), "--csv", str(FOLDER / "locust")),
        *(() if chosen else ("--rate", str(RATE))),
        *options,
    ]


def main(options: Sequence[str]) -> int:
    """Runs it all; locust's exit code."""
    make = [sys.executable, "-m", "loadtest.make_pictures", "--out", str(PICTURES)]
    # Drawn where the demo looks for them.
    drawn = ["--catalog-pictures", str(SHOP / "pictures")]
    subprocess.run([*make, *drawn, "--count", str(PICTURE_COUNT)], check=True)
    with demo(SHOP) as addresses:
        return subprocess.run(locust(addresses, options), check=False).returncode


if __name__ == "__main__":
    # However it ends, what it started ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
