"""A folder of small uploads, made from a toy catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.make_pictures import make
from loadtest.picture_folder import CatalogEntry, PictureFolder
from tests.fakes import COLOURS, picture
from tests.shop import ITEMS

SHARES = {"thumbnail": 75, "vga": 25}


def toy_catalog(source: Path) -> tuple[CatalogEntry, ...]:
    """The toy shop's items; their pictures are put below `source`."""
    source.mkdir()
    for colour in COLOURS:
        (source / f"{colour}.png").write_bytes(picture(colour))
    return tuple(CatalogEntry(i.id, i.title, i.category, i.brand, i.pictures[0]) for i in ITEMS)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> PictureFolder:
    """Eight pictures of the toy shop's items."""
    path = tmp_path_factory.mktemp("uploads")
    entries = toy_catalog(path / "source")
    wanted = PictureFolder(path, 1, SHARES, entries, ())
    return make(wanted, path / "source", 8, 1, lambda _: None)
