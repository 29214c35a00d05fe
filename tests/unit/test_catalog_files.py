"""A shop's catalogue from a file: the same items whatever the format."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.catalog_files import BadRow, read_catalog
from gateway.domain.errors import StartupProblem
from gateway.domain.filters import FieldType
from gateway.domain.items import Item, Location
from gateway.domain.payload import attribute_fields, to_item, to_payload

SHOE = Item(
    "s1", "Red shoe", ("a.png", "b.png"), brand="Arbor", price=12.5,
    attributes={"colour": "red"}, location=Location(52.5, 13.4),
)  # fmt: skip
HAT = Item("h1", "Hat, blue", ("c.png",))


def write(path: Path) -> Path:
    rows: list[dict[str, Any]] = [
        {"id": "s1", "title": "Red shoe", "pictures": ["a.png", "b.png"], "brand": "Arbor",
         "price": 12.5, "attributes": {"colour": "red"}, "location": {"lat": 52.5, "lon": 13.4}},
        {"id": "h1", "title": "Hat, blue", "pictures": ["c.png"]},
    ]  # fmt: skip
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    elif path.suffix == ".csv":
        columns = ["id", "title", "pictures", "brand", "price", "attributes.colour", "lat", "lon"]
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerow(["s1", "Red shoe", "a.png|b.png", "Arbor", 12.5, "red", 52.5, 13.4])
            writer.writerow(["h1", "Hat, blue", "c.png", "", "", "", "", ""])
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_every_format_gives_the_same_items(tmp_path: Path, suffix: str) -> None:
    assert list(read_catalog(write(tmp_path / f"items{suffix}"))) == [SHOE, HAT]


BAD_LINES = [
    ("{", "no JSON"),
    ("[1]", "no JSON object"),
    ('{"id": "x", "title": "X"}', "pictures: "),
    ('{"id": "x", "title": "X", "pictures": ["a"], "colour": "red"}', "colour: "),
    ('{"id": "x", "title": "X", "pictures": ["a"], "price": "cheap"}', "price: "),
    ('{"id": "ok", "title": "Again", "pictures": ["a"]}', "stood before"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[b[1].strip(": ") for b in BAD_LINES])
def test_a_bad_row_is_named_and_the_rest_goes_on(tmp_path: Path, line: str, reason: str) -> None:
    good = [f'{{"id": "{name}", "title": "T", "pictures": ["a"]}}' for name in ("ok", "ok2")]
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join([good[0], line, good[1]]))
    first, bad, last = read_catalog(path)
    assert isinstance(first, Item)
    assert isinstance(last, Item)
    assert isinstance(bad, BadRow)
    assert bad.row_no == 2
    assert reason in bad.problem.detail


def test_a_csv_row_of_too_many_cells_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,title,pictures\nx,X,a.png,surplus\n")
    [bad] = read_catalog(path)
    assert isinstance(bad, BadRow)


@pytest.mark.parametrize("name", ["items.xlsx", "missing.jsonl", "broken.parquet", "latin.csv"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "latin.csv").write_bytes("id,title\nx,Größe\n".encode("latin-1"))
    with pytest.raises(StartupProblem, match=name):
        list(read_catalog(tmp_path / name))


def test_attributes_are_filterable_by_what_they_hold() -> None:
    def item(**attributes: Any) -> Item:
        return Item("x", "X", ("a",), attributes=attributes)

    day, late = "2026-01-31T00:00:00Z", "2026-01-31T23:59:59.5+01:00"
    items = [
        item(a="s", b=True, c=1, d=1.5, e="s", f=day, g=day),
        item(a=("t", "u"), c=2, d=1, e=3, f=(day, late), g="soon"),
    ]
    assert attribute_fields(items) == {
        "attributes.a": FieldType.KEYWORD,
        "attributes.b": FieldType.BOOL,
        "attributes.c": FieldType.INTEGER,
        "attributes.d": FieldType.FLOAT,
        "attributes.f": FieldType.DATETIME,
        "attributes.g": FieldType.KEYWORD,
    }
    assert item(a="s", f=(day, late)).lexical_text() == "X s"


@pytest.mark.parametrize("item", [SHOE, HAT], ids=["full", "bare"])
def test_a_payload_gives_back_the_item(item: Item) -> None:
    assert to_item(json.loads(json.dumps(to_payload(item, 0, "d")))) == item
