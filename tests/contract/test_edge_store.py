"""What only the edge store promises: files, crashes, one process, and its own optimiser."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import qdrant_edge

from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.adapters.qdrant_edge_query import EdgeOptions
from gateway.domain import payload as payloads
from gateway.domain.deadline import Deadline
from gateway.domain.errors import BackendUnavailable, ReleaseInvalid, StartupProblem
from gateway.domain.items import point_id
from tests.contract.catalog import SPEC, ids, plan, shelf, unit_rows
from tests.contract.edge_writer import BATCH

REPOSITORY = Path(__file__).parents[2]


def writer(folder: Path) -> subprocess.Popen[str]:
    """Another process that writes to the folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.contract.edge_writer", str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_everything_is_there_after_a_restart(tmp_path: Path, soon: Deadline) -> None:
    stock = shelf(22, items=20)
    index = EdgeIndex.open(tmp_path)
    await index.create(SPEC)
    await index.upsert(SPEC.name, stock.points())
    await index.activate(SPEC.name)
    query = stock.vectors[stock.items[0].id][0]
    before = await index.search(SPEC.name, plan(query), soon)
    described = await index.describe(SPEC.name)
    await index.close()

    index = EdgeIndex.open(tmp_path)
    assert (await index.aliases()).active == SPEC.name
    assert await index.describe(SPEC.name) == described
    assert await index.search(SPEC.name, plan(query), soon) == before
    await index.close()


async def test_what_was_confirmed_survives_a_kill(tmp_path: Path, soon: Deadline) -> None:
    with writer(tmp_path) as process:
        assert process.stdout is not None
        confirmed = [int(process.stdout.readline()) for _ in range(40)]
        process.kill()
        confirmed += [int(line) for line in process.stdout.read().splitlines()]
    points = shelf(21, items=2000).points()[: confirmed[-1] + BATCH]
    index = EdgeIndex.open(tmp_path)
    kept = {
        point.id: point.image
        for item in {point.payload["id"] for point in points}
        for point in await index.item_points(SPEC.name, item, soon)
    }
    await index.close()
    assert {point.id for point in points} <= set(kept)
    for point in points:
        np.testing.assert_array_equal(kept[point.id], point.image)


async def test_a_second_process_is_refused_with_a_sentence(tmp_path: Path) -> None:
    index = EdgeIndex.open(tmp_path)
    with writer(tmp_path) as process:
        _, problem = process.communicate()
    assert process.returncode == 1
    assert problem.startswith(f"Another gateway process has the index folder {tmp_path} open.")
    await index.close()


async def test_a_shard_that_another_program_holds_is_the_same_problem(tmp_path: Path) -> None:
    index = EdgeIndex.open(tmp_path)
    await index.create(SPEC)
    await index.close()
    shard = qdrant_edge.EdgeShard.load(str(tmp_path / "collections" / SPEC.name / "shard-1"))
    with pytest.raises(StartupProblem, match="Another gateway process"):
        EdgeIndex.open(tmp_path)
    shard.close()
    await EdgeIndex.open(tmp_path).close()


def half(content: bytes) -> bytes:
    """What is left of a file that was not written to its end."""
    return content[: len(content) // 2]


def a_strange_field(content: bytes) -> bytes:
    """A record from a version that knows more types."""
    return content.replace(b"keyword", b"colour")


# What is damaged, and what becomes of it; None takes it away.
DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes] | None]] = {
    "no shard": ("shard-1", None),
    "no segments": ("shard-1/segments", None),
    "half a configuration": ("shard-1/edge_config.json", half),
    "half a log": ("shard-1/wal/first-index", half),
    "half a segment": ("shard-1/segments/*/segment.json", half),
    "half a record": ("collection.json", half),
    "an empty record": ("collection.json", lambda _: b"{}"),
    "a strange field": ("collection.json", a_strange_field),
}


