"""The optimiser's laws, and that micro-batches give the gradient of the whole batch."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from export.finetune.model import open_model
from export.finetune.options import Options, Schedule
from export.finetune.pairs import read_rows
from export.finetune.preparation import prepare
from export.finetune.training import Trainer, learning_rate_at, optimiser_for


def trainer(options: Options) -> Trainer:
    options.out_dir.mkdir(exist_ok=True)
    rows = read_rows(options.data, 0.1)
    torch.manual_seed(0)
    texts = [text for row in rows for text in row.texts]
    clip = open_model(options.source, texts, options.out_dir)
    return Trainer(clip, prepare(rows, clip, options).training, options)


@pytest.mark.parametrize("accumulate", [2, 3])
def test_micro_batches_give_the_gradient_of_the_whole_batch(
    options: Options, accumulate: int
) -> None:
    whole = trainer(options)
    parts = trainer(replace(options, schedule=replace(options.schedule, accumulate=accumulate)))
    assert math.isclose(whole.step(0), parts.step(0), rel_tol=1e-5)
    gradients = zip(whole.network.parameters(), parts.network.parameters(), strict=True)
    for one, other in gradients:
        assert torch.allclose(one.grad, other.grad, atol=1e-5)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    schedule = Schedule(steps=50, warmup_steps=10, learning_rate=0.2)
    rates = [learning_rate_at(step, schedule) for step in range(51)]
    assert max(rates) == rates[9] == 0.2
    assert all(a < b for a, b in pairwise(rates[:10]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[50] == 0


def test_only_matrices_decay(options: Options) -> None:
    run = trainer(options)
    decaying, free = optimiser_for(run.network, options.schedule).param_groups
    assert decaying["weight_decay"] == options.schedule.weight_decay
    assert all(parameter.ndim >= 2 for parameter in decaying["params"])
    assert free["weight_decay"] == 0
    assert any(parameter is run.network.logit_scale for parameter in free["params"])


def test_the_average_of_no_decay_is_the_network_itself(options: Options) -> None:
    run = trainer(replace(options, schedule=replace(options.schedule, ema_decay=0.0)))
    run.step(0)
    for mine, theirs in zip(
        run.average.network.parameters(), run.network.parameters(), strict=True
    ):
        assert torch.allclose(mine, theirs)
