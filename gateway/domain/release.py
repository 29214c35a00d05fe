"""A release: two towers, preprocessing, tokenizer and golden vectors that belong together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum


class Precision(StrEnum):
    """The numbers in which the towers compute. It is baked into the ONNX graphs."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class ResizeMode(StrEnum):
    """How a picture becomes the tower's size; the names are open_clip's."""

    SHORTEST = "shortest"  # the short side fits, the rest is cropped from the centre
    LONGEST = "longest"  # the long side fits, the rest is filled
    SQUASH = "squash"  # both sides fit, proportions are lost


class Interpolation(StrEnum):
    """Resampling filter, with antialiasing when shrinking."""

    BICUBIC = "bicubic"
    BILINEAR = "bilinear"


class TextClean(StrEnum):
    """What happens to a string before the tokenizer; the names are open_clip's."""

    NONE = "none"
    LOWER = "lower"
    WHITESPACE = "whitespace"
    CANONICALIZE = "canonicalize"


# Least cosine between PyTorch's golden vectors and the live server's, by precision.
# Below these, recall@10 visibly differs; see docs/releases.md.
PARITY_FLOOR: Mapping[Precision, float] = {
    Precision.FP32: 0.999,
    Precision.FP16: 0.995,
    Precision.INT8: 0.98,
}


@dataclass(frozen=True, slots=True)
class ImageTower:
    """The image half. Takes UINT8 `[batch, height_px, width_px, 3]` in RGB."""

    model: str
    height_px: int
    width_px: int
    resize_mode: ResizeMode
    interpolation: Interpolation
    fill: int = 0  # grey level around the picture in `longest`


@dataclass(frozen=True, slots=True)
class TextTower:
    """The text half. Takes INT64 `[batch, tokens]`, padded with `pad_id` to one of `buckets`.

    `buckets` ascend and end with the context length. A tower whose vector depends on padding
    has that one bucket only. `end_id` closes every sequence that had to be cut. `zeroed_id`, a
    token's own number in a few models, becomes 0 wherever it stands.
    """

    model: str
    buckets: tuple[int, ...]
    pad_id: int
    end_id: int | None
    clean: TextClean
    zeroed_id: int | None = None

    @property
    def context_length(self) -> int:
        """The most tokens that the tower takes."""
        return self.buckets[-1]


@dataclass(frozen=True, slots=True)
class Release:
    """The manifest of a release. `digests` maps each file beside or below the manifest to its
    SHA-256; `fingerprint` covers weights, tokenizer, preprocessing and precision.

    `weights` maps `image/model.onnx`, `text/model.onnx` (and `….data` where a graph is too big for
    one file) to their SHA-256: the graphs that every target is made from, so that a TensorRT
    release has the fingerprint of the ONNX release that it was built from.
    """

    id: str
    architecture: str
    dim: int
    precision: Precision
    target: str
    image: ImageTower
    text: TextTower
    tokenizer_file: str
    golden_file: str
    fingerprint: str
    digests: Mapping[str, str]
    weights: Mapping[str, str]

    @property
    def models(self) -> tuple[str, str]:
        """What Triton must have loaded: the image and the text tower."""
        return self.image.model, self.text.model


def fingerprint(
    weights: Mapping[str, str],
    tokenizer_digest: str,
    image: ImageTower,
    text: TextTower,
    precision: Precision,
) -> str:
    """The SHA-256 that two releases share exactly when their vectors may meet.

    Left out, because the vectors do not depend on them: the models' names, and the buckets below
    the context length.
    """
    pixels = asdict(image)
    del pixels["model"]
    parts = {
        "weights": dict(weights),
        "tokenizer": tokenizer_digest,
        "image": pixels,
        "text": {
            "context_length": text.context_length,
            "pad_id": text.pad_id,
            "end_id": text.end_id,
            "clean": text.clean,
            "zeroed_id": text.zeroed_id,
        },
        "precision": precision,
    }
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
