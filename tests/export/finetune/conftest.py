"""A shop of twelve products with two pictures each, and a model that trains in a second."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from export.finetune.options import Augmentation, ModelSource, Options, Schedule

PRODUCTS = 12


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models this small wait for their threads longer than they compute."""
    torch.set_num_threads(1)


TINY_CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 32,
            "patch_size": 16,
            "layers": 1,
            "width": 32,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 12,
            "width": 32,
            "heads": 2,
            "layers": 2,
            "pool_type": "eos",
            "eos_id": 2,
        },
    },
    "preprocess_cfg": {"size": [32, 32], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}


def write_picture(path: Path, product: int, view: int) -> None:
    """A disc or a square on a transparent ground; the hue tells the product."""
    picture = Image.new("RGBA", (40 + 8 * view, 40), (0, 0, 0, 0))
    red, green, blue = (
        round(255 * part) for part in colorsys.hsv_to_rgb(product / PRODUCTS, 1, 0.9)
    )
    draw = ImageDraw.Draw(picture)
    shape = draw.ellipse if product % 2 else draw.rectangle
    shape((6, 6, 34, 34), fill=(red, green, blue, 255))
    picture.save(path)


@pytest.fixture(name="shop")
def a_shop(tmp_path: Path) -> Path:
    """Pairs of pictures and texts; a quarter of the products is held out."""
    rows = []
    for product in range(PRODUCTS):
        for view in range(2):
            name = f"{product}-{view}.png"
            write_picture(tmp_path / name, product, view)
            split = "heldout" if product % 4 == 0 else "train"
            texts = [f"thing number {product}", f"a photo of thing {product}"]
            rows.append({"image": name, "text": texts, "group": str(product), "split": split})
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(name="tiny_config")
def a_tiny_config(tmp_path: Path) -> Path:
    """A ViT of one layer and a text tower of two."""
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY_CONFIG))
    return path


@pytest.fixture(name="options")
def some_options(shop: Path, tiny_config: Path, tmp_path: Path) -> Options:
    """A run of six steps, evaluated every two."""
    return Options(
        data=shop,
        out_dir=tmp_path / "out",
        source=ModelSource(config=tiny_config, vocabulary_size=300),
        schedule=Schedule(
            steps=6,
            products_per_batch=8,
            learning_rate=1e-3,
            warmup_steps=2,
            evaluate_every=2,
            seed=7,
        ),
        augmentation=Augmentation(),
    )
