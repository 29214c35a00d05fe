"""The two halves of a CLIP model as graphs of their own: bytes or tokens in, unit vectors out."""

from __future__ import annotations

from typing import cast

import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.transformer import TextTransformer, text_global_pool
from torch import Tensor, nn
from torch.nn import functional

from export.errors import ExportRefused
from export.model_source import Pixels

# Shorter rows for shorter texts: a storefront query has 4 to 10 tokens, and the tower's cost grows
# with the row. ViT-B-32's text tower answered 183 queries/s at 8 tokens and 24/s at 77.
SHORT_BUCKETS = (8, 16, 32)

# Stands for minus infinity in the attention mask: e^-10000 is zero in every precision, while
# infinity itself turns into NaN once a graph is converted to fp16.
MASKED = -1e4


class ImageTowerModule(nn.Module):
    """UINT8 `[batch, height, width, 3]` in RGB to FP32 `[batch, dim]` of unit length."""

    def __init__(self, network: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        if not callable(getattr(network, "encode_image", None)):
            raise ExportRefused(f"{type(network).__name__} has no image tower.")
        self.network = network
        # [3, 1, 1], for channels first
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(pixels.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(pixels.std).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        scaled = image.to(torch.float32).permute(0, 3, 1, 2) / 255.0  # [batch, 3, height, width]
        vector = self.network.encode_image((scaled - self.mean) / self.std)  # type: ignore[operator]
        return _unit(vector)


class TextTowerModule(nn.Module):
    """INT64 `[batch, context_length]` to FP32 `[batch, dim]` of unit length, by the model's own
    `encode_text`. For towers whose vector depends on how far a row is padded."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not callable(getattr(network, "encode_text", None)):
            raise ExportRefused(f"{type(network).__name__} has no text tower.")
        self.network = network

    def forward(self, text: Tensor) -> Tensor:
        return _unit(self.network.encode_text(text))  # type: ignore[operator]


class CausalTextTowerModule(nn.Module):
    """INT64 `[batch, tokens]` to FP32 `[batch, dim]` of unit length, for any number of tokens up
    to the context length.

    Every token sees the ones before it only, and the vector is read at the end token, so padding
    after it changes nothing: positions and mask are cut to the row's length inside the graph.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        tower = _native_text_tower(network)
        if tower is None:
            raise ExportRefused(f"{type(network).__name__} has no text transformer of open_clip's.")
        self.token_embedding = tower.token_embedding
        self.transformer = tower.transformer
        self.ln_final = tower.ln_final
        self.projection = tower.text_projection
        self.positions = tower.positional_embedding  # [context_length, width]
        self.mask: Tensor
        self.register_buffer("mask", tower.attn_mask.clamp(min=MASKED), persistent=False)
        self.pool_type, self.eos_id = _pooling(network)

    def forward(self, text: Tensor) -> Tensor:
        tokens = text.shape[1]
        x = self.token_embedding(text) + self.positions[:tokens]  # [batch, tokens, width]
        x = self.transformer(x, attn_mask=self.mask[:tokens, :tokens])
        x = text_global_pool(self.ln_final(x), text, self.pool_type, eos_token_id=self.eos_id)
        if isinstance(self.projection, nn.Linear):
            x = self.projection(x)
        elif self.projection is not None:
            x = x @ self.projection
        return _unit(x)


def text_tower(network: nn.Module, buckets: tuple[int, ...]) -> nn.Module:
    """The text tower for rows of these lengths: the causal one if there are several."""
    return CausalTextTowerModule(network) if len(buckets) > 1 else TextTowerModule(network)


def buckets_for(
    network: nn.Module, context_length: int, pad_id: int, end_id: int | None
) -> tuple[int, ...]:
    """The row lengths that give the same vectors as the full one, ascending to `context_length`.

    More than one only where open_clip's own text transformer is causal and pools at the end token:
    as the highest id of the row (`argmax`), or by its id (`eos`).
    """
    full = (context_length,)
    tower = _native_text_tower(network)
    if tower is None or tower.attn_mask is None or getattr(tower, "cls_emb", None) is not None:
        return full
    pool_type, eos_id = _pooling(network)
    highest = pool_type == "argmax" and end_id is not None and end_id > pad_id
    named = pool_type == "eos" and end_id == eos_id and end_id != pad_id
    if not highest and not named:
        return full
    return (*(bucket for bucket in SHORT_BUCKETS if bucket < context_length), context_length)


def _native_text_tower(network: nn.Module) -> CLIP | TextTransformer | None:
    """What holds the parts of open_clip's own text transformer: `CLIP` has them itself."""
    if type(network) is CLIP:
        return network
    if type(network) is CustomTextCLIP and type(network.text) is TextTransformer:
        return network.text
    return None


def _pooling(network: nn.Module) -> tuple[str, int]:
    """open_clip's name of the pooling, and the end token's id that `eos` looks for."""
    if type(network) is CLIP:
        return cast(str, network.text_pool_type), cast(int, network.text_eos_id)
    tower = cast(TextTransformer, network.text)
    return tower.pool_type, tower.eos_id


def _unit(vector: Tensor) -> Tensor:
    return functional.normalize(vector.to(torch.float32), dim=-1)
