"""The engine in the gateway's process, as the catalogue grows: recall, time and memory.

Vectors as a model's are: many groups of neighbours, not noise, in which nothing is near anything
(1,000 centres, and about each of them points at a cosine of 0.6). In a process of its own for each
size, so that memory is that size's. Each with the graph over int8, as it is, and over fp32.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.qdrant_edge_query import EdgeOptions
from gateway.domain.deadline import Deadline
from gateway.domain.items import Item, point_id
from gateway.domain.payload import BASE_FIELDS, to_payload
from gateway.domain.plan import SearchPlan, Sparse
from gateway.domain.ports import CollectionSpec, Point
from gateway.domain.query import Beam, Exact
from gateway.domain.vectors import Batch, Vector
from loadtest.bench.figures import Figure, table
from loadtest.bench.subject import Subject

SIZES = (1_000, 10_000, 100_000)
DIM = 256
CENTRES = 1_000
COSINE = 0.6
QUERIES = 200
K = 10
WRITE_CHUNK = 2_000
DEADLINE_S = 60.0
QUERY_SEED = 10**9  # no chunk's
NAME = "bench"
NO_WORDS = Sparse((), ())


@dataclass(frozen=True, slots=True)
class Size:
    """`search_ms` and `exact_ms` are CPU milliseconds of one search for ten items; `bytes_an_item`
    what the process holds of its own (not files' pages, which the kernel may take back)."""

    recall: float
    search_ms: Figure
    exact_ms: Figure
    bytes_an_item: float
    file_bytes_an_item: float
    built_s: float


def measure(subject: Subject) -> dict[str, Size]:
    """Each size in turn, and each kind of vector."""
    context = multiprocessing.get_context("spawn")
    sizes = {*SIZES, *([] if subject.items is None else [subject.items])}
    found = {}
    for size, int8 in product(sorted(sizes), (True, False)):
        with (
            tempfile.TemporaryDirectory(dir=subject.state) as folder,
            context.Pool(1) as pool,
        ):
            one = pool.apply(_measured, (size, int8, Path(folder)))
        found[f"{size:,}, {'int8' if int8 else 'fp32'}"] = one
    return found


def shown(found: Mapping[str, Size]) -> list[str]:
    """A row a size and kind."""
    rows = [
        [
            name,
            f"{one.recall:.3f}",
            str(one.search_ms),
            str(one.exact_ms),
            f"{one.bytes_an_item:,.0f}",
            f"{one.file_bytes_an_item:,.0f}",
            f"{one.built_s:.1f}",
        ]
        for name, one in found.items()
    ]
    return table(
        [
            "items",
            f"recall@{K}",
            "CPU ms",
            "exact: CPU ms",
            "B/item",
            "files: B/item",
            "built in s",
        ],
        rows,
    )


def vectors(count: int, seed: int) -> Batch:
    """Unit vectors `[count, DIM]` about CENTRES common centres."""
    centres = _unit(np.random.default_rng(0).normal(size=(CENTRES, DIM)))
    chance = np.random.default_rng(seed)
    near = centres[chance.integers(CENTRES, size=count)]
    apart = _unit(chance.normal(size=(count, DIM)))
    return _unit(COSINE * near + np.sqrt(1 - COSINE**2) * apart).astype(np.float32)


def _unit(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Batch:
    unit: Batch = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _measured(size: int, int8: bool, folder: Path) -> Size:
    return asyncio.run(_size(size, int8, folder))


async def _size(size: int, int8: bool, folder: Path) -> Size:
    index = EdgeIndex.open(folder, EdgeOptions(int8=int8))
    start, before = time.perf_counter(), _own_bytes()
    await index.create(CollectionSpec(NAME, DIM, "bench", BASE_FIELDS))
    for first in range(0, size, WRITE_CHUNK):
        await index.upsert(NAME, _points(first, min(WRITE_CHUNK, size - first)))
    await index.optimize(NAME)
    built_s, held = time.perf_counter() - start, _own_bytes() - before
    queries = vectors(QUERIES, seed=QUERY_SEED)
    exact, exact_ms = await _searched(index, queries, Exact())
    found, search_ms = await _searched(index, queries, Beam())
    await index.close()
    recall = sum(len(a & b) for a, b in zip(exact, found, strict=True)) / (QUERIES * K)
    return Size(recall, search_ms, exact_ms, held / size, _on_disk(folder) / size, built_s)


def _on_disk(folder: Path) -> int:
    """Bytes of the blocks that are taken: the files are mostly holes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _points(first: int, count: int) -> list[Point]:
    rows = vectors(count, seed=first + 1)
    return [
        Point(
            point_id(f"sku-{number}", 0),
            row,
            NO_WORDS,
            to_payload(Item(f"sku-{number}", f"Item {number}", ("a.jpg",)), 0, "0" * 64),
        )
        for number, row in enumerate(rows, start=first)
    ]


async def _searched(
    index: EdgeIndex, queries: Batch, nearest: Beam | Exact
) -> tuple[list[set[str]], Figure]:
    """The items of each query, and CPU milliseconds of one (the median of runs of ten queries)."""
    found, ms = [], []
    for start in range(0, len(queries), K):
        some = queries[start : start + K]
        spent_s = -time.process_time()
        found += [await _items(index, query, nearest) for query in some]
        ms.append((spent_s + time.process_time()) / len(some) * 1000)
    return found, Figure.of(ms)


async def _items(index: EdgeIndex, query: Vector, nearest: Beam | Exact) -> set[str]:
    plan = SearchPlan(
        dense=query, lexical=None, filter=None, limit=K, offset=0, min_score=None, fields=("id",),
        nearest=nearest,
    )  # fmt: skip
    hits = await index.search(NAME, plan, Deadline.after(DEADLINE_S))
    return {hit.item_id for hit in hits}


def _own_bytes() -> int:
    """Memory of this process that is no file's (proc(5), RssAnon)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(kib) * 1024
