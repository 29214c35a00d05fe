"""A catalogue's schema: which fields can be filtered, and what they hold.

A TOML file with one table; a name is an attribute's, or one of an item's own fields:

    [fields]
    colour = "keyword"
    in_stock = "bool"
    added = "datetime"

The types are those of `gateway.domain.filters.FieldType`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gateway.domain.errors import CatalogInvalid, StartupProblem
from gateway.domain.filters import FieldType, moment
from gateway.domain.items import Attribute, Item, Scalar
from gateway.domain.payload import BASE_FIELDS, ITEM_FIELDS

PREFIX = "attributes."

_TRUTHS = {"true": True, "false": False}
# An attribute is a number, a word or a truth: a place has the item's own field, `location`.
_TYPES = tuple(kind for kind in FieldType if kind is not FieldType.GEO)


def read_schema(path: Path) -> Mapping[str, FieldType]:
    """The declared fields by filter key, such as `attributes.colour`.

    StartupProblem, naming what is wrong, for a file that cannot be read or says anything else.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise StartupProblem(f"{path} cannot be read as TOML: {exc}.") from exc
    fields = document.pop("fields", None)
    if document or not isinstance(fields, dict):
        raise StartupProblem(f"{path} has one table, [fields], with lines like colour = 'keyword'.")
    return dict(_field(path, name, kind) for name, kind in fields.items())


def typed(item: Item, fields: Mapping[str, FieldType]) -> Item:
    """The item with its declared attributes as their types; "3" is made 3, for CSV knows no types.

    CatalogInvalid, naming the attribute, for a value that is of no such type.
    """
    attributes: dict[str, Attribute] = dict(item.attributes)
    for key, kind in fields.items():
        name = key.removeprefix(PREFIX)
        value = attributes.get(name) if key.startswith(PREFIX) else None
        if isinstance(value, tuple):
            attributes[name] = tuple(_typed(v, kind, key) for v in value)
        elif value is not None:
            attributes[name] = _typed(value, kind, key)
    return replace(item, attributes=attributes)


def _field(path: Path, name: str, kind: object) -> tuple[str, FieldType]:
    if name in ITEM_FIELDS:
        fixed = BASE_FIELDS.get(name)
        if fixed is None or kind != fixed:
            says = f"is always {fixed}" if fixed else "cannot be filtered"
            raise StartupProblem(f"{path}: {name} {says}: leave it out.")
        return name, fixed
    if kind not in _TYPES:
        raise StartupProblem(f"{path}: {name} = {kind!r} is no type. Types: {', '.join(_TYPES)}.")
    return PREFIX + name.removeprefix(PREFIX), FieldType(str(kind))


def _typed(value: Scalar, kind: FieldType, key: str) -> Scalar:
    try:
        return _converted(value, kind)
    except ValueError as exc:
        raise CatalogInvalid(f"{key} is {value!r}, not of type {kind}.", field=key) from exc


def _converted(value: Scalar, kind: FieldType) -> Scalar:
    """`value` as a `kind`; ValueError if it is none."""
    if kind is FieldType.BOOL:
        return value if isinstance(value, bool) else _truth(value)
    if isinstance(value, bool):
        raise ValueError
    if kind is FieldType.INTEGER and isinstance(value, int | str):
        return int(value)
    if kind is FieldType.FLOAT:
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
        return value if isinstance(value, int) else number
    if not isinstance(value, str):
        raise ValueError
    return moment(value).isoformat() if kind is FieldType.DATETIME else value


def _truth(value: Scalar) -> bool:
    try:
        return _TRUTHS[str(value).lower()]
    except KeyError as exc:
        raise ValueError from exc
