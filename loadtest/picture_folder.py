"""The folder that `python -m loadtest.make_pictures` fills, and what its manifest says.

With it a load generator needs nothing else: no catalogue, no drawings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

MANIFEST = "manifest.json"


class BadFolder(Exception):
    """The folder is not one that make_pictures has finished; says what to do."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What the workload knows of an item. `picture` is as the catalogue names it."""

    id: str
    title: str
    category: str
    brand: str
    picture: str


@dataclass(frozen=True, slots=True)
class MadePicture:
    """A JPEG of the folder: of which size, and what it shows."""

    file: str
    size: str
    item_id: str
    size_bytes: int


@dataclass(frozen=True)
class PictureFolder:
    """A folder's contents. Pictures below `path`; `shares` are the sizes' parts in percent."""

    path: Path
    seed: int
    shares: Mapping[str, float]
    entries: tuple[CatalogEntry, ...]
    pictures: tuple[MadePicture, ...]

    def save(self) -> None:
        """Writes the manifest, whole or not at all."""
        values = {
            "seed": self.seed,
            "shares": dict(self.shares),
            "entries": [asdict(entry) for entry in self.entries],
            "pictures": [asdict(picture) for picture in self.pictures],
        }
        partial = self.path / f"{MANIFEST}.part"
        partial.write_text(json.dumps(values))
        os.replace(partial, self.path / MANIFEST)

    @classmethod
    def load(cls, path: Path) -> PictureFolder:
        """Reads the manifest; BadFolder if there is none."""
        try:
            values = json.loads((path / MANIFEST).read_text())
        except FileNotFoundError as exc:
            raise BadFolder(
                f"{path} has no pictures: `python -m loadtest.make_pictures --out {path}`."
            ) from exc
        return cls(
            path,
            values["seed"],
            values["shares"],
            tuple(CatalogEntry(**entry) for entry in values["entries"]),
            tuple(MadePicture(**picture) for picture in values["pictures"]),
        )

    def complete(self) -> PictureFolder:
        """This folder; BadFolder if making it was not finished."""
        if not self.pictures:
            raise BadFolder(f"{self.path} is not finished: run make_pictures again, it goes on.")
        return self

    def summary(self) -> str:
        """How many of which size, in one line."""
        parts = []
        for size in self.shares:
            sizes = [p.size_bytes for p in self.pictures if p.size == size]
            if sizes:
                parts.append(f"{len(sizes)} {size} ({sum(sizes) / len(sizes) / 1e3:,.0f} kB)")
        return ", ".join(parts)
