"""What a precision costs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.errors import ExportRefused
from export.examples import Examples
from export.finetune.heldout import Recall
from export.onnx_graph import GraphInput, write_graph
from export.precision_cost import (
    MOST_RECALL_LOSS,
    Graphs,
    PrecisionCost,
    Speed,
    precision_cost,
    require_recall,
)
from export.tensor_names import IMAGE_INPUT, TEXT_INPUT
from gateway.domain.release import Precision

PRODUCTS = 30


class Angle(nn.Module):
    """A tower whose vector turns with the first number of its input, in steps of `step` degrees."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self._step = step

    def forward(self, rows: Tensor) -> Tensor:
        degrees = torch.round(rows.flatten(1)[:, 0].float() * 12 / self._step) * self._step
        return torch.stack(
            [torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))], 1
        )


def graphs(folder: Path, step: float) -> Graphs:
    paths = []
    for name, example in (
        (IMAGE_INPUT, torch.zeros(2, 1, 1, 3, dtype=torch.uint8)),
        (TEXT_INPUT, torch.ones(2, 8, dtype=torch.int64)),
    ):
        (folder / name).mkdir(parents=True)
        paths.append(
            write_graph(Angle(step), GraphInput(name, example, {0: "batch"}), folder / name)
        )
    return Graphs(*paths)


def examples() -> Examples:
    """Product n has a picture and a text that both start with n: 12 degrees apart."""
    numbers = np.arange(PRODUCTS)
    pixels = np.zeros((PRODUCTS, 1, 1, 3), np.uint8)
    pixels[:, 0, 0, 0] = numbers
    return Examples(pixels, numbers, tuple(np.full(8, n) for n in numbers), numbers)


def test_recall_is_lost_where_vectors_of_different_products_fall_together(tmp_path: Path) -> None:
    fine, coarse = graphs(tmp_path / "fine", 1), graphs(tmp_path / "coarse", 180)
    same = precision_cost(fine, fine, Precision.INT8, examples())
    assert (same.fp32.text_to_picture, same.recall_loss) == (1, 0)
    assert same.least_cosine == pytest.approx(1)
    assert math.isnan(same.fp32.picture_to_picture), "no product has a second picture"
    worse = precision_cost(fine, coarse, Precision.INT8, examples())
    assert worse.recall_loss > 0.2
    assert worse.least_cosine == pytest.approx(math.cos(math.radians(84)), abs=1e-4)
    assert (worse.pictures, worse.texts) == (PRODUCTS, PRODUCTS)
    assert min(worse.image_speed.fp32_ms, worse.text_speed.lowered_ms) > 0


def cost(lowered: float) -> PrecisionCost:
    speed = Speed(2.0, 1.0)
    recalls = Recall(0.8, 0.9), Recall(lowered, 0.9)
    return PrecisionCost(1000, 1000, *recalls, 0.99, speed, speed)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_precision_may_lose_half_a_percent_and_no_more(precision: Precision) -> None:
    require_recall(cost(0.8 + 0.1), precision, MOST_RECALL_LOSS)
    require_recall(cost(0.8 - 0.0099), precision, MOST_RECALL_LOSS)
    with pytest.raises(ExportRefused, match=f"{precision} loses 0.0055 of recall@10: 0.8445"):
        require_recall(cost(0.8 - 0.011), precision, MOST_RECALL_LOSS)
