"""The schema file: what it declares, what it refuses, and items typed by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.adapters.catalog_schema import read_schema, typed
from gateway.domain.errors import CatalogInvalid, StartupProblem
from gateway.domain.filters import FieldType
from gateway.domain.items import Attribute, Item

SCHEMA = """
[fields]
colour = "keyword"
"attributes.sizes" = "integer"
weight = "float"
in_stock = "bool"
added = "datetime"
care = "text"
price = "float"
"""


@pytest.fixture
def fields(tmp_path: Path) -> dict[str, FieldType]:
    """What SCHEMA declares."""
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA)
    return dict(read_schema(path))


def item(**attributes: Attribute) -> Item:
    return Item("x", "X", ("a.jpg",), attributes=attributes)


def test_a_name_is_an_attributes_or_an_own_field(fields: dict[str, FieldType]) -> None:
    assert fields == {
        "attributes.colour": FieldType.KEYWORD,
        "attributes.sizes": FieldType.INTEGER,
        "attributes.weight": FieldType.FLOAT,
        "attributes.in_stock": FieldType.BOOL,
        "attributes.added": FieldType.DATETIME,
        "attributes.care": FieldType.TEXT,
        "price": FieldType.FLOAT,
    }


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[fields", "TOML"),
        ("fields = 3", r"\[fields\]"),
        ("[fields]\n[other]", r"\[fields\]"),
        ("", r"\[fields\]"),
        ("[fields]\ncolour = 'keywords'", "colour.*keyword, integer"),
        ("[fields]\ncolour = 3", "colour"),
        ("[fields]\nplace = 'geo'", "place"),
        ("[fields]\nprice = 'keyword'", "price is always float"),
        ("[fields]\npictures = 'keyword'", "pictures cannot be filtered"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(text)
    with pytest.raises(StartupProblem, match=named):
        read_schema(path)
    with pytest.raises(StartupProblem, match="missing"):
        read_schema(tmp_path / "missing.toml")


def test_words_of_a_csv_become_what_is_declared(fields: dict[str, FieldType]) -> None:
    words = item(sizes=("40", "41"), weight="1.5", in_stock="TRUE", added="2026-01-31t09:30:00z",
                 colour="3", free="4")  # fmt: skip
    assert typed(words, fields).attributes == {
        "sizes": (40, 41),
        "weight": 1.5,
        "in_stock": True,
        "added": "2026-01-31T09:30:00+00:00",
        "colour": "3",
        "free": "4",
    }
    whole = item(sizes=40, weight=2, in_stock=False)
    assert typed(whole, fields) == whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sizes", "large"), ("sizes", 1.5), ("sizes", True), ("sizes", (1, "x")),
        ("weight", "heavy"), ("weight", "nan"), ("in_stock", 1), ("in_stock", "perhaps"),
        ("added", "yesterday"), ("added", 5), ("colour", 5), ("care", False),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named(
    fields: dict[str, FieldType], name: str, value: Attribute
) -> None:
    with pytest.raises(CatalogInvalid, match=f"attributes.{name}") as caught:
        typed(item(**{name: value}), fields)
    assert caught.value.field == f"attributes.{name}"
