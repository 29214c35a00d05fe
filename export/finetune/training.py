"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from export.finetune.augment import augmented
from export.finetune.average import MovingAverage
from export.finetune.batches import Batch, batch_at
from export.finetune.errors import Diverged
from export.finetune.model import Clip, normaliser, picture_vectors, text_vectors
from export.finetune.objective import contrastive_loss
from export.finetune.options import Options, Precision, Schedule
from export.finetune.pairs import Product
from export.finetune.pixels import Pixels

MAX_LOGIT_SCALE = math.log(100)  # CLIP, section 2.5: beyond it training becomes unstable


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Products to learn from; their rows count into `pixels`, uint8 [rows, side, side, 4]."""

    products: Sequence[Product]
    pixels: Pixels


def optimiser_for(network: nn.Module, schedule: Schedule) -> AdamW:
    """AdamW that decays matrices only; what is locked is left out."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": schedule.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98), eps=1e-6)


def learning_rate_at(step: int, schedule: Schedule) -> float:
    """Linear warm-up, then a cosine to zero (https://arxiv.org/abs/1608.03983)."""
    if step < schedule.warmup_steps:
        return schedule.learning_rate * (step + 1) / schedule.warmup_steps
    span = max(1, schedule.steps - schedule.warmup_steps)
    done = min(1.0, (step - schedule.warmup_steps) / span)
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Trainer:
    """One model on its way: network, moving average and optimiser."""

    def __init__(self, clip: Clip, training: TrainingSet, options: Options) -> None:
        self.device = torch.device(options.device)
        self.network = clip.network.to(self.device).to(memory_format=torch.channels_last)
        self.average = MovingAverage(self.network, options.schedule.ema_decay)
        self.optimiser = optimiser_for(self.network, options.schedule)
        self.normalise = normaliser(clip.preprocess, self.device)
        self._clip, self._training, self._options = clip, training, options
        self._in_bf16 = options.precision is Precision.BF16

    def step(self, number: int) -> float:
        """One optimiser step, counted from 0; returns the loss.

        Raises:
            Diverged: the loss is not a number.
        """
        schedule = self._options.schedule
        batch = batch_at(number, self._training.products, schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate_at(number, schedule)
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._gradients(batch, number)
        if not math.isfinite(loss):
            raise Diverged(
                f"The loss is {loss} at step {number}; lower --learning-rate or raise --warmup."
            )
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            self.network.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
        self.average.update(self.network, number)
        return loss

    def _gradients(self, batch: Batch, number: int) -> float:
        """Leave the batch's gradients in the network.

        With several micro-batches the loss still compares all products of the batch with each
        other (GradCache, https://arxiv.org/abs/2101.06983): vectors first, without a graph; then
        the loss's gradient with respect to them; then each micro-batch again, pushing its share
        of it back.
        """
        alike = torch.from_numpy(batch.alike).to(self.device)
        seed = _step_seed(self._options.schedule.seed, number)
        parts = list(self._inputs(batch, seed))
        if len(parts) == 1:
            loss = self._loss(self._vectors(*parts[0], seed), alike)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            return float(loss.detach())
        with torch.no_grad():
            cached = [self._vectors(*part, seed + i) for i, part in enumerate(parts)]
        leaves = [vectors.detach().requires_grad_() for vectors in cached]
        loss = self._loss(torch.cat(leaves, dim=1), alike)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for i, (part, leaf) in enumerate(zip(parts, leaves, strict=True)):
            self._vectors(*part, seed + i).backward(leaf.grad)  # type: ignore[no-untyped-call]  # same
        return float(loss.detach())

    def _loss(self, vectors: Tensor, alike: Tensor) -> Tensor:
        *pictures, texts = vectors.unbind(0)
        return contrastive_loss(pictures, texts, self.network.logit_scale.exp(), alike)

    def _vectors(self, pictures: Tensor, tokens: Tensor, seed: int) -> Tensor:
        """Views, then texts: [views + 1, n, dim]; the seed decides what dropout drops."""
        torch.manual_seed(seed)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._in_bf16):
            seen = picture_vectors(self.network, pictures.flatten(0, 1))
            read = text_vectors(self.network, tokens)
        return torch.cat([seen.view(-1, *read.shape), read[None]])

    def _inputs(self, batch: Batch, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """For each micro-batch: pictures [views, n, 3, side, side] and tokens [n, length]."""
        options, size_px = self._options, self._clip.size_px
        rng = torch.Generator(self.device).manual_seed(seed)
        tokens = self._clip.tokenize(list(batch.texts)).to(self.device)
        pixels = torch.from_numpy(self._training.pixels[batch.rows.T.reshape(-1)])
        pictures = augmented(pixels.to(self.device), size_px, options.augmentation, rng)
        views = pictures.view(-1, len(tokens), *pictures.shape[1:])
        count = options.schedule.accumulate
        for some, words in zip(views.chunk(count, dim=1), tokens.chunk(count), strict=True):
            flat = self.normalise(some.flatten(0, 1))
            flat = flat.contiguous(memory_format=torch.channels_last)
            yield flat.view(some.shape), words


class Stopwatch:
    """Pictures trained on per second since the last reading."""

    def __init__(self) -> None:
        self._started, self._pictures = time.monotonic(), 0

    def add(self, pictures: int) -> None:
        """Count pictures."""
        self._pictures += pictures

    def read(self) -> float:
        """The rate; starts anew."""
        now = time.monotonic()
        rate = self._pictures / max(now - self._started, 1e-9)
        self._started, self._pictures = now, 0
        return rate


def _step_seed(seed: int, step: int) -> int:
    """Different for all steps of all seeds that one would try."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> np.uint64(1))
