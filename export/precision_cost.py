"""What a precision costs: the recall that its graphs lose against those in fp32."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.errors import ExportRefused
from export.examples import Examples
from export.finetune.heldout import Recall, recall_of_vectors
from export.onnx_graph import GraphRunner
from gateway.domain.release import Precision
from gateway.domain.vectors import Batch

# The most recall@10 that may be lost, unless the exporter is told otherwise. Among a thousand
# queries, five may change sides by chance; what loses more is visibly worse.
MOST_RECALL_LOSS = 0.005

TIMED_RUNS = 21

Rows = NDArray[np.uint8] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Graphs:
    """Both towers as ONNX files."""

    image: Path
    text: Path


@dataclass(frozen=True, slots=True)
class Speed:
    """What a batch of BATCH rows takes on this machine's CPU, in milliseconds: medians of runs
    that took turns."""

    fp32_ms: float
    lowered_ms: float


@dataclass(frozen=True, slots=True)
class PrecisionCost:
    """Recall@10 on products that the calibration did not see, before and after, and the speed.

    `least_cosine` is between the two vectors of one input, over all pictures and texts.
    """

    pictures: int
    texts: int
    fp32: Recall
    lowered: Recall
    least_cosine: float
    image_speed: Speed
    text_speed: Speed

    @property
    def recall_loss(self) -> float:
        """How much of the score, the mean of both recalls, is lost; below 0 if it is better."""
        return self.fp32.score - self.lowered.score


@dataclass(frozen=True, slots=True)
class _Towers:
    image: GraphRunner
    text: GraphRunner


@dataclass(frozen=True, slots=True)
class _Vectors:
    pictures: Batch
    texts: Batch


def precision_cost(
    fp32: Graphs, lowered: Graphs, precision: Precision, judged: Examples
) -> PrecisionCost:
    """Encodes everything with both pairs of graphs and searches exactly."""
    before, after = _opened(fp32, Precision.FP32), _opened(lowered, precision)
    old, new = _encoded(before, judged), _encoded(after, judged)
    cosines = [
        np.einsum("nd,nd->n", old.pictures, new.pictures),
        np.einsum("nd,nd->n", old.texts, new.texts),
    ]
    _, texts = next(judged.text_batches())
    return PrecisionCost(
        pictures=len(judged.pixels),
        texts=len(judged.texts),
        fp32=_recall(old, judged),
        lowered=_recall(new, judged),
        least_cosine=float(np.concatenate(cosines).min()),
        image_speed=_speed(before.image, after.image, next(judged.image_batches())),
        text_speed=_speed(before.text, after.text, texts),
    )


def require_recall(cost: PrecisionCost, precision: Precision, most_loss: float) -> None:
    """Raises ExportRefused if the precision loses more recall than it may."""
    if not cost.recall_loss <= most_loss:  # NaN fails too
        raise ExportRefused(
            f"{precision} loses {cost.recall_loss:.4f} of recall@10: {cost.lowered.score:.4f}, and "
            f"{cost.fp32.score:.4f} in fp32, with {cost.texts} texts and {cost.pictures} "
            f"pictures. The limit is {most_loss}; export this model in another precision."
        )


def _opened(graphs: Graphs, precision: Precision) -> _Towers:
    return _Towers(GraphRunner(graphs.image, precision), GraphRunner(graphs.text, precision))


def _encoded(towers: _Towers, examples: Examples) -> _Vectors:
    pictures = np.concatenate([towers.image(batch) for batch in examples.image_batches()])
    texts = np.empty((len(examples.texts), pictures.shape[1]), np.float32)
    for numbers, batch in examples.text_batches():
        texts[numbers] = towers.text(batch)
    return _Vectors(pictures, texts)


def _speed(before: GraphRunner, after: GraphRunner, batch: Rows) -> Speed:
    """Taking turns, so that whatever else the machine does slows both alike."""
    taken_s: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMED_RUNS):
        for run, times_s in zip((before, after), taken_s, strict=True):
            started_s = time.perf_counter()
            run(batch)
            times_s.append(time.perf_counter() - started_s)
    return Speed(*(float(np.median(times_s)) * 1e3 for times_s in taken_s))


def _recall(vectors: _Vectors, examples: Examples) -> Recall:
    return recall_of_vectors(
        torch.from_numpy(vectors.pictures),
        torch.from_numpy(examples.groups),
        torch.from_numpy(vectors.texts),
        torch.from_numpy(examples.text_groups),
    )
