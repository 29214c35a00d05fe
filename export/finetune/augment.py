"""Pictures changed as shoppers' photos differ from a shop's, on a whole batch of tensors at once.

All randomness comes from the generator that is passed in: the same state gives the same pictures.
The generator is on the device of the pictures, and so is all the work.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from export.finetune.jpeg import BLOCK, compressed
from export.finetune.options import Augmentation

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def augmented(pixels: Tensor, size_px: int, options: Augmentation, rng: Generator) -> Tensor:
    """Random view of each picture.

    Args:
        pixels: uint8 [n, side, side, 4], RGBA.
        size_px: side of the result.

    Returns:
        float32 [n, 3, size_px, size_px], 0 to 1.
    """
    rgba = pixels.permute(0, 3, 1, 2).float() / 255
    alpha = rgba[:, 3:]
    layers = torch.cat(
        [rgba[:, :3] * alpha, alpha], dim=1
    )  # premultiplied, so that edges stay clean
    grid = _grid(_homographies(len(pixels), options, rng), size_px)
    warped = functional.grid_sample(layers, grid, mode="bilinear", align_corners=False)
    alpha = warped[:, 3:]
    picture = warped[:, :3] + (1 - alpha) * _backgrounds(len(pixels), size_px, options, rng)
    picture = _erased(_lit(picture, options, rng), options, rng)
    picture = _blurred(picture, options, rng)
    return _compressed(picture, options, rng)


def _uniform(rng: Generator, low: float, high: float, *shape: int) -> Tensor:
    return torch.rand(shape, generator=rng, device=rng.device) * (high - low) + low


def _chosen(rng: Generator, share: float, count: int) -> Tensor:
    return _uniform(rng, 0, 1, count) < share


def _homographies(count: int, options: Augmentation, rng: Generator) -> Tensor:
    """Matrices [n, 3, 3] from places in the result to places in the picture, both -1 to 1."""
    angle = _uniform(rng, -options.turn_degrees, options.turn_degrees, count) * (math.pi / 180)
    zoom = 1 / _uniform(rng, *options.scale, count)
    stretch = torch.exp(_uniform(rng, -options.stretch, options.stretch, count))
    mirror = 1 - 2 * _chosen(rng, options.mirror, count).float()
    matrix = torch.zeros(count, 3, 3, device=rng.device)
    matrix[:, 0, 0] = angle.cos() * zoom * stretch * mirror
    matrix[:, 0, 1] = -angle.sin() * zoom * stretch * mirror
    matrix[:, 1, 0] = angle.sin() * zoom / stretch
    matrix[:, 1, 1] = angle.cos() * zoom / stretch
    matrix[:, :2, 2] = _uniform(rng, -2 * options.shift, 2 * options.shift, count, 2)
    matrix[:, 2, :2] = _uniform(rng, -options.perspective, options.perspective, count, 2)
    matrix[:, 2, 2] = 1
    return matrix


def _grid(homographies: Tensor, size_px: int) -> Tensor:
    """Sampling places [n, size_px, size_px, 2] for grid_sample."""
    centres = (torch.arange(size_px, device=homographies.device) * 2 + 1) / size_px - 1
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)
    places = points @ homographies.transpose(1, 2)
    flat = places[..., :2] / places[..., 2:].clamp(min=0.1)
    return flat.reshape(len(homographies), size_px, size_px, 2)


def _backgrounds(count: int, size_px: int, options: Augmentation, rng: Generator) -> Tensor:
    """White for most, a colour with a gradient and some grain for the others: [n, 3, ·, ·]."""
    colour = _uniform(rng, 0, 1, count, 3, 1, 1)
    coarse = _uniform(rng, -0.35, 0.35, count, 3, 3, 3)
    relief = functional.interpolate(coarse, size=size_px, mode="bilinear", align_corners=True)
    strength = _uniform(rng, 0, 1, count, 1, 1, 1)
    grain = _uniform(rng, -0.06, 0.06, count, 1, size_px, size_px)
    scene = (colour + strength * (relief + grain)).clamp(0, 1)
    coloured = _chosen(rng, options.background, count).view(-1, 1, 1, 1)
    return torch.where(coloured, scene, 1.0)


def _lit(picture: Tensor, options: Augmentation, rng: Generator) -> Tensor:
    """Hue, saturation, contrast and brightness, as one colour matrix for each picture."""
    n = len(picture)
    low, high = 1 - options.light, 1 + options.light
    turn = _uniform(rng, -options.hue_degrees, options.hue_degrees, n) * (math.pi / 180)
    saturation = _uniform(rng, low, high, n) * (~_chosen(rng, options.grey, n)).float()
    contrast, brightness = _uniform(rng, low, high, n), _uniform(rng, low, high, n)
    matrix = _saturation(saturation) @ _hue_turn(turn)
    matrix = matrix * (contrast * brightness).view(n, 1, 1)
    offset = (0.5 * (1 - contrast) * brightness).view(n, 1, 1)
    mixed = torch.bmm(matrix, picture.flatten(2)) + offset
    return mixed.clamp(0, 1).view_as(picture)


def _hue_turn(angle: Tensor) -> Tensor:
    """Rotations [n, 3, 3] of RGB about the grey axis (Rodrigues' formula)."""
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    cross = angle.new_tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    return cos * torch.eye(3, device=angle.device) + sin * cross + (1 - cos) / 3


def _saturation(amount: Tensor) -> Tensor:
    """Matrices [n, 3, 3] that mix each colour with its luma; 0 is grey, 1 changes nothing."""
    amount = amount.view(-1, 1, 1)
    unchanged = torch.eye(3, device=amount.device)
    return amount * unchanged + (1 - amount) * amount.new_tensor(LUMA).expand(3, 3)


def _erased(picture: Tensor, options: Augmentation, rng: Generator) -> Tensor:
    """A rectangle of one colour, a tenth to four tenths of the side, on some pictures."""
    n, _, height, width = picture.shape
    side = _uniform(rng, 0.1, 0.4, n, 2)
    start = _uniform(rng, 0, 1, n, 2) * (1 - side)
    colour = _uniform(rng, 0, 1, n, 3, 1, 1)
    y = torch.linspace(0, 1, height, device=rng.device).view(1, height, 1)
    x = torch.linspace(0, 1, width, device=rng.device).view(1, 1, width)
    top, left = start[:, :1, None], start[:, 1:, None]
    inside = (
        (y >= top) & (y < top + side[:, :1, None]) & (x >= left) & (x < left + side[:, 1:, None])
    )
    inside &= _chosen(rng, options.erase, n).view(-1, 1, 1)
    return torch.where(inside[:, None], colour, picture)


def _blurred(picture: Tensor, options: Augmentation, rng: Generator) -> Tensor:
    """Some pictures mixed with their own 3 by 3 mean."""
    picked = _chosen(rng, options.blur, len(picture)).nonzero().flatten()
    amount = _uniform(rng, 0.3, 1.0, len(picked), 1, 1, 1)
    if len(picked):
        source = picture[picked]
        soft = functional.avg_pool2d(
            functional.pad(source, (1, 1, 1, 1), mode="replicate"), kernel_size=3, stride=1
        )
        picture[picked] = torch.lerp(source, soft, amount)
    return picture


def _compressed(picture: Tensor, options: Augmentation, rng: Generator) -> Tensor:
    picked = _chosen(rng, options.compress, len(picture)).nonzero().flatten()
    coarseness = _uniform(rng, 0.01, 0.1, len(picked))
    if len(picked) and picture.shape[-1] % BLOCK == 0 and picture.shape[-2] % BLOCK == 0:
        picture[picked] = compressed(picture[picked], coarseness)
    return picture
