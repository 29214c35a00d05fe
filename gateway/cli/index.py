"""`lookalike index`: a shop's own catalogue into the index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.adapters.catalog_files import BadRow, read_catalog
from gateway.bootstrap import assemble, only_release
from gateway.cli.console import errors, out, progress
from gateway.domain.errors import CatalogInvalid
from gateway.domain.filters import FieldType
from gateway.domain.items import Item
from gateway.domain.payload import attribute_fields
from gateway.services.indexing import IndexReport
from gateway.settings import Settings

PROBLEMS_SHOWN = 10


def index(
    catalog: Annotated[Path, typer.Option(help="items.jsonl, items.csv or items.parquet.")],
    release: Annotated[
        str | None, typer.Option(help="The release to index with; the only one if not given.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder that picture paths start from; the catalogue's own.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write what was left out, and why, to this JSON Lines file.")
    ] = None,
) -> None:
    """Index a catalogue: embed its pictures on Triton, write its points to Qdrant.

    Interrupted, run it again: what is in the index already is not embedded again. Exits 1 if
    nothing could be indexed.
    """
    settings = Settings(fetch_pictures=True)
    folder = pictures or settings.pictures_folder or catalog.parent
    settings = settings.model_copy(update={"pictures_folder": folder.resolve()})
    bad: list[BadRow] = []
    fields, total = _survey(catalog, bad)
    result = uvloop.run(_index(settings, release or only_release(settings), catalog, fields, total))
    problems = [(f"row {row.row_no}", row.problem) for row in bad] + result.problems
    indexed = result.items - result.failed
    out.print(
        f"{indexed:,} items indexed ({result.embedded:,} pictures embedded), "
        f"{result.failed + len(bad):,} left out."
    )
    for name, problem in problems[:PROBLEMS_SHOWN]:
        out.print(f"  {name}: {problem.detail}", soft_wrap=True, highlight=False, markup=False)
    if len(problems) > PROBLEMS_SHOWN:
        out.print(f"  … and {len(problems) - PROBLEMS_SHOWN:,} more: give --report to see all.")
    if report is not None:
        with report.open("w", encoding="utf-8") as file:
            for name, problem in problems:
                file.write(json.dumps({"item": name, "problem": problem.detail}) + "\n")
    if indexed == 0:
        errors.print("Nothing was indexed.")
        raise typer.Exit(1)


def _survey(catalog: Path, bad: list[BadRow]) -> tuple[Mapping[str, FieldType], int]:
    """The attributes that can be filtered, and the number of items; gathers bad rows."""
    total = 0

    def items() -> Iterator[Item]:
        nonlocal total
        for row in read_catalog(catalog):
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                total += 1
                yield row

    fields = attribute_fields(items())
    if total == 0:
        first = f" The first row: {bad[0].problem.detail}" if bad else ""
        raise CatalogInvalid(f"{catalog} holds no item.{first}")
    return fields, total


async def _index(
    settings: Settings,
    release: str,
    catalog: Path,
    fields: Mapping[str, FieldType],
    total: int,
) -> IndexReport:
    good = (row for row in read_catalog(catalog) if isinstance(row, Item))
    async with assemble(settings) as assembly:
        with progress() as bar:
            task = bar.add_task(f"indexing with {release}", total=total)
            return await assembly.indexing.run(
                release, good, fields, lambda done: bar.update(task, completed=done)
            )
