"""Augmentation is a function of its generator, keeps pictures in range, and can be switched off."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from export.finetune.augment import augmented
from export.finetune.jpeg import BLOCK, compressed, cosine_basis
from export.finetune.options import Augmentation

NOTHING = Augmentation(mirror=0.0).scaled(0.0)


def pictures(seed: int = 0, count: int = 6, side: int = 40) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, side, side, 4), generator=rng, dtype=torch.uint8)


def view(pixels: Tensor, options: Augmentation, seed: int = 0, size_px: int = 32) -> Tensor:
    return augmented(pixels, size_px, options, torch.Generator().manual_seed(seed))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), strength=st.floats(0, 2))
def test_results_are_pictures(seed: int, strength: float) -> None:
    result = view(pictures(seed), Augmentation().scaled(strength), seed)
    assert result.shape == (6, 3, 32, 32)
    assert result.dtype == torch.float32
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


def test_the_same_generator_gives_the_same_pictures() -> None:
    assert torch.equal(view(pictures(), Augmentation(), 5), view(pictures(), Augmentation(), 5))
    assert not torch.equal(view(pictures(), Augmentation(), 5), view(pictures(), Augmentation(), 6))


def test_strength_zero_changes_nothing() -> None:
    pixels = pictures(side=32)
    pixels[..., 3] = 255
    plain = pixels[..., :3].permute(0, 3, 1, 2).float() / 255
    assert torch.allclose(view(pixels, NOTHING), plain, atol=1e-5)


def test_transparency_is_white_without_other_backgrounds() -> None:
    clear = torch.zeros(3, 40, 40, 4, dtype=torch.uint8)
    assert torch.allclose(view(clear, NOTHING), torch.ones(3, 3, 32, 32))


def test_most_backgrounds_are_white_by_default() -> None:
    clear = torch.zeros(400, 16, 16, 4, dtype=torch.uint8)
    only_background = Augmentation(mirror=0.0, background=Augmentation().background)
    result = view(clear, only_background, size_px=16)
    corners = result.amin(dim=(1, 2, 3))
    lit = result.amax(dim=(1, 2, 3)) - corners
    assert float((lit < 0.35).float().mean()) > 0.5


def test_mirroring_swaps_left_and_right() -> None:
    pixels = pictures(side=32)
    pixels[..., 3] = 255
    mirrored = view(pixels, Augmentation(mirror=1.0).scaled(0.0))
    assert torch.allclose(mirrored.flip(-1), view(pixels, NOTHING), atol=1e-5)


def test_the_cosine_basis_is_orthonormal() -> None:
    assert torch.allclose(cosine_basis() @ cosine_basis().T, torch.eye(BLOCK), atol=1e-6)


def test_fine_quantisation_keeps_the_picture_and_coarse_loses_detail() -> None:
    pixels = pictures(side=32)[..., :3].permute(0, 3, 1, 2).float() / 255
    fine = (compressed(pixels, torch.full((6,), 1e-4)) - pixels).abs().max()
    coarse = (compressed(pixels, torch.full((6,), 0.2)) - pixels).abs().mean()
    assert float(fine) < 0.02
    assert float(coarse) > 0.05


@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_compression_keeps_plain_surfaces_plain(level: float) -> None:
    plain = torch.full((1, 3, 16, 16), level)
    result = compressed(plain, torch.tensor([0.1]))
    assert float(result.amax() - result.amin()) < 1e-5
    assert abs(float(result.mean()) - level) <= 0.05 / BLOCK + 1e-6
