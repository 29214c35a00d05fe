"""A release whose files have been read and found to be what its manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.domain.release import Release
from gateway.domain.vectors import Batch


class Tokenizer(Protocol):
    """The release's tokenizer."""

    def encode(self, text: str) -> NDArray[np.int64]:
        """The token row of `text`, padded to the smallest bucket that holds it: `[bucket]`."""
        ...


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs and the vectors that PyTorch gave for them in fp32.

    `images` are UINT8 `[n, height_px, width_px, 3]`, `texts` INT64 `[m, context_length]`, the
    tokens of `strings`; `image_vectors` `[n, dim]` and `text_vectors` `[m, dim]` have unit length.
    """

    images: NDArray[np.uint8]
    image_vectors: Batch
    strings: tuple[str, ...]
    texts: NDArray[np.int64]
    text_vectors: Batch


@dataclass(frozen=True, slots=True)
class LoadedRelease:
    """A release whose files are all present and unchanged.

    `cutoffs` are the least cosines of a good match by kind of query (text, image, hybrid), as far
    as they have been calibrated.
    """

    release: Release
    tokenizer: Tokenizer
    golden: Golden
    cutoffs: Mapping[str, float] = field(default_factory=dict)
