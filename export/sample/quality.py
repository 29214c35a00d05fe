"""How good a sample model is, on a design and on objects that it never saw.

Every figure is a share of queries, 0 to 1, found by exact search over unit vectors.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from export.finetune.heldout import hits
from export.finetune.model import Clip, normaliser, opened_folder, picture_vectors, text_vectors
from export.finetune.preparation import on_white, serving_pixels
from export.sample.designs import CATALOGUE_DESIGN, DESIGNS, Role

TURN_DEGREES = 10
PHOTO_PX = 96
PHOTO_QUALITY = 70
CHUNK = 256


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of queries.

    Attributes:
        queries: how many objects were asked for.
        text_to_picture: recall@10; query: the title; gallery: the test design, all its objects.
        picture_to_picture: recall@10; query: the test design; gallery: the whole catalogue.
        picture_to_picture_first: the same, at rank 1.
        photo_finds_itself: a catalogue picture turned, made smaller and compressed finds itself at
            rank 1 of the whole catalogue.
    """

    queries: int
    text_to_picture: float
    picture_to_picture: float
    picture_to_picture_first: float
    photo_finds_itself: float


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures over all objects, and over those that were held out of training."""

    all_objects: Figures
    held_out_objects: Figures


@torch.inference_mode()
def quality(model_dir: Path, data_dir: Path) -> Quality:
    """Judge a finished model by the files that `sample-data` wrote."""
    clip = opened_folder(model_dir)
    encode = _Encoder(clip)
    test_design = next(design.name for design in DESIGNS if design.role is Role.TEST)
    rows = _rows(data_dir, "train.jsonl") + _rows(data_dir, "test.jsonl")
    catalogue = [row for row in rows if row["design"] == CATALOGUE_DESIGN]
    place = {row["group"]: i for i, row in enumerate(catalogue)}
    test = [row for row in rows if row["design"] == test_design and row["group"] in place]
    shown = encode.pictures([_open(data_dir, row) for row in catalogue])
    asked = encode.pictures([_open(data_dir, row) for row in test])
    titles = encode.texts([row["text"][0] for row in test])
    photos = encode.pictures([photographed(_open(data_dir, row)) for row in catalogue])
    own = torch.arange(len(test))
    at = torch.tensor([place[row["group"]] for row in test])
    everywhere = torch.arange(len(catalogue))
    by_title = hits(titles @ asked.T, own, own, k=10)
    by_picture = hits(asked @ shown.T, at, everywhere, k=10)
    by_picture_first = hits(asked @ shown.T, at, everywhere, k=1)
    itself = hits(photos @ shown.T, everywhere, everywhere, k=1)

    def figures(tests: Tensor, items: Tensor) -> Figures:
        return Figures(
            queries=int(tests.sum()),
            text_to_picture=_share(by_title[tests]),
            picture_to_picture=_share(by_picture[tests]),
            picture_to_picture_first=_share(by_picture_first[tests]),
            photo_finds_itself=_share(itself[items]),
        )

    unseen_tests, unseen_items = (
        torch.tensor([row["held_out_object"] for row in some]) for some in (test, catalogue)
    )
    everything = figures(torch.ones_like(unseen_tests), torch.ones_like(unseen_items))
    return Quality(everything, figures(unseen_tests, unseen_items))


def photographed(picture: Image.Image) -> Image.Image:
    """The picture on white, turned by 10°, made smaller and compressed as JPEG."""
    turned = on_white(picture).rotate(
        TURN_DEGREES, resample=Image.Resampling.BICUBIC, fillcolor="white"
    )
    small = turned.resize((PHOTO_PX, PHOTO_PX), Image.Resampling.BICUBIC)
    compressed = io.BytesIO()
    small.save(compressed, format="JPEG", quality=PHOTO_QUALITY)
    return Image.open(compressed)


def _share(found: Tensor) -> float:
    return float(found.float().mean())


class _Encoder:
    """Pictures and texts to unit vectors, chunk by chunk."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._network = clip.network.eval()
        self._normalise = normaliser(clip.preprocess, torch.device("cpu"))
        self._pixels = serving_pixels(clip.preprocess)

    def pictures(self, pictures: Sequence[Image.Image]) -> Tensor:
        """[n, dim]."""
        pixels = torch.from_numpy(np.stack([self._pixels(picture) for picture in pictures]))
        chunks = torch.split(pixels.permute(0, 3, 1, 2).float() / 255, CHUNK)
        return torch.cat([picture_vectors(self._network, self._normalise(x)) for x in chunks])

    def texts(self, texts: list[str]) -> Tensor:
        """[n, dim]."""
        chunks = torch.split(self._clip.tokenize(texts), CHUNK)
        return torch.cat([text_vectors(self._network, chunk) for chunk in chunks])


def _rows(data_dir: Path, name: str) -> list[dict[str, Any]]:
    lines = (data_dir / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _open(data_dir: Path, row: dict[str, Any]) -> Image.Image:
    return Image.open(data_dir / row["image"])
