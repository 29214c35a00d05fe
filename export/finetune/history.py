"""How a run went: the figures of each evaluation, as a table and as a picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from export.finetune.files import write_atomically


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures at one step.

    Attributes:
        step: optimiser steps done.
        loss: mean training loss since the last evaluation.
        text_to_picture: held-out recall@10, 0 to 1.
        picture_to_picture: held-out recall@10, 0 to 1; NaN without products of several pictures.
        score: mean of the two; the best weights are those with the highest.
        learning_rate: at this step.
        pictures_per_second: training speed since the last evaluation.
    """

    step: int
    loss: float
    text_to_picture: float
    picture_to_picture: float
    score: float
    learning_rate: float
    pictures_per_second: float


def write_csv(history: Sequence[Evaluation], path: Path) -> None:
    """One line for each evaluation."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            table = csv.DictWriter(out, [field.name for field in fields(Evaluation)])
            table.writeheader()
            table.writerows(asdict(item) for item in history)

    write_atomically(path, write)


def write_curve(history: Sequence[Evaluation], path: Path) -> None:
    """Loss (left axis) and held-out recall@10 (right axis) over the steps, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    loss_axis = figure.subplots()
    recall_axis = loss_axis.twinx()
    steps = [item.step for item in history]
    loss_axis.plot(steps, [item.loss for item in history], color="tab:gray", label="training loss")
    recall_axis.plot(steps, [item.text_to_picture for item in history], label="text → picture")
    recall_axis.plot(
        steps, [item.picture_to_picture for item in history], label="picture → picture"
    )
    loss_axis.set(xlabel="step", ylabel="training loss")
    recall_axis.set(ylabel="held-out recall@10", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=3)
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", dpi=120))
