"""`lookalike-export sample-data` and `sample-quality`: the sample model's pairs and figures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from export.sample.designs import CATALOGUE_DESIGN, DESIGNS, Design, Role
from export.sample.drawings import drawings, rendered
from export.sample.objects import DrawnObject, read_objects

PICTURE_PX = 128
"""Twice the sample model's input: room to crop and turn without inventing pixels."""

CATALOGUE_WEIGHT = 4
"""How often the catalogue's own drawing is drawn, in comparison with another design's.

It is what every search ends at, and line art is the hardest to learn: with equal weights, after
450 steps, Noto's drawings found OpenMoji's among the first ten for 0.61 of the objects, while
Fluent's found Noto's for 0.81.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What one run wrote: number of objects, and of pictures by design."""

    objects: int
    pictures: Counter[str]


def sample_data(
    out_dir: Annotated[Path, typer.Argument(help="Folder for pictures and JSONL files.")],
    packages: Annotated[
        Path | None,
        typer.Option(help="Folder that keeps the downloads; OUT_DIR/packages if absent."),
    ] = None,
) -> None:
    """Render the openly licensed emoji designs; write train.jsonl and test.jsonl."""
    from rich.console import Console
    from rich.table import Table

    written = write_sample_data(out_dir, packages or out_dir / "packages")
    table = Table("design", "role", "pictures", title=f"{written.objects} objects")
    for design in DESIGNS:
        table.add_row(design.name, design.role.value, str(written.pictures[design.name]))
    Console().print(table)


def write_sample_data(
    out_dir: Path, packages: Path, designs: Sequence[Design] = DESIGNS
) -> Written:
    """Render every drawing once and write the rows, in an order that never changes."""
    from rich.progress import track

    objects = read_objects(packages)
    by_code = {item.code: item for item in objects}
    train: list[dict[str, Any]] = []
    test: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for design in designs:
        folder = out_dir / "pictures" / design.name
        folder.mkdir(parents=True, exist_ok=True)
        for drawing in track(list(drawings(design, objects, packages)), description=design.name):
            path = folder / f"{drawing.code}.png"
            rendered(drawing, PICTURE_PX).save(path)
            row = _row(by_code[drawing.code], design, path.relative_to(out_dir))
            (test if design.role is Role.TEST else train).append(row)
            counts[design.name] += 1
    _write_rows(out_dir / "train.jsonl", train)
    _write_rows(out_dir / "test.jsonl", test)
    return Written(len(objects), counts)


def _row(item: DrawnObject, design: Design, path: Path) -> dict[str, Any]:
    held_out = item.held_out or design.role is not Role.TRAIN
    return {
        "image": path.as_posix(),
        "text": item.captions,
        "group": item.code,
        "split": "heldout" if held_out else "train",
        "weight": CATALOGUE_WEIGHT if design.name == CATALOGUE_DESIGN else 1,
        "design": design.name,
        "category": item.category,
        "held_out_object": item.held_out,
    }


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    ordered = sorted(rows, key=lambda row: str(row["image"]))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ordered)
    path.write_text(lines, encoding="utf-8")


def sample_quality(
    model_dir: Annotated[Path, typer.Argument(help="Folder that finetune wrote.")],
    data_dir: Annotated[Path, typer.Argument(help="Folder that sample-data wrote.")],
    json_file: Annotated[Path | None, typer.Option(help="Write the figures here as well.")] = None,
) -> None:
    """Recall of a sample model on the design and the objects that it never saw."""
    from rich.console import Console
    from rich.table import Table

    from export.sample.quality import quality

    judged = quality(model_dir, data_dir)
    everything, unseen = asdict(judged.all_objects), asdict(judged.held_out_objects)
    table = Table("figure", "all objects", "held-out objects")
    for name, value in everything.items():
        shown = str if isinstance(value, int) else "{:.3f}".format
        table.add_row(name.replace("_", " "), shown(value), shown(unseen[name]))
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(judged), indent=2) + "\n", encoding="utf-8")
