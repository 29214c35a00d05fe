"""The product's own commands as processes of a test."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

LOOKALIKE = [sys.executable, "-m", "gateway"]
ROOT = Path(__file__).parents[2]


def environment(settings: Mapping[str, str], columns: int = 200) -> dict[str, str]:
    """This environment with `settings` as LOOKALIKE_…, and lines that do not wrap.

    No balancer looks at these, so that they end at once when they are told to; and nobody reads on
    what they log, so that they log little.
    """
    quiet = {"drain_s": "0", "log_format": "text", "log_level": "warning"}
    settings = quiet | dict(settings)
    own = {f"LOOKALIKE_{name.upper()}": value for name, value in settings.items()}
    return os.environ | own | {"COLUMNS": str(columns), "PYTHONPATH": str(ROOT)}


def lookalike(
    settings: Mapping[str, str], *arguments: str, timeout_s: float = 120, columns: int = 200
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end, in a terminal of so many columns."""
    return subprocess.run(
        [*LOOKALIKE, *arguments], env=environment(settings, columns), timeout=timeout_s,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@contextmanager
def serving(
    settings: Mapping[str, str], returncode: int = 0
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`lookalike serve` on a free port, and its address; its end by SIGTERM must be clean."""
    with subprocess.Popen(
        [*LOOKALIKE, "serve", "--port", "0", "--grpc-port", "0"], env=environment(settings),
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process, waited_for(process, r"listening on (http://\S+)")
        finally:
            process.terminate()
            _, said = process.communicate(timeout=60)
        assert process.returncode == returncode, said
        assert "Traceback" not in said, said


@asynccontextmanager
async def gateway_process(
    settings: Mapping[str, str],
) -> AsyncIterator[tuple[subprocess.Popen[str], str]]:
    """`lookalike serve` on a free port, and its address, beside an event loop that goes on. It is
    killed in the end, if it has not ended by itself."""
    process = await asyncio.to_thread(
        subprocess.Popen, [*LOOKALIKE, "serve", "--port", "0", "--grpc-port", "0"],
        env=environment(settings), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process, await asyncio.to_thread(waited_for, process, r"listening on (http://\S+)")
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)


def waited_for(process: subprocess.Popen[str], pattern: str) -> str:
    """The first group of the first line on stderr that has `pattern`."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(f"the process ended: {said}")
