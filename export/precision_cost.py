"""What a precision costs: the recall that its graphs lose against those in fp32."""

from __future__ import annotations

from collections.abc import Callable
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

# The most recall@10 that may be lost. fp16 gave the same ranking as fp32 wherever it was measured,
# so it has the limit of int8: what loses more is broken.
MOST_RECALL_LOSS = {Precision.FP16: 0.005, Precision.INT8: 0.005}

Rows = NDArray[np.uint8] | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Graphs:
    """Both towers as ONNX files."""

    image: Path
    text: Path


@dataclass(frozen=True, slots=True)
class PrecisionCost:
    """Recall@10 on products that the calibration did not see, before and after.

    `least_cosine` is between the two vectors of one input, over all pictures and texts.
    """

    pictures: int
    texts: int
    fp32: Recall
    lowered: Recall
    least_cosine: float

    @property
    def recall_loss(self) -> float:
        """How much of the score, the mean of both recalls, is lost; below 0 if it is better."""
        return self.fp32.score - self.lowered.score


@dataclass(frozen=True, slots=True)
class _Vectors:
    pictures: Batch
    texts: Batch


def precision_cost(
    fp32: Graphs, lowered: Graphs, precision: Precision, judged: Examples
) -> PrecisionCost:
    """Encodes everything with both pairs of graphs and searches exactly."""
    before = _encoded(fp32, Precision.FP32, judged)
    after = _encoded(lowered, precision, judged)
    cosines = [
        np.einsum("nd,nd->n", before.pictures, after.pictures),
        np.einsum("nd,nd->n", before.texts, after.texts),
    ]
    return PrecisionCost(
        pictures=len(judged.pixels),
        texts=len(judged.texts),
        fp32=_recall(before, judged),
        lowered=_recall(after, judged),
        least_cosine=float(np.concatenate(cosines).min()),
    )


def require_recall(cost: PrecisionCost, precision: Precision) -> None:
    """Raises ExportRefused if the precision loses more recall than it may."""
    most = MOST_RECALL_LOSS[precision]
    if not cost.recall_loss <= most:  # NaN fails too
        raise ExportRefused(
            f"{precision} loses {cost.recall_loss:.4f} of recall@10: {cost.lowered.score:.4f}, and "
            f"{cost.fp32.score:.4f} in fp32, with {cost.texts} texts and {cost.pictures} "
            f"pictures. The limit is {most}; export this model in another precision."
        )


def _encoded(graphs: Graphs, precision: Precision, examples: Examples) -> _Vectors:
    image: Callable[[Rows], Batch] = GraphRunner(graphs.image, precision)
    pictures = np.concatenate([image(batch) for batch in examples.image_batches()])
    text: Callable[[Rows], Batch] = GraphRunner(graphs.text, precision)
    texts = np.empty((len(examples.texts), pictures.shape[1]), np.float32)
    for numbers, batch in examples.text_batches():
        texts[numbers] = text(batch)
    return _Vectors(pictures, texts)


def _recall(vectors: _Vectors, examples: Examples) -> Recall:
    return recall_of_vectors(
        torch.from_numpy(vectors.pictures),
        torch.from_numpy(examples.groups),
        torch.from_numpy(vectors.texts),
        torch.from_numpy(examples.text_groups),
    )
