"""Golden inputs, and the vectors that the PyTorch model gives for them in fp32.

The vectors come from open_clip's own `encode_image` and `encode_text` at full length, not from the
towers that are exported: what is compared with them is checked from end to end.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from export.errors import ExportRefused
from export.model_source import Pixels, SourceModel
from gateway.domain.loaded_release import Golden
from gateway.domain.vectors import Batch

STRINGS = (
    "",
    "red shoe",
    "a blue ceramic coffee mug with a white handle",
    "Women's waterproof hiking boots, size 38, dark brown leather",
    "café “crème” & 日本語 👟",
    "handmade wooden chair with a woven seat, oiled oak, " * 8,
)


def golden_set(source: SourceModel) -> Golden:
    """The golden inputs of `source` and its own vectors for them."""
    images = golden_images(source.pixels)
    texts: NDArray[np.int64] = source.tokenizer(list(STRINGS)).numpy()
    vocabulary = getattr(source.network, "vocab_size", None)
    if isinstance(vocabulary, int) and texts.max() >= vocabulary > 0:
        raise ExportRefused(
            f"The tokenizer gives token {texts.max()}; the model has {vocabulary} tokens only."
        )
    with torch.no_grad():
        try:
            image_vectors = source.network.encode_image(  # type: ignore[operator]
                _normalised(images, source.pixels)
            )
            text_vectors = source.network.encode_text(  # type: ignore[operator]
                torch.from_numpy(texts)
            )
        except (AssertionError, RuntimeError) as exc:
            raise ExportRefused(f"The model does not take its own inputs: {exc}") from exc
    return Golden(
        images=images,
        image_vectors=_unit(image_vectors),
        strings=STRINGS,
        texts=texts,
        text_vectors=_unit(text_vectors),
    )


def golden_images(pixels: Pixels) -> NDArray[np.uint8]:
    """Made-up pictures `[6, height, width, 3]`: ramp, disc, stripes, blocks, noise, black."""
    height, width = pixels.height_px, pixels.width_px
    y, x = np.mgrid[0:height, 0:width]
    down, across = y / max(height - 1, 1), x / max(width - 1, 1)  # 0 to 1
    random = np.random.default_rng(20)
    ramp = np.stack([down, across, 1 - down], axis=-1)
    inside = ((down - 0.5) ** 2 + (across - 0.45) ** 2 < 0.1)[..., None]
    disc = np.where(inside, [0.9, 0.2, 0.15], [0.95, 0.95, 0.9])
    stripes = np.where(((x + y) // 8 % 2 == 0)[..., None], [0.1, 0.3, 0.8], [1.0, 0.9, 0.2])
    coarse = random.random((8, 8, 3))
    blocks = coarse[(down * 7).astype(int), (across * 7).astype(int)]
    noise = random.random((height, width, 3))
    black = np.zeros((height, width, 3))
    pictures = np.stack([ramp, disc, stripes, blocks, noise, black])
    images: NDArray[np.uint8] = np.rint(pictures * 255).astype(np.uint8)
    return images


def _normalised(images: NDArray[np.uint8], pixels: Pixels) -> Tensor:
    """`[n, 3, height, width]`, as torchvision's ToTensor and Normalize make it."""
    scaled = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(pixels.mean), torch.tensor(pixels.std)
    return (scaled - mean.view(3, 1, 1)) / std.view(3, 1, 1)


def _unit(vectors: Tensor) -> Batch:
    result: Batch = functional.normalize(vectors.float(), dim=-1).numpy()
    return result
