"""A moving average of the weights: steadier than the weights of any one step."""

from __future__ import annotations

import copy

import torch
from torch import nn


class MovingAverage:
    """Keeps `network`, whose every float tensor follows the trained one's.

    The decay starts low and rises to its value, as in TensorFlow's ExponentialMovingAverage with
    `num_updates`: otherwise the random first weights would stay in the average for long.
    """

    def __init__(self, trained: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(trained).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, trained: nn.Module, step: int) -> None:
        """Move towards the weights after `step` steps."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for mine, theirs in zip(
            self.network.state_dict().values(), trained.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)
