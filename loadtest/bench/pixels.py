"""From JPEG bytes to the tower's pixels: the gateway's way, Pillow's plain way, and simplejpeg.

simplejpeg is libjpeg-turbo with nothing around it. Both it and the gateway can let the decoder
scale; what that does to the vectors is told by cosines through the sample's image tower.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import simplejpeg
from PIL import Image, ImageOps

from gateway.adapters.release_files import load_release
from gateway.domain.release import ImageTower
from gateway.domain.vectors import Batch
from gateway.local.sample_catalog import render_pictures, sample_items
from gateway.preprocess.image import (
    SCALED_DECODE_MARGIN,
    PictureLimits,
    Pixels,
    decode,
    decode_to_pixels,
    to_pixels,
)
from loadtest.bench.figures import Figure, table
from loadtest.bench.subject import Subject
from loadtest.photos import SIZES, photo

RUNS = 5
PICTURES = 6
LIMITS = PictureLimits()
# The sample's 64 pixels, and those of ViT-B-32.
SIDES_PX = (64, 224)

Way = Callable[[bytes, ImageTower], Pixels]


def plain(data: bytes, tower: ImageTower) -> Pixels:
    """Pillow, every pixel decoded: what the model was trained with."""
    return to_pixels(decode(data, LIMITS), tower)


def ours(data: bytes, tower: ImageTower) -> Pixels:
    """The gateway's path."""
    return decode_to_pixels(data, tower, LIMITS)


def simple(data: bytes, tower: ImageTower) -> Pixels:
    """simplejpeg, every pixel decoded."""
    return _resized(simplejpeg.decode_jpeg(data), data, tower)


def simple_scaled(data: bytes, tower: ImageTower) -> Pixels:
    """simplejpeg, scaled while decoding, with the gateway's margin."""
    side_px = math.ceil(max(tower.height_px, tower.width_px) * SCALED_DECODE_MARGIN)
    pixels = simplejpeg.decode_jpeg(data, min_height=side_px, min_width=side_px)
    return _resized(pixels, data, tower)


WAYS: Mapping[str, Way] = {
    "Pillow, plain": plain,
    "gateway": ours,
    "simplejpeg": simple,
    "simplejpeg, scaled": simple_scaled,
}


@dataclass(frozen=True, slots=True)
class WayResult:
    """CPU milliseconds for a picture, and the least cosine of its vector to that of the plain way
    (None where there is no tower of this size)."""

    ms: Figure
    least_cosine: float | None


Results = Mapping[str, Mapping[str, WayResult]]  # "phone to 64 px" → way → result


def measure(subject: Subject) -> Results:
    """Every size of upload, to each of SIDES_PX, in every way."""
    loaded = load_release(subject.repository, subject.release)
    tower = loaded.release.image
    session = onnxruntime.InferenceSession(subject.repository / tower.model / "1" / "model.onnx")
    uploads = _uploads(subject.state)
    return {
        f"{name}, {side_px} px": _compared(
            jpegs,
            replace(tower, height_px=side_px, width_px=side_px),
            session if side_px == tower.height_px else None,
        )
        for side_px in SIDES_PX
        for name, jpegs in uploads.items()
    }


def shown(results: Results) -> list[str]:
    """Times as a table, and how much faster than plain Pillow; cosines."""
    rows = []
    for name, by_way in results.items():
        base = by_way["Pillow, plain"].ms.median
        for way, result in by_way.items():
            cosine = "" if result.least_cosine is None else f"{result.least_cosine:.4f}"
            rows.append([name, way, str(result.ms), f"{base / result.ms.median:.1f}", cosine])
    return table(["upload", "way", "CPU ms", "times faster", "least cosine"], rows)


def _compared(
    jpegs: Sequence[bytes], tower: ImageTower, session: onnxruntime.InferenceSession | None
) -> dict[str, WayResult]:
    exact = _vectors(session, [plain(jpeg, tower) for jpeg in jpegs])
    runs: dict[str, list[float]] = {name: [] for name in WAYS}
    # Side by side: what else the machine does falls on all of them.
    for _ in range(RUNS):
        for name, way in WAYS.items():
            runs[name].append(_cpu_ms(way, jpegs, tower))
    return {
        name: WayResult(Figure.of(runs[name]), _least_cosine(exact, way, jpegs, tower, session))
        for name, way in WAYS.items()
    }


def _cpu_ms(way: Way, jpegs: Sequence[bytes], tower: ImageTower) -> float:
    """CPU milliseconds of this thread for a picture: all of the work is done on it."""
    start = time.thread_time()
    for jpeg in jpegs:
        way(jpeg, tower)
    return (time.thread_time() - start) / len(jpegs) * 1000


def _least_cosine(
    exact: Batch | None,
    way: Way,
    jpegs: Sequence[bytes],
    tower: ImageTower,
    session: onnxruntime.InferenceSession | None,
) -> float | None:
    found = _vectors(session, [way(jpeg, tower) for jpeg in jpegs])
    return None if exact is None or found is None else float((exact * found).sum(1).min())


def _vectors(
    session: onnxruntime.InferenceSession | None, pixels: Sequence[Pixels]
) -> Batch | None:
    if session is None:
        return None
    [vectors] = session.run(None, {"image": np.stack(pixels)})
    return np.asarray(vectors)


def _uploads(state: Path) -> dict[str, list[bytes]]:
    """A few JPEGs of each size."""
    items = sample_items()[::150][:PICTURES]
    render_pictures(items, state / "drawings", lambda _: None)
    uploads: dict[str, list[bytes]] = {}
    for name, size in SIZES.items():
        uploads[name] = []
        for number, sample in enumerate(items):
            with Image.open(state / "drawings" / sample.item.pictures[0]) as subject:
                uploads[name].append(photo(subject, size, 1, number))
    return uploads


def _resized(pixels: Pixels, data: bytes, tower: ImageTower) -> Pixels:
    """Turned upright as EXIF says, then as the gateway does it."""
    picture = Image.fromarray(pixels)
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as head:
        picture.info["exif"] = head.info.get("exif", b"")
    return to_pixels(ImageOps.exif_transpose(picture), tower)
