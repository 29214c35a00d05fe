"""One open collection of the edge store, and the translation of the engine's errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import qdrant_edge as edge

from gateway.adapters import qdrant_edge_query as words
from gateway.adapters.qdrant_edge_folder import IndexFolder, Record, damaged, in_use
from gateway.adapters.qdrant_edge_query import EdgeOptions
from gateway.domain.errors import BackendUnavailable, LookalikeError, NotFound, SpaceMismatch
from gateway.domain.filters import FieldType
from gateway.domain.ports import CollectionSpec


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turns the engine's exceptions into ours, by their text: it raises the bare `Exception`."""
    try:
        yield
    except Exception as exc:
        if type(exc) is not Exception:
            raise
        text = str(exc)
        if "Vector dimension error" in text:
            raise SpaceMismatch(f"A vector of another length met the index: {text}.") from exc
        if "not initialized" in text:
            raise NotFound("The collection was deleted during the request.") from exc
        raise BackendUnavailable(f"The index failed while {doing}: {text}.") from exc


class Collection:
    """An open shard, which may be swapped for another one. While `journal` is a list, every
    write is also kept in it. `writing` is held to keep writes out."""

    def __init__(self, record: Record, shard: edge.EdgeShard, options: EdgeOptions) -> None:
        self.record = record
        self.options = options
        self.shard = shard
        self.writing = asyncio.Lock()
        self.journal: list[edge.UpdateOperation] | None = None
        self.closed = False

    async def update(self, operation: edge.UpdateOperation) -> None:
        """Applies a write. It is in the write-ahead log when this returns: the death of the
        process does not lose it (see `gateway.adapters.qdrant_edge`)."""
        async with self.writing:
            with translated("writing"):
                self.shard.update(operation)
            if self.journal is not None:
                self.journal.append(operation)

    def points(self) -> int:
        """How many pictures the collection holds."""
        with translated("counting"):
            return self.shard.info().points_count

    def vectors_kb(self) -> int:
        """The size of all dense vectors, in the engine's unit of 1,024 bytes."""
        return self.points() * self.record.spec.dim * 4 // 1024

    def green(self) -> bool:
        """Whether there is a graph over the vectors, or so few of them that they are scanned."""
        return self.vectors_kb() < self.options.indexing_kb or self.record.shard_no > 1

    def graph(self) -> bool:
        """Whether searches walk a graph: one was built (which is a new shard), and the engine does
        not prefer to scan. Its own count of indexed vectors does not tell: sparse ones are in it.
        """
        return self.record.shard_no > 1 and self.vectors_kb() >= self.options.full_scan_kb

    def flush(self) -> None:
        """Makes every write safe against a power cut."""
        with translated("flushing"):
            self.shard.flush()

    def replay_into(self, other: Collection) -> None:
        """Brings another copy of this collection up to date from the journal."""
        for operation in self.journal or ():
            other.shard.update(operation)
        other.flush()

    def adopt(self, other: Collection) -> edge.EdgeShard:
        """Goes on with the other's shard, and gives back its own."""
        before, self.shard, self.record = self.shard, other.shard, other.record
        return before

    def close(self) -> None:
        """Lets go of the files, without a flush."""
        self.closed = True
        with translated("closing"):
            self.shard.close()


async def make(folder: IndexFolder, spec: CollectionSpec, options: EdgeOptions) -> Collection:
    """A new, empty collection. Its record is written last, so that it exists as a whole or not.

    Every field index waits for the disk (4 ms, or 100 ms on a busy one), so each has its turn.
    """
    record = Record(spec, shard_no=1, made_at_s=time.time())
    folder.prepare(spec.name)
    with translated("making a collection"):
        path = folder.shard(spec.name, record.shard_no)
        shard = edge.EdgeShard.create(str(path), words.collection_config(spec, options))
        for key, kind in _indexed(spec):
            shard.update(edge.UpdateOperation.create_field_index(key, words.field_index(kind)))
            await asyncio.sleep(0)
        shard.flush()
    folder.write(record)
    return Collection(record, shard, options)


def load(folder: IndexFolder, record: Record, options: EdgeOptions) -> Collection:
    """Opens a collection; StartupProblem if its files are damaged or another process has them.

    Replaying the write-ahead log takes about 6 µs a point.
    """
    path = folder.shard(record.spec.name, record.shard_no)
    # The engine would make up an empty shard, or one of whatever its log still holds.
    if not any((path / "segments").glob("*")):
        raise damaged(path, "the segments are missing")
    try:
        shard = edge.EdgeShard.load(str(path), words.collection_config(record.spec, options))
    except Exception as exc:
        raise _load_problem(folder.root, path, exc) from exc
    return Collection(record, shard, options)


def _load_problem(root: Path, path: Path, exc: Exception) -> LookalikeError | Exception:
    if type(exc) is not Exception:
        return exc
    return in_use(root) if "WouldBlock" in str(exc) else damaged(path, str(exc))


def _indexed(spec: CollectionSpec) -> Sequence[tuple[str, FieldType]]:
    # Items are found, excluded and replaced by id, whatever the catalogue's schema says.
    return list({"id": FieldType.KEYWORD, **spec.fields}.items())
