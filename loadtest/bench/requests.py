"""What is asked of the gateway in a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from gateway.local.sample_catalog import SampleItem
from loadtest.bench.closed_loop import raw
from loadtest.http_caller import request_of
from loadtest.photos import SIZES, photo
from loadtest.picture_folder import CatalogEntry
from loadtest.workload import Ask, Kind, texts

PICTURES = 40


def uploads(items: Sequence[SampleItem], state: Path) -> list[bytes]:
    """Searches by PICTURES distinct JPEGs of 640 x 480, made of the drawings in `state`."""
    requests = []
    for number, sample in enumerate(items[:: len(items) // PICTURES][:PICTURES]):
        path = state / f"{number}.jpg"
        with Image.open(state / "drawings" / sample.item.pictures[0]) as subject:
            path.write_bytes(photo(subject, SIZES["vga"], 1, number))
        requests.append(_raw(Ask(Kind.IMAGE, picture=path)))
    return requests


def words(items: Sequence[SampleItem]) -> Iterator[str]:
    """Thousands of texts that shoppers of this catalogue could type, none of them twice."""
    entries = [
        CatalogEntry(s.item.id, s.item.title, s.item.category, s.item.brand, "") for s in items
    ]
    return iter(texts(entries, 1))


def search_by(text: str) -> bytes:
    """The search by these words."""
    return _raw(Ask(Kind.TEXT, text))


def _raw(ask: Ask) -> bytes:
    return raw(*request_of(ask))
