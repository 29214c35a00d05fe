"""A file of pairs with as many held-out products as judging a precision asks for."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path

from PIL import Image, ImageDraw

from export.examples import LEAST_JUDGED_PRODUCTS


def write_pairs(folder: Path, held_out: int = LEAST_JUDGED_PRODUCTS, train: int = 24) -> Path:
    """Products of two pictures each, told apart by hue, shape and size; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for product in range(held_out + train):
        for view in range(2):
            name = f"{product}-{view}.png"
            _picture(product, view, held_out + train).save(folder / name)
            split = "heldout" if product < held_out else "train"
            texts = [f"thing number {product}", f"a thing, the {product}th of many"]
            rows.append({"image": name, "text": texts, "group": str(product), "split": split})
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _picture(product: int, view: int, of: int) -> Image.Image:
    red, green, blue = colorsys.hsv_to_rgb(product / of, 1 - 0.1 * view, 0.9)
    picture = Image.new("RGB", (40, 40), "white")
    draw = ImageDraw.Draw(picture)
    shape = draw.ellipse if product % 2 else draw.rectangle
    near, far = 4 + product % 7, 36 - product % 5
    shape(
        (near, near + view, far, far),
        fill=(round(255 * red), round(255 * green), round(255 * blue)),
    )
    return picture
