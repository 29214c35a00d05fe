"""`python -m loadtest.make_pictures`: the JPEGs that a load test uploads.

Goes on where it was stopped; the same options make the same bytes with the same Pillow and numpy.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from gateway.adapters.catalog_files import BadRow, read_catalog
from gateway.cli.console import progress, say
from gateway.domain.items import Item
from gateway.local.sample_catalog import render_pictures, sample_items
from loadtest.photos import DEFAULT_SHARES, SIZES, parse_shares, photo, size_names
from loadtest.picture_folder import BadFolder, CatalogEntry, MadePicture, PictureFolder

DEFAULT_SHARES_TEXT = ",".join(f"{name}={share:g}" for name, share in DEFAULT_SHARES.items())


def command(
    folder: Annotated[Path, typer.Option("--out", help="Folder for the JPEGs.")],
    count: Annotated[int, typer.Option(help="How many pictures.", min=1)] = 2_000,
    seed: Annotated[int, typer.Option(help="Another seed makes other pictures.")] = 1,
    sizes: Annotated[str, typer.Option(help="Shares of the sizes, in percent.")] = (
        DEFAULT_SHARES_TEXT
    ),
    catalog: Annotated[
        Path | None, typer.Option(help="The shop's catalogue, as for `lookalike index`.")
    ] = None,
    catalog_pictures: Annotated[
        Path | None,
        typer.Option(help="The folder of its pictures; without --catalog, where to draw them."),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Processes.", min=1)] = os.cpu_count() or 1,
) -> None:
    """Make JPEGs for a load test, from the sample catalogue or from the shop's own."""
    try:
        shares = parse_shares(sizes)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--sizes") from exc
    folder.mkdir(parents=True, exist_ok=True)
    source = catalog_pictures or (catalog.parent if catalog else folder / "drawings")
    items = _own(catalog, source) if catalog else _sample(source)
    try:
        wanted = _unless_another(PictureFolder(folder, seed, shares, tuple(map(_entry, items)), ()))
    except BadFolder as exc:
        say(str(exc))
        raise typer.Exit(1) from exc
    with progress() as bar:
        task = bar.add_task("making pictures", total=count)
        made = make(wanted, source, count, jobs, lambda done: bar.update(task, completed=done))
    say(f"{folder}: {made.summary()}")


def make(
    wanted: PictureFolder, source: Path, count: int, jobs: int, done: Callable[[int], object]
) -> PictureFolder:
    """Makes what is missing of the first `count` pictures, from the catalogue's below `source`;
    `done` is told how many there are."""
    wanted.save()
    sizes = itertools.islice(size_names(wanted.shares), count)
    tasks = [_task(wanted, source, number, size) for number, size in enumerate(sizes)]
    pictures: list[MadePicture] = []
    with _mapping(jobs) as run:
        for picture in run(tasks):
            pictures.append(picture)
            done(len(pictures))
    finished = replace(wanted, pictures=tuple(pictures))
    finished.save()
    return finished


@contextmanager
def _mapping(jobs: int) -> Iterator[Callable[[Sequence[_Task]], Iterable[MadePicture]]]:
    """A way to make pictures: in this process, or in several."""
    if jobs == 1:
        yield lambda tasks: map(_made, tasks)
    else:
        with ProcessPoolExecutor(jobs) as pool:
            yield lambda tasks: pool.map(_made, tasks, chunksize=4)


@dataclass(frozen=True, slots=True)
class _Task:
    """One picture to make."""

    path: Path
    subject: Path
    item_id: str
    size: str
    seed: int
    number: int


def _task(wanted: PictureFolder, source: Path, number: int, size: str) -> _Task:
    # By the number alone, so that asking for more pictures later changes none.
    entry = random.Random(f"{wanted.seed}/{number}").choice(wanted.entries)
    path = wanted.path / f"{number:06}-{size}.jpg"
    return _Task(path, source / entry.picture, entry.id, size, wanted.seed, number)


def _made(task: _Task) -> MadePicture:
    if not task.path.exists():
        with Image.open(task.subject) as subject:
            jpeg = photo(subject, SIZES[task.size], task.seed, task.number)
        partial = task.path.with_suffix(".part")
        partial.write_bytes(jpeg)
        os.replace(partial, task.path)
    return MadePicture(task.path.name, task.size, task.item_id, task.path.stat().st_size)


def _sample(folder: Path) -> list[Item]:
    """The sample catalogue, drawn into `folder`."""
    samples = sample_items()
    with progress() as bar:
        task = bar.add_task("drawing the catalogue", total=len(samples))
        render_pictures(samples, folder, lambda done: bar.update(task, completed=done))
    return [sample.item for sample in samples]


def _own(catalog: Path, pictures: Path) -> list[Item]:
    """The shop's items whose first picture lies below `pictures`."""
    rows = read_catalog(catalog)
    items = [row for row in rows if not isinstance(row, BadRow)]
    found = [item for item in items if (pictures / item.pictures[0]).is_file()]
    if not found:
        raise typer.BadParameter(f"No item of {catalog} has its first picture below {pictures}.")
    return found


def _entry(item: Item) -> CatalogEntry:
    return CatalogEntry(item.id, item.title, item.category, item.brand, item.pictures[0])


def _unless_another(wanted: PictureFolder) -> PictureFolder:
    """`wanted`; BadFolder if the folder holds pictures of other options."""
    try:
        there = PictureFolder.load(wanted.path)
    except BadFolder:
        return wanted
    if (there.seed, dict(there.shares), there.entries) != (
        wanted.seed, dict(wanted.shares), wanted.entries,
    ):  # fmt: skip
        raise BadFolder(
            f"{wanted.path} holds pictures of another seed, sizes or catalogue: name another "
            f"folder, or remove it."
        )
    return wanted


if __name__ == "__main__":
    typer.run(command)
