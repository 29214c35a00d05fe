"""A shop's own catalogue from a file: JSON Lines, CSV or Parquet, one item a row.

Columns are an item's fields. In CSV, `pictures` holds one address or several with `|` between,
a column `attributes.colour` is an attribute, and `lat` and `lon` are the location.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from gateway.domain.errors import CatalogInvalid, StartupProblem
from gateway.domain.items import Item

FORMATS = (".jsonl", ".ndjson", ".csv", ".parquet")
PICTURE_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no item: its number in the file, from 1, and why."""

    row_no: int
    problem: CatalogInvalid


@dataclass(frozen=True)
class _Row:
    """An item as it is read: unknown columns are refused, since a misspelt one would be lost."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    item: Item


_ADAPTER = TypeAdapter(_Row)


def read_catalog(path: Path) -> Iterator[Item | BadRow]:
    """The file's items in its order, and what is not one in its place.

    An id that stood before in the file is a bad row. Raises StartupProblem if the file cannot be
    read at all.
    """
    seen: set[str] = set()
    for row_no, row in enumerate(_rows(path), start=1):
        if isinstance(row, CatalogInvalid):
            yield BadRow(row_no, row)
            continue
        try:
            item = _ADAPTER.validate_python({"item": row}).item
        except ValidationError as exc:
            yield BadRow(row_no, _problem(exc))
            continue
        if item.id in seen:
            yield BadRow(row_no, CatalogInvalid(f"The id {item.id!r} stood before.", field="id"))
            continue
        seen.add(item.id)
        yield item


def _rows(path: Path) -> Iterator[Mapping[str, Any] | CatalogInvalid]:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise StartupProblem(
            f"{path} is not a catalogue: its name must end in one of {', '.join(FORMATS)}."
        )
    try:
        if suffix == ".parquet":
            yield from _parquet_rows(path)
        elif suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                yield from map(_from_csv, csv.DictReader(file))
        else:
            with path.open(encoding="utf-8") as file:
                yield from (_from_json(line) for line in file if line.strip())
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise StartupProblem(f"{path} cannot be read: {exc}.") from exc


def _from_json(line: str) -> Mapping[str, Any] | CatalogInvalid:
    try:
        row = json.loads(line)
    except ValueError as exc:
        return CatalogInvalid(f"The line is no JSON: {exc}.")
    if not isinstance(row, dict):
        return CatalogInvalid("The line is no JSON object.")
    return row


def _from_csv(row: Mapping[str | None, Any]) -> Mapping[str, Any] | CatalogInvalid:
    if None in row:
        return CatalogInvalid("The row has more cells than the header.")
    item: dict[str, Any] = {}
    place: dict[str, str] = {}
    attributes: dict[str, str] = {}
    for name, cell in row.items():
        if not cell or name is None:
            continue
        if name == "pictures":
            item[name] = [uri.strip() for uri in cell.split(PICTURE_SEPARATOR)]
        elif name.startswith("attributes."):
            attributes[name.removeprefix("attributes.")] = cell
        elif name in ("lat", "lon"):
            place[name] = cell
        else:
            item[name] = cell
    if attributes:
        item["attributes"] = attributes
    if place:
        item["location"] = place
    return item


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as exc:
        raise StartupProblem(
            "Reading Parquet needs pyarrow. Install it with `pip install 'lookalike[parquet]'`."
        ) from exc
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    yield {name: value for name, value in row.items() if value is not None}
    except ArrowInvalid as exc:
        raise StartupProblem(f"{path} cannot be read: {exc}.") from exc


def _problem(exc: ValidationError) -> CatalogInvalid:
    fault = exc.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in fault["loc"][1:])
    return CatalogInvalid(f"{field}: {fault['msg']}", field=field)
