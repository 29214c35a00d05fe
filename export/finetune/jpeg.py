"""What JPEG compression does to a picture, on a whole batch of tensors at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 8


def cosine_basis() -> Tensor:
    """The orthonormal DCT-II matrix [8, 8] of ITU-T T.81, A.3.3: row k is the k-th frequency."""
    k = torch.arange(BLOCK, dtype=torch.float32)[:, None]
    n = torch.arange(BLOCK, dtype=torch.float32)[None, :]
    basis = torch.cos((2 * n + 1) * k * math.pi / (2 * BLOCK)) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis


def compressed(pixels: Tensor, coarseness: Tensor) -> Tensor:
    """Round the frequencies of every 8 by 8 block, the high ones more, as JPEG's quantisation does.

    Channels are treated alike and not subsampled: it is the blocks and the ringing that count here.

    Args:
        pixels: [n, channels, height, width], 0 to 1, sides divisible by 8.
        coarseness: [n]; quantisation step of the lowest frequency; 0.02 is hard to see, 0.15 ugly.
    """
    n, channels, height, width = pixels.shape
    basis = cosine_basis().to(pixels)
    blocks = pixels.reshape(n, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    frequencies = torch.einsum("ki,ncyixj,lj->ncykxl", basis, blocks, basis)
    order = torch.arange(BLOCK, device=pixels.device)
    step = coarseness.view(n, 1, 1, 1, 1, 1) * (1 + order[:, None, None] + order).to(pixels)
    rounded = torch.round(frequencies / step) * step
    restored = torch.einsum("ki,ncykxl,lj->ncyixj", basis, rounded, basis)
    return restored.reshape(pixels.shape).clamp(0, 1)