async def test_a_damaged_folder_is_a_problem_that_names_it_and_the_way_out(tmp_path: Path) -> None:
    root, aside = tmp_path / "index", tmp_path / "aside"
    index = EdgeIndex.open(root)
    await index.create(SPEC)
    await index.upsert(SPEC.name, shelf(1, items=3).points())
    await index.close()
    collection = root / "collections" / SPEC.name
    for name, (pattern, damage) in DAMAGES.items():
        path = next(collection.glob(pattern))
        with mended(path, aside) if damage is None else rewritten(path, damage):
            with pytest.raises(StartupProblem, match=r"damaged: .* Delete that folder") as problem:
                EdgeIndex.open(root)
            assert str(collection) in problem.value.detail, name
    await EdgeIndex.open(root).close()


@contextmanager
def mended(path: Path, aside: Path) -> Iterator[None]:
    """Takes a path away, and brings it back."""
    path.rename(aside)
    yield
    aside.rename(path)


@contextmanager
def rewritten(path: Path, damage: Callable[[bytes], bytes]) -> Iterator[None]:
    """Damages a file, and mends it."""
    content = path.read_bytes()
    path.write_bytes(damage(content))
    yield
    path.write_bytes(content)


async def test_a_collection_that_was_never_finished_is_swept_away(tmp_path: Path) -> None:
    half_made = tmp_path / "collections" / SPEC.name / "shard-1" / "segments"
    half_made.mkdir(parents=True)
    index = EdgeIndex.open(tmp_path)
    assert not half_made.exists()
    assert await index.describe(SPEC.name) is None
    await index.create(SPEC)
    await index.close()


async def test_a_folder_that_cannot_be_written_is_a_startup_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupProblem, match="cannot be used"):
        EdgeIndex.open(tmp_path / "file")


async def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    index = EdgeIndex.open(tmp_path)
    for name in ("../out", "", ".hidden", "a/b"):
        with pytest.raises(ReleaseInvalid):
            await index.create(replace(SPEC, name=name))
    await index.close()


async def test_a_closed_index_says_so(tmp_path: Path) -> None:
    index = EdgeIndex.open(tmp_path)
    await index.close()
    with pytest.raises(BackendUnavailable, match="closed"):
        await index.aliases()


async def test_optimising_goes_on_beside_searches_and_writes(
    tmp_path: Path, soon: Deadline
) -> None:
    options = EdgeOptions(indexing_kb=100, full_scan_kb=50)
    spec = replace(SPEC, dim=64)
    stock = shelf(23, items=600, most_pictures=1, dim=64)
    points = stock.points()
    gone, late = points[:10], points[-10:]
    index = EdgeIndex.open(tmp_path, options)
    await index.create(spec)
    await index.upsert(spec.name, points[:-10])
    queries = unit_rows(np.random.default_rng(23), 20, dim=64)

    optimising = asyncio.create_task(index.optimize(spec.name))
    searches = 0
    while not optimising.done():
        await index.search(spec.name, plan(queries[0]), soon)
        searches += 1
        if searches == 20:  # the copy is under way or done; the other process has just started
            await index.upsert(spec.name, late)
            await index.delete_points(spec.name, [point.id for point in gone])
        await asyncio.sleep(0.005)
    await optimising
    assert searches > 20

    remaining = {(point.payload["id"], point.id) for point in points[10:]}
    kept = [item.id for item in stock.items if item.id in {owner for owner, _ in remaining}]
    for reopened in (False, True):
        if reopened:
            await index.close()
            index = EdgeIndex.open(tmp_path, options)
        stored = {
            (payload["id"], point_id(payload["id"], payloads.picture_no(payload)))
            async for payload in index.payloads(spec.name)
        }
        assert stored == remaining
        answers = [ids(await index.search(spec.name, plan(q), soon)) for q in queries]
        exact = [[name for name, _ in stock.nearest(q, kept)[:20]] for q in queries]
        recalls = [len(set(a) & set(b)) / 20 for a, b in zip(answers, exact, strict=True)]
        assert np.mean(recalls) > 0.95  # the graph approximates
    folder = tmp_path / "collections" / spec.name
    assert [path.name for path in folder.glob("shard-*")] == ["shard-2"]
    assert list(folder.glob("shard-2/segments/*/vector_index-image/graph.bin"))
    await index.close()


