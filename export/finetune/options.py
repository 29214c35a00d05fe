"""What a run is asked to do: frozen, so that it can be written down and compared on resume."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path


class Tower(StrEnum):
    """Which towers learn."""

    BOTH = "both"
    TEXT = "text"  # image tower locked: LiT, https://arxiv.org/abs/2111.07991
    IMAGE = "image"


class Precision(StrEnum):
    """Arithmetic of the towers."""

    FP32 = "fp32"
    BF16 = "bf16"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where the model comes from.

    Attributes:
        name: an open_clip model name, or `local-dir:FOLDER`; None with `config`.
        pretrained: an open_clip tag of published weights, or None.
        checkpoint: a file of weights to start from, or None.
        config: a JSON file with `model_cfg` and `preprocess_cfg`, to train from scratch, or None.
        image_px: side of the pictures to go on with, or None for the model's own; position
            embeddings are stretched, convolutions take it as it is.
        vocabulary_size: tokens of the vocabulary learned from the texts; with `config` only.
    """

    name: str | None = None
    pretrained: str | None = None
    checkpoint: Path | None = None
    config: Path | None = None
    image_px: int | None = None
    vocabulary_size: int = 3500


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a picture may be changed, to imitate shoppers' photos; shares are 0 to 1.

    Attributes:
        turn_degrees: largest rotation to either side.
        scale: smallest and largest size of the object, 1 being its size in the picture.
        stretch: largest change of width and, inversely, height, as a natural logarithm.
        shift: largest shift, as a share of the picture's side.
        perspective: largest tilt of the picture's plane; 0.2 is a photo taken from well aside.
        light: largest relative change of brightness, contrast and saturation.
        hue_degrees: largest turn of the colour wheel.
        grey: share of pictures that lose their colour.
        blur: share that is blurred.
        compress: share that is compressed as JPEG does.
        background: share of transparent pictures put on a colour or a gradient, not on white.
        erase: share that loses a rectangle, as behind a hand.
        mirror: share that is mirrored; 0 where left and right differ (shoes sold singly, text).
    """

    turn_degrees: float = 20.0
    scale: tuple[float, float] = (0.65, 1.15)
    stretch: float = 0.15
    shift: float = 0.12
    perspective: float = 0.15
    light: float = 0.3
    hue_degrees: float = 12.0
    grey: float = 0.08
    blur: float = 0.25
    compress: float = 0.3
    background: float = 0.4
    erase: float = 0.15
    mirror: float = 0.5

    def scaled(self, strength: float) -> Augmentation:
        """All changes but mirroring made weaker or stronger: 0 changes nothing, 1 is this."""
        smallest, largest = self.scale
        return replace(
            self,
            turn_degrees=self.turn_degrees * strength,
            scale=(smallest**strength, largest**strength),
            shift=self.shift * strength,
            perspective=min(0.3, self.perspective * strength),
            light=min(0.9, self.light * strength),
            hue_degrees=self.hue_degrees * strength,
            stretch=self.stretch * strength,
            grey=min(1.0, self.grey * strength),
            blur=min(1.0, self.blur * strength),
            compress=min(1.0, self.compress * strength),
            background=min(1.0, self.background * strength),
            erase=min(1.0, self.erase * strength),
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps, and the optimiser's numbers.

    Attributes:
        steps: optimiser steps in all.
        products_per_batch: products whose pictures and texts are compared with each other at once.
        accumulate: micro-batches that a batch is cut into, to fit in memory; the result is the same
            as with one, but for layers that look at the whole batch (BatchNorm).
        pictures_per_product: 2 makes pictures of one product positives of each other, 1 does not.
        learning_rate: at its peak, after `warmup_steps`; falls to zero along a cosine.
        weight_decay: of matrices; biases, norms and the temperature have none.
        ema_decay: of the moving average of the weights that is evaluated and published; 0 for none.
        evaluate_every: steps between evaluations, each of which writes a checkpoint.
        patience: evaluations without a better recall before the run stops.
        seed: of everything random.
    """

    steps: int = 1000
    products_per_batch: int = 128
    accumulate: int = 1
    pictures_per_product: int = 2
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.1
    ema_decay: float = 0.99
    evaluate_every: int = 100
    patience: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that decides the result of a run.

    Attributes:
        data: JSONL or CSV of pairs.
        out_dir: where the model, the report and the checkpoint go.
        heldout_share: share of products held out where the rows do not say.
        device: `cpu`, `cuda` or `cuda:N`.
        towers: which towers learn.
        unlocked_image_groups: last groups of layers of the image tower that learn, the others being
            locked; 0 lets `towers` decide alone.
        precision: arithmetic of the towers; weights, loss and optimiser are always float32.
    """

    data: Path
    out_dir: Path
    source: ModelSource
    schedule: Schedule = field(default_factory=Schedule)
    augmentation: Augmentation = field(default_factory=Augmentation)
    heldout_share: float = 0.1
    device: str = "cpu"
    towers: Tower = Tower.BOTH
    unlocked_image_groups: int = 0
    precision: Precision = Precision.FP32
