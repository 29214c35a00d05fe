"""What a benchmark is of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Subject:
    """A release in its model repository, and the folder for what a benchmark keeps. `int8` is the
    same model's release in int8, if there is one; `items` another size of the catalogue for the
    engine."""

    state: Path
    repository: Path
    release: str
    int8: str | None = None
    items: int | None = None
