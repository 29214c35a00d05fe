"""`python -m tests.qdrant_wire --port 0` serves until it is interrupted, and prints its port."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from tests.qdrant_wire.server import serving


async def _serve(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(port) as bound:
        sys.stdout.write(f"{bound}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    asyncio.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
