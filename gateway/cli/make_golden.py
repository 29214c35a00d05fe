"""`lookalike evaluate make-golden`: a golden set from a catalogue that nobody has labelled."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from gateway.adapters.catalog_files import read_catalog
from gateway.adapters.picture_source import PictureFiles
from gateway.api.golden_file import write_golden
from gateway.cli.console import errors, out, progress
from gateway.domain.errors import CatalogInvalid, LookalikeError, StartupProblem
from gateway.domain.items import Item
from gateway.local.sample_catalog import render_pictures, sample_items
from gateway.services.golden_maker import MadeQuery, make_queries, same_name
from gateway.services.golden_set import drawn
from gateway.settings import Settings

GOLDEN_FILE = "golden.jsonl"
PROBLEMS_SHOWN = 5


def make_golden(
    folder: Annotated[Path, typer.Option("--out", help="The folder that is written.")],
    catalog: Annotated[
        Path | None, typer.Option(help="items.jsonl, items.csv or items.parquet.")
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="The demo's catalogue.")] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder that picture paths start from; the catalogue's own.")
    ] = None,
    items: Annotated[int, typer.Option(min=0, help="Use this many, drawn by --seed; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed, the same golden set.")] = 0,
) -> None:
    """Make a golden set from a catalogue: photos as shoppers take them, names, phrases, typos.

    Five queries an item. Write your own lines into the same file: see docs/evaluation.md.
    """
    if (catalog is None) == (not sample):
        raise StartupProblem("Give either --catalog FILE or --sample.")
    with ExitStack() as stack:
        if catalog is None:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-")))
            every, chosen = _sampled(root, items, seed)
        else:
            root = (pictures or catalog.parent).resolve()
            every = [row for row in read_catalog(catalog) if isinstance(row, Item)]
            chosen = drawn(every, items, seed)
        if not chosen:
            raise CatalogInvalid(f"{catalog} holds no item.")
        sources = asyncio.run(_read(chosen, root))
        _write(folder, _made(chosen, every, sources, seed))


def _sampled(root: Path, most: int, seed: int) -> tuple[list[Item], list[Item]]:
    """The sample catalogue, and those of its items that are used, drawn into `root`."""
    samples = sample_items()
    chosen = drawn(samples, most, seed)
    with progress() as bar:
        task = bar.add_task("drawing the catalogue", total=len(chosen))
        render_pictures(chosen, root, lambda done: bar.update(task, completed=done))
    return [sample.item for sample in samples], [sample.item for sample in chosen]


async def _read(items: Sequence[Item], root: Path) -> dict[str, bytes | LookalikeError]:
    """The first picture of each item, or why there is none."""
    found: dict[str, bytes | LookalikeError] = {}
    async with httpx.AsyncClient(follow_redirects=True) as client:
        source = PictureFiles(root, client, Settings().max_picture_bytes)
        for item in items:
            try:
                if not item.pictures:
                    raise CatalogInvalid("It has no picture.")
                found[item.id] = await source.read(item.pictures[0])
            except LookalikeError as problem:
                found[item.id] = problem
    return found


def _made(
    items: Sequence[Item],
    every: Sequence[Item],
    sources: Mapping[str, bytes | LookalikeError],
    seed: int,
) -> Iterator[MadeQuery]:
    """The queries of every item whose picture can be used; says which cannot."""
    names = same_name(every)
    problems = []
    with progress() as bar:
        for item in bar.track(items, description="taking photos"):
            picture = sources[item.id]
            try:
                if isinstance(picture, LookalikeError):
                    raise picture
                yield from make_queries(item, picture, names, seed)
            except (LookalikeError, OSError, ValueError) as problem:
                problems.append(f"{item.id}: {problem}")
    if problems:
        errors.print(f"{len(problems):,} items left out:")
        for line in problems[:PROBLEMS_SHOWN]:
            errors.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)


def _write(folder: Path, queries: Iterator[MadeQuery]) -> None:
    def rows() -> Iterator[Mapping[str, Any]]:
        for query in queries:
            if query.photo_name:
                (folder / query.photo_name).write_bytes(query.photo)
            yield query.row

    try:
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        count = write_golden(folder / GOLDEN_FILE, rows())
    except OSError as exc:
        raise StartupProblem(f"{folder} cannot be written: {exc.strerror or exc}.") from exc
    if count == 0:
        raise CatalogInvalid("No item's picture could be used, so there is no golden set.")
    out.print(f"{count:,} queries: {folder / GOLDEN_FILE}", soft_wrap=True, highlight=False)
