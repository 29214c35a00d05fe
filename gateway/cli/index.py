"""`lookalike index`: a shop's own catalogue into the index."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.adapters.catalog_files import BadRow, read_catalog
from gateway.adapters.catalog_schema import read_schema, typed
from gateway.bootstrap import assemble, only_release
from gateway.cli.console import errors, out, progress
from gateway.domain.errors import CatalogInvalid
from gateway.domain.filters import FieldType
from gateway.domain.items import Item
from gateway.domain.payload import attribute_fields
from gateway.domain.ports import CollectionInfo
from gateway.services.filter_check import listed
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
    schema: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file that says which attributes can be filtered, and their types; "
            "without, all can, by what they hold."
        ),
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
    declared = None if schema is None else read_schema(schema)
    fields, total = _survey(catalog, declared, bad)
    rows = (row for row in _rows(catalog, declared) if isinstance(row, Item))
    result = uvloop.run(_index(settings, release or only_release(settings), rows, fields, total))
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


def _rows(catalog: Path, declared: Mapping[str, FieldType] | None) -> Iterator[Item | BadRow]:
    """The file's rows, typed as the schema declares, if there is one."""
    for row_no, row in enumerate(read_catalog(catalog), start=1):
        if declared is None or isinstance(row, BadRow):
            yield row
            continue
        try:
            yield typed(row, declared)
        except CatalogInvalid as exc:
            yield BadRow(row_no, exc)


def _survey(
    catalog: Path, declared: Mapping[str, FieldType] | None, bad: list[BadRow]
) -> tuple[Mapping[str, FieldType], int]:
    """The attributes that can be filtered, and the number of items; gathers bad rows."""
    total = 0

    def items() -> Iterator[Item]:
        nonlocal total
        for row in _rows(catalog, declared):
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                total += 1
                yield row

    inferred = attribute_fields(items())
    if total == 0:
        first = f" The first row: {bad[0].problem.detail}" if bad else ""
        raise CatalogInvalid(f"{catalog} holds no item.{first}")
    return inferred if declared is None else declared, total


async def _index(
    settings: Settings,
    release: str,
    rows: Iterator[Item],
    fields: Mapping[str, FieldType],
    total: int,
) -> IndexReport:
    async with assemble(settings) as assembly:
        _tell_unfilterable(await assembly.index.describe(release), fields)
        with progress() as bar:
            task = bar.add_task(f"indexing with {release}", total=total)
            return await assembly.indexing.run(
                release, rows, fields, lambda done: bar.update(task, completed=done)
            )


def _tell_unfilterable(known: CollectionInfo | None, fields: Mapping[str, FieldType]) -> None:
    """A collection's fields are fixed when it is made; those of an older run may be others."""
    if known is None:
        return
    new = {key: kind for key, kind in fields.items() if known.fields.get(key) is not kind}
    if new:
        errors.print(
            f"Not filterable: {listed(new)}. What can be filtered is decided when a catalogue is "
            f"first indexed with a release, and {known.name} was made without.",
            soft_wrap=True,
            highlight=False,
        )
