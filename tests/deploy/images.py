"""What the tests of images share: a Dockerfile's instructions, and image names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILES = ("Dockerfile", "export/Dockerfile", "loadtest/Dockerfile")

# host/path:tag, or with a digest. A tag must name one version: `latest` or `3` move.
_PINNED = re.compile(r"[^\s:@]+(:v?\d+\.\d+[\w.\-]*|@sha256:[0-9a-f]{64})")


def pinned(image: str) -> bool:
    """Whether an image's name says which version it is, at least to the minor one."""
    return _PINNED.fullmatch(image) is not None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a Dockerfile: its base, and its instructions in order."""

    base: str
    instructions: tuple[tuple[str, str], ...]

    def last(self, name: str) -> str:
        """The argument of the last instruction of that name; KeyError if there is none."""
        return dict(self.instructions)[name]


def stages(path: str) -> list[Stage]:
    """The stages of a Dockerfile of this project."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / path).read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    told = [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]
    starts = [at for at, (name, _) in enumerate(told) if name == "FROM"]
    return [
        Stage(told[start][1].split()[0], tuple((n, v) for n, v in told[start + 1 : end]))
        for start, end in zip(starts, [*starts[1:], len(told)], strict=True)
    ]
