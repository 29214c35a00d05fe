"""Recall on products that training does not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.finetune.model import Network, picture_vectors, text_vectors
from export.finetune.pairs import Product
from export.finetune.pixels import Pixels

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of queries, 0 to 1, that find their own product among the first ten.

    Attributes:
        text_to_picture: a text as the query (in training, a product's first one), all held-out
            pictures as the gallery.
        picture_to_picture: a picture as the query, all others as the gallery; only of products
            that have another one. NaN if there is none.
    """

    text_to_picture: float
    picture_to_picture: float

    @property
    def score(self) -> float:
        """Mean of the two, by which the best weights are chosen."""
        return float(np.nanmean([self.text_to_picture, self.picture_to_picture]))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Pictures prepared as serving does, and the first text of each product.

    Attributes:
        pixels: uint8 [pictures, side, side, 3].
        groups: int64 [pictures]; the product of each.
        tokens: int64 [products, context_length].
    """

    pixels: Pixels
    groups: NDArray[np.int64]
    tokens: Tensor


def held_out_set(
    products: Sequence[Product], pixels: Pixels, tokenize: Callable[[list[str]], Tensor]
) -> HeldOut:
    """Gather what `recall_at_10` needs; `pixels` are those of the products' rows, in order."""
    groups = np.repeat(np.arange(len(products)), [len(product.rows) for product in products])
    return HeldOut(pixels, groups, tokenize([product.texts[0] for product in products]))


@torch.inference_mode()
def recall_at_10(
    network: Network,
    held_out: HeldOut,
    normalise: Callable[[Tensor], Tensor],
    device: torch.device,
) -> Recall:
    """Encode everything and search exactly."""
    network.eval()
    pictures = torch.cat(
        [
            picture_vectors(
                network, normalise(_float_pictures(held_out.pixels[i : i + CHUNK], device))
            )
            for i in range(0, len(held_out.pixels), CHUNK)
        ]
    )
    texts = torch.cat(
        [text_vectors(network, chunk.to(device)) for chunk in torch.split(held_out.tokens, CHUNK)]
    )
    groups = torch.from_numpy(held_out.groups).to(device)
    return recall_of_vectors(pictures, groups, texts, torch.arange(len(texts), device=device))


def recall_of_vectors(
    pictures: Tensor, groups: Tensor, texts: Tensor, text_groups: Tensor
) -> Recall:
    """Search exactly with vectors of unit length.

    Args:
        pictures: [pictures, dim].
        groups: int64 [pictures]; the product of each picture.
        texts: [texts, dim].
        text_groups: int64 [texts]; the product of each text.
    """
    by_text = [
        hits(chunk @ pictures.T, wanted, groups, k=10)
        for chunk, wanted in zip(
            torch.split(texts, CHUNK), torch.split(text_groups, CHUNK), strict=True
        )
    ]
    by_picture = [
        _other_pictures(pictures, start, groups) for start in range(0, len(pictures), CHUNK)
    ]
    siblings = torch.bincount(groups)[groups] > 1
    return Recall(
        text_to_picture=float(torch.cat(by_text).float().mean()),
        picture_to_picture=float(torch.cat(by_picture)[siblings].float().mean()),
    )


def _other_pictures(pictures: Tensor, start: int, groups: Tensor) -> Tensor:
    """Hits of one chunk of pictures among all but themselves."""
    scores = pictures[start : start + CHUNK] @ pictures.T
    scores.diagonal(offset=start).fill_(float("-inf"))
    return hits(scores, groups[start : start + CHUNK], groups, k=10)


def hits(scores: Tensor, wanted: Tensor, groups: Tensor, k: int) -> Tensor:
    """Whether the `k` best of each row hold one of the wanted group.

    Args:
        scores: [queries, gallery].
        wanted: group of each query [queries].
        groups: group of each gallery entry [gallery].

    Returns:
        bool [queries].
    """
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return (groups[best] == wanted[:, None]).any(dim=1)


def _float_pictures(pixels: Pixels, device: torch.device) -> Tensor:
    pictures = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return pictures.permute(0, 3, 1, 2).float() / 255
