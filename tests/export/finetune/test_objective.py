"""The loss is InfoNCE, and pairs that are alike have no part in it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from export.finetune.objective import contrastive_loss, info_nce

SCALE = torch.tensor(10.0)


def vectors(seed: int, count: int = 5) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, 8, generator=rng), dim=-1)


def test_two_orthogonal_pairs_give_the_loss_worked_out_by_hand() -> None:
    loss = info_nce(torch.eye(2), torch.eye(2), SCALE, torch.eye(2, dtype=torch.bool))
    assert math.isclose(float(loss), math.log(1 + math.exp(-10)), rel_tol=1e-3)


def test_equal_vectors_give_the_loss_of_a_guess() -> None:
    same = torch.ones(4, 1)
    loss = info_nce(same, same, SCALE, torch.eye(4, dtype=torch.bool))
    assert math.isclose(float(loss), math.log(4), rel_tol=1e-5)


def test_pairs_that_are_alike_are_not_pushed_apart() -> None:
    a, b = vectors(1), vectors(2).requires_grad_()
    alike = torch.eye(5, dtype=torch.bool)
    alike[0, 1] = alike[1, 0] = True
    loss = info_nce(a, b, SCALE, alike)
    moved = b.detach().clone()
    moved[1] = functional.normalize(moved[1] + 5 * a[0], dim=-1)
    with torch.no_grad():
        row_0 = (SCALE * a[0] @ b.T)[[0, 2, 3, 4]].log_softmax(0)[0]
    (gradient,) = torch.autograd.grad(loss, b)
    assert torch.isfinite(gradient).all()
    kept = (SCALE * a @ b.detach().T).masked_fill(alike & ~torch.eye(5, dtype=torch.bool), -1e9)
    expected = functional.cross_entropy(kept, torch.arange(5))
    expected += functional.cross_entropy(kept.T, torch.arange(5))
    assert torch.isclose(loss.detach(), expected / 2)
    assert torch.isclose(kept[0].log_softmax(0)[0], row_0)


def test_the_order_of_the_batch_does_not_matter() -> None:
    a, b, texts = vectors(1), vectors(2), vectors(3)
    order = torch.tensor([3, 1, 4, 0, 2])
    alike = torch.eye(5, dtype=torch.bool)
    alike[0, 3] = alike[3, 0] = True
    loss = contrastive_loss([a, b], texts, SCALE, alike)
    shuffled = contrastive_loss([a[order], b[order]], texts[order], SCALE, alike[order][:, order])
    assert torch.isclose(loss, shuffled)


def test_one_view_compares_pictures_with_texts_only() -> None:
    a, texts, alike = vectors(1), vectors(3), torch.eye(5, dtype=torch.bool)
    assert torch.equal(contrastive_loss([a], texts, SCALE, alike), info_nce(a, texts, SCALE, alike))
