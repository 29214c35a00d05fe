"""Pairs of picture and text, read from JSONL or CSV.

A row is `{"image": path, "text": str or [str], "group": product id, "split": "train" | "heldout",
"weight": 1}`.
`weight` says how often a picture is drawn, in comparison with the others of its product.
`group` and `split` may be missing: a row is then a product of its own, and a fixed share of the
products, chosen by the hash of the group, is held out. In CSV several texts are separated by `|`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.finetune.errors import BadPairs

SPLITS = ("train", "heldout")


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of one product, and the texts that describe it.

    Attributes:
        image: path of the picture.
        texts: at least one, none of them empty.
        group: the product; pictures of one group are positives of each other.
        held_out: kept from training, to judge the model by.
        weight: how often training draws it, in comparison with the product's other pictures.
    """

    image: Path
    texts: tuple[str, ...]
    group: str
    held_out: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Product:
    """What training draws from: all pictures of one group, as row numbers, and all its texts.

    `weights` are in the order of `rows`.
    """

    rows: tuple[int, ...]
    texts: tuple[str, ...]
    weights: tuple[float, ...]


def read_rows(path: Path, heldout_share: float) -> list[Row]:
    """Rows in the order of the file; relative picture paths are relative to the file's folder.

    Args:
        heldout_share: share of the products to hold out, 0 to 1, for rows that do not say.

    Raises:
        BadPairs: no such file, or a row lacks a picture or a text; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            records = _csv_records(lines) if path.suffix == ".csv" else _jsonl_records(lines, path)
            return [_row(record, path, number, heldout_share) for number, record in records]
    except OSError as exc:
        raise BadPairs(f"{path} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise BadPairs(f"{path} is not UTF-8 text: {exc.reason} at byte {exc.start}.") from exc


def products_of(rows: Iterable[tuple[int, Row]]) -> list[Product]:
    """Rows gathered by group, groups in order of first appearance."""
    pictures: dict[str, dict[int, float]] = {}
    texts: dict[str, dict[str, None]] = {}
    for number, row in rows:
        pictures.setdefault(row.group, {})[number] = row.weight
        texts.setdefault(row.group, {}).update(dict.fromkeys(row.texts))
    return [
        Product(tuple(weights), tuple(texts[group]), tuple(weights.values()))
        for group, weights in pictures.items()
    ]


def _jsonl_records(lines: Iterable[str], path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as exc:
            raise BadPairs(f"{path}, line {number}: not JSON ({exc.msg}).") from exc
        if not isinstance(record, dict):
            raise BadPairs(f"{path}, line {number}: expected an object with image and text.")
        yield number, record


def _csv_records(lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(lines)
    for record in reader:
        texts = (record.get("text") or "").split("|")
        yield reader.line_num, {**record, "text": texts}


def _row(record: Mapping[str, Any], path: Path, number: int, heldout_share: float) -> Row:
    image, text = record.get("image"), record.get("text")
    if not isinstance(image, str) or not image:
        raise BadPairs(f'{path}, line {number}: "image" must be the path of a picture.')
    listed = [text] if isinstance(text, str) else text
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise BadPairs(f'{path}, line {number}: "text" must be a text or a list of texts.')
    texts = tuple(item.strip() for item in listed if item.strip())
    if not texts:
        raise BadPairs(f'{path}, line {number}: "text" is empty.')
    group = str(record.get("group") or image)
    split = record.get("split") or ("heldout" if _falls_in(group, heldout_share) else "train")
    if split not in SPLITS:
        raise BadPairs(f'{path}, line {number}: "split" must be one of {", ".join(SPLITS)}.')
    return Row(path.parent / image, texts, group, split == "heldout", _weight(record, path, number))


def _weight(record: Mapping[str, Any], path: Path, number: int) -> float:
    try:
        weight = float(record.get("weight") or 1)
    except (TypeError, ValueError):
        weight = math.nan
    if not 0 < weight < math.inf:
        raise BadPairs(f'{path}, line {number}: "weight" must be a number above 0.')
    return weight


def _falls_in(group: str, share: float) -> bool:
    digest = hashlib.sha256(group.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
