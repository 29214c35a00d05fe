"""Builds the HNSW graph of a shard in a process of its own.

`EdgeShard.optimize` holds Python's global lock until it is done (17 s for 20,000 vectors of 256
numbers on two cores), so in the gateway's own process no request would be answered meanwhile. And
a shard can be open in one process only. So the shard is copied, `python -m …` optimises the copy,
and the copy takes the shard's place. The process that dies on the way leaves the old shard in use.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import qdrant_edge

from gateway.adapters.qdrant_edge_folder import IndexFolder, Record
from gateway.adapters.qdrant_edge_shard import Collection, load, translated
from gateway.domain.errors import BackendUnavailable, LookalikeError, NotFound

# Live searches go first.
NICENESS = 10


async def optimize(folder: IndexFolder, known: Collection) -> None:
    """Gives `known` an optimised shard. Searches go on; writes wait while the files are copied.

    Loading the new shard stops the event loop for a moment (0.3 s for 20,000 vectors of 256
    numbers, on a busy machine), and there must be room on the disk for a second copy.
    BackendUnavailable if there is not or the process fails, NotFound if the collection is
    deleted meanwhile.
    """
    before = known.record
    after = replace(before, shard_no=before.shard_no + 1)
    name = before.spec.name
    copy = folder.shard(name, after.shard_no)
    try:
        async with known.writing:
            known.flush()
            await _copied(folder.shard(name, before.shard_no), copy)
            known.journal = []
        await _run_apart(copy)
        if known.closed:
            raise NotFound(f"The collection {name} was deleted while it was optimised.")
        _take_over(folder, known, after)
    except OSError as exc:
        raise BackendUnavailable(f"The index could not be copied: {exc}.") from exc
    finally:
        known.journal = None
        stale = before if known.record == after else after
        await asyncio.to_thread(
            shutil.rmtree, folder.shard(name, stale.shard_no), ignore_errors=True
        )


async def _copied(source: Path, target: Path) -> None:
    """Copies in a thread, and waits for it also when cancelled: a thread cannot be stopped, and
    would go on writing to a folder that has been given up."""
    copying = asyncio.ensure_future(asyncio.to_thread(_copy, source, target))
    try:
        await asyncio.shield(copying)
    finally:
        await asyncio.wait([copying])


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


async def _run_apart(shard: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(shard)), stderr=asyncio.subprocess.PIPE
    )
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise BackendUnavailable(f"The index could not be optimised: {last}")


def _take_over(folder: IndexFolder, known: Collection, after: Record) -> None:
    optimised = load(folder, after, known.options)
    try:
        with translated("taking over the optimised index"):
            known.replay_into(optimised)
        folder.write(after)
    except (OSError, LookalikeError):
        optimised.close()
        raise
    known.adopt(optimised).close()


def main(path: str) -> None:
    """Optimises the shard in the folder `path`."""
    os.nice(NICENESS)
    shard = qdrant_edge.EdgeShard.load(path)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(sys.argv[1])
