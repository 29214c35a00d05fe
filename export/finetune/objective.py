"""The contrastive loss over pictures and texts, without false negatives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(a: Tensor, b: Tensor, scale: Tensor, alike: Tensor) -> Tensor:
    """Symmetric InfoNCE (https://arxiv.org/abs/2103.00020, figure 3).

    Args:
        a: unit vectors [n, dim].
        b: unit vectors [n, dim]; row i is the positive of row i of `a`.
        scale: inverse temperature.
        alike: bool [n, n]; true pairs off the diagonal are left out, neither positive nor negative.
    """
    others = alike & ~torch.eye(len(a), dtype=torch.bool, device=alike.device)
    logits = (scale * a @ b.T).masked_fill(others, float("-inf"))
    target = torch.arange(len(a), device=a.device)
    return (
        functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    ) / 2


def contrastive_loss(
    pictures: Sequence[Tensor], texts: Tensor, scale: Tensor, alike: Tensor
) -> Tensor:
    """Mean InfoNCE over every two views of a product: picture to text and picture to picture.

    Args:
        pictures: for each view, unit vectors [n, dim].
        texts: unit vectors [n, dim].
    """
    pairs = combinations([*pictures, texts], 2)
    return torch.stack([info_nce(a, b, scale, alike) for a, b in pairs]).mean()
