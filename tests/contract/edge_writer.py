"""`python -m tests.contract.edge_writer FOLDER` writes points until it is killed.

Prints each batch's number when the index has confirmed it, or the problem that stops it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.domain.errors import StartupProblem
from tests.contract.catalog import SPEC, shelf

BATCH = 8


async def write(folder: Path) -> None:
    """Batch after batch of a catalogue that the reader knows too."""
    index = EdgeIndex.open(folder)
    await index.create(SPEC)
    points = shelf(21, items=2000).points()
    for start in range(0, len(points), BATCH):
        await index.upsert(SPEC.name, points[start : start + BATCH])
        sys.stdout.write(f"{start}\n")
        sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(write(Path(sys.argv[1])))
    except StartupProblem as problem:
        sys.exit(problem.detail)
