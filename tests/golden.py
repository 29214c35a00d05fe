"""Golden sets for the toy shop, and its rankings worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.api.golden_file import read_golden, write_golden
from gateway.services.golden_set import GoldenQuery
from tests.fakes import COLOURS, picture

# Between red and yellow, nearer to yellow; no two items are equally far from it.
ORANGE = (255, 128, 0)
PHOTOS = {**COLOURS, "orange": ORANGE}

# An item's cosine is that of its best picture: (r, g, b, 64) over its length, times the query's.
BY_ORANGE = ("yellow-hat", "red-shoe", "white-shirt", "green-shoe", "blue-hat")
# red-shoe and blue-hat are equally far from green: nothing depends on which of them comes first.
BY_GREEN = ("green-shoe", "yellow-hat", "white-shirt")
BY_YELLOW = ("yellow-hat", "white-shirt")


def golden_file(folder: Path, *rows: Mapping[str, Any]) -> Path:
    """A golden set as a file, beside a photo of each of PHOTOS: `{"image_file": "red.png"}`."""
    for name, colour in PHOTOS.items():
        (folder / f"{name}.png").write_bytes(picture(colour))
    write_golden(folder / "golden.jsonl", rows)
    return folder / "golden.jsonl"


def golden_set(folder: Path, *rows: Mapping[str, Any]) -> tuple[GoldenQuery, ...]:
    """The same, read."""
    return read_golden(golden_file(folder, *rows)).queries


def photo(colour: str, relevant: Mapping[str, int], **labels: str) -> dict[str, Any]:
    """A query by a photo of one colour."""
    return {"query": [{"image_file": f"{colour}.png"}], "relevant": dict(relevant), **labels}


def words(text: str, relevant: Mapping[str, int], **labels: str) -> dict[str, Any]:
    """A query by words."""
    return {"query": [{"text": text}], "relevant": dict(relevant), **labels}
