"""From the file of pairs to pixels, products and a held-out set."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from export.finetune.errors import TooFewPairs
from export.finetune.heldout import HeldOut, held_out_set
from export.finetune.jpeg import BLOCK
from export.finetune.model import Clip
from export.finetune.options import Options
from export.finetune.pairs import Product, Row, products_of
from export.finetune.pixels import Pixels, Unreadable, pixel_file
from export.finetune.training import TrainingSet

MARGIN = 1.25
"""Training pictures are kept this much larger than the model's input: a crop stays sharp."""

SKIPPED_FILE = "skipped.jsonl"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run works on."""

    training: TrainingSet
    held_out: HeldOut
    skipped: tuple[Unreadable, ...]


def prepare(rows: Sequence[Row], clip: Clip, options: Options) -> Prepared:
    """Decode the pictures; those that cannot be read are left out, and listed in `skipped.jsonl`.

    Raises:
        TooFewPairs: fewer products than a batch has, or none held out.
    """
    train = [row for row in rows if not row.held_out]
    held = [row for row in rows if row.held_out]
    side = _working_px(clip.size_px)
    seen, seen_bad = _decoded(train, (side, side, 4), _training_pixels(side), "train", options)
    kept, kept_bad = _decoded(
        held, (clip.size_px, clip.size_px, 3), serving_pixels(clip.preprocess), "heldout", options
    )
    skipped = (*seen_bad.values(), *kept_bad.values())
    _write_skipped(skipped, options.out_dir)
    products = products_of((i, row) for i, row in enumerate(train) if i not in seen_bad)
    held_products = products_of((i, row) for i, row in enumerate(held) if i not in kept_bad)
    _check(products, held_products, options, len(skipped))
    order = [i for product in held_products for i in product.rows]
    held_out = held_out_set(held_products, kept[order], clip.tokenize)
    return Prepared(TrainingSet(products, seen), held_out, skipped)


def serving_pixels(preprocess: PreprocessCfg) -> Callable[[Image.Image], Pixels]:
    """Pictures by the model's own preprocessing, before normalising: uint8 [side, side, 3]."""
    plain = replace(preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    transform = image_transform_v2(plain, is_train=False)

    def convert(picture: Image.Image) -> Pixels:
        tensor = transform(on_white(picture))
        pixels: Pixels = (tensor * 255).round().byte().permute(1, 2, 0).numpy()
        return pixels

    return convert


def _working_px(size_px: int) -> int:
    return math.ceil(size_px * MARGIN / BLOCK) * BLOCK


def _training_pixels(side: int) -> Callable[[Image.Image], Pixels]:
    """The middle of the picture as RGBA: transparent ones are put on many backgrounds."""

    def convert(picture: Image.Image) -> Pixels:
        rgba = picture.convert("RGBA")
        scale = side / min(rgba.size)
        size = (max(side, round(rgba.width * scale)), max(side, round(rgba.height * scale)))
        resized = rgba.resize(size, Image.Resampling.BICUBIC)
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        return np.asarray(resized.crop((left, top, left + side, top + side)))

    return convert


def on_white(picture: Image.Image) -> Image.Image:
    """RGB, with white where the picture is transparent, as serving does it."""
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _decoded(
    rows: Sequence[Row],
    shape: tuple[int, int, int],
    convert: Callable[[Image.Image], Pixels],
    name: str,
    options: Options,
) -> tuple[Pixels, dict[int, Unreadable]]:
    decoded = pixel_file(
        [row.image for row in rows], shape, convert, options.out_dir / "pixels", name
    )
    return decoded.pixels, decoded.unreadable


def _write_skipped(skipped: Sequence[Unreadable], folder: Path) -> None:
    lines = (json.dumps({"image": str(bad.image), "reason": bad.reason}) + "\n" for bad in skipped)
    (folder / SKIPPED_FILE).write_text("".join(lines), encoding="utf-8")


def _check(
    products: Sequence[Product], held: Sequence[Product], options: Options, skipped: int
) -> None:
    wanted = options.schedule.products_per_batch
    without = f" ({skipped} pictures could not be read, see {SKIPPED_FILE})" if skipped else ""
    if len(products) < wanted:
        raise TooFewPairs(
            f"{options.data} has {len(products)} products to train on{without}, fewer "
            f"than one batch of {wanted}; lower --batch."
        )
    if not held:
        raise TooFewPairs(
            f"{options.data} has no readable held-out product{without}; raise --heldout-share."
        )
