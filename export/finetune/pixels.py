"""Pictures decoded once into a file of pixels that training maps into memory.

Decoding a JPEG costs more than a training step of a small model spends on it, and it would be
paid again in every epoch. The file holds them at a working size, a little larger than the
model's input.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A picture that was left out, and why."""

    image: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PixelFile:
    """Pixels of many pictures: uint8 [pictures, side, side, channels], and those that have none."""

    pixels: Pixels
    unreadable: dict[int, Unreadable]


def pixel_file(
    images: Sequence[Path],
    shape: tuple[int, int, int],
    convert: Callable[[Image], Pixels],
    folder: Path,
    name: str,
) -> PixelFile:
    """Decode all pictures, or open the file that an earlier run made of the same ones.

    Args:
        shape: height, width and channels of what `convert` returns.
        name: of the file; its contents must depend on nothing but `images`, `shape` and this name.
    """
    path = folder / f"{name}-{_digest(images, shape)}.npy"
    report = path.with_suffix(".json")
    if not (path.is_file() and report.is_file()):
        folder.mkdir(parents=True, exist_ok=True)
        unreadable = _decode_all(images, shape, convert, path)
        report.write_text(json.dumps({item: bad.reason for item, bad in unreadable.items()}))
    reasons = json.loads(report.read_text())
    bad = {int(item): Unreadable(images[int(item)], reason) for item, reason in reasons.items()}
    return PixelFile(np.load(path, mmap_mode="r"), bad)


def _decode_all(
    images: Sequence[Path],
    shape: tuple[int, int, int],
    convert: Callable[[Image], Pixels],
    path: Path,
) -> dict[int, Unreadable]:
    from rich.progress import track

    temporary = path.with_suffix(".tmp.npy")
    pixels = np.lib.format.open_memmap(  # type: ignore[no-untyped-call]  # numpy leaves it untyped
        temporary, mode="w+", dtype=np.uint8, shape=(len(images), *shape)
    )
    unreadable: dict[int, Unreadable] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(lambda image: _decoded(image, convert), images)
        for item, result in enumerate(track(decoded, "reading pictures", total=len(images))):
            if isinstance(result, Unreadable):
                unreadable[item] = result
            else:
                pixels[item] = result
    pixels.flush()
    os.replace(temporary, path)
    return unreadable


def _decoded(path: Path, convert: Callable[[Image], Pixels]) -> Pixels | Unreadable:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            return convert(ImageOps.exif_transpose(picture))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        return Unreadable(path, str(exc) or type(exc).__name__)


def _digest(images: Sequence[Path], shape: tuple[int, int, int]) -> str:
    digest = hashlib.sha256(repr(shape).encode())
    for image in images:
        stat = image.stat() if image.is_file() else None
        digest.update(f"{image}|{stat and (stat.st_size, stat.st_mtime_ns)}\n".encode())
    return digest.hexdigest()[:16]