async def test_an_optimisation_that_is_called_off_leaves_the_index_as_it_was(
    tmp_path: Path, soon: Deadline
) -> None:
    index = EdgeIndex.open(tmp_path, EdgeOptions(indexing_kb=1))
    await index.create(SPEC)
    stock = shelf(24, items=40)
    await index.upsert(SPEC.name, stock.points())
    copy = tmp_path / "collections" / SPEC.name / "shard-2" / "segments"
    task = asyncio.create_task(index.optimize(SPEC.name))
    while not copy.exists():  # noqa: ASYNC110  # a folder sends no events
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    query = stock.vectors[stock.items[3].id][0]
    assert ids(await index.search(SPEC.name, plan(query, limit=1), soon)) == [stock.items[3].id]
    await index.close()
    await EdgeIndex.open(tmp_path).close()
    assert [p.name for p in (tmp_path / "collections" / SPEC.name).glob("shard-*")] == ["shard-1"]


def _files(folder: Path, of: str) -> list[Path]:
    return [path for path in folder.rglob("*") if of in path.name and path.is_file()]


async def test_a_graph_over_int8_answers_as_a_scan_does_page_by_page(
    tmp_path: Path, soon: Deadline
) -> None:
    """The vectors stay in full beside it: hits are compared again, and have their true cosine."""
    index = EdgeIndex.open(tmp_path, EdgeOptions(indexing_kb=1, full_scan_kb=1))
    spec = replace(SPEC, dim=64, fields={})
    stock = shelf(25, items=600, most_pictures=1, dim=64)
    await index.create(spec)
    await index.upsert(spec.name, stock.points())
    await index.optimize(spec.name)
    assert _files(tmp_path, "quantized")
    for query in unit_rows(np.random.default_rng(25), 20, dim=64):
        truth = dict(stock.nearest(query))
        paged = [
            hit
            for offset in range(0, 40, 8)
            for hit in await index.search(spec.name, plan(query, limit=8, offset=offset), soon)
        ]
        assert ids(paged) == ids(await index.search(spec.name, plan(query, limit=40), soon))
        assert len({hit.item_id for hit in paged} & set(list(truth)[:40])) >= 38
        for hit in paged:
            assert hit.score == pytest.approx(truth[hit.item_id], abs=1e-5)
    await index.close()


async def test_an_index_made_without_int8_is_opened_and_rebuilt(
    tmp_path: Path, soon: Deadline
) -> None:
    options = EdgeOptions(indexing_kb=1, full_scan_kb=1)
    stock = shelf(26, items=300, most_pictures=1)
    query = stock.vectors[stock.items[7].id][0]
    index = EdgeIndex.open(tmp_path, replace(options, int8=False))
    await index.create(SPEC)
    await index.upsert(SPEC.name, stock.points())
    await index.optimize(SPEC.name)
    before = await index.search(SPEC.name, plan(query), soon)
    await index.close()
    index = EdgeIndex.open(tmp_path, options)
    assert await index.search(SPEC.name, plan(query), soon) == before
    await index.optimize(SPEC.name)
    assert ids(await index.search(SPEC.name, plan(query), soon)) == ids(before)
    await index.close()


async def test_a_small_collection_is_not_optimised(tmp_path: Path) -> None:
    index = EdgeIndex.open(tmp_path)
    await index.create(SPEC)
    await index.upsert(SPEC.name, shelf(1, items=5).points())
    await index.optimize(SPEC.name)
    assert [p.name for p in (tmp_path / "collections" / SPEC.name).glob("shard-*")] == ["shard-1"]
    info = await index.describe(SPEC.name)
    assert info is not None
    assert info.graph is False
    await index.close()
