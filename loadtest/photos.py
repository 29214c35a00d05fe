"""Photos as shoppers send them: a catalogue picture on some ground, in some light, as a JPEG of a
stated size. Every picture follows from the seed and its number alone.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.int16]  # [height_px, width_px, 3]

ORIENTATION_TAG = 0x0112
# How a phone that is held this way stores the picture: EXIF's number, and the turn that undoes it.
_STORED_AS = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
_QUALITIES = (30, 45, 60, 70, 75, 80, 85, 88, 90, 92, 94, 95, 96, 97, 98)
_TILE_PX = 256


@dataclass(frozen=True, slots=True)
class PictureSize:
    """A kind of upload. `target_bytes` is aimed at by the JPEG quality; `phone`: with an EXIF
    orientation and stored as the sensor lies."""

    name: str
    width_px: int
    height_px: int
    target_bytes: int
    phone: bool = False


SIZES = {
    size.name: size
    for size in (
        PictureSize("thumbnail", 320, 320, 30_000),
        PictureSize("vga", 640, 480, 100_000),
        PictureSize("2mp", 1600, 1200, 600_000),
        PictureSize("phone", 4032, 3024, 4_000_000, phone=True),
    )
}

# Percent. A guess, like the mix of requests: apps shrink before they send, browsers mostly do not.
DEFAULT_SHARES: Mapping[str, float] = {"thumbnail": 30, "vga": 40, "2mp": 20, "phone": 10}


def parse_shares(text: str) -> Mapping[str, float]:
    """From `thumbnail=30,vga=70`; ValueError says what is wrong."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        if name.strip() not in SIZES:
            raise ValueError(f"{part!r}: write SIZE=PERCENT; the sizes are {', '.join(SIZES)}.")
        shares[name.strip()] = float(share)
    if min(shares.values()) < 0 or sum(shares.values()) <= 0:
        raise ValueError(f"{text!r}: shares are not negative, and one is more than 0.")
    return shares


def size_names(shares: Mapping[str, float]) -> Iterator[str]:
    """Sizes without end, such that any first n have each share to within one picture."""
    total = sum(shares.values())
    given = dict.fromkeys(shares, 0)
    for number in range(1, 2**31):
        behind = {name: share / total * number - given[name] for name, share in shares.items()}
        name = max(behind, key=lambda each: behind[each])
        given[name] += 1
        yield name


def photo(subject: Image.Image, size: PictureSize, seed: int, number: int) -> bytes:
    """The JPEG with this number: `subject` (any mode) on a ground, turned, lit, with noise."""
    chance = np.random.default_rng([seed, number])
    exif = Image.Exif()
    turn, width_px, height_px = None, size.width_px, size.height_px
    if size.phone:
        exif[ORIENTATION_TAG] = orientation = int(chance.choice(list(_STORED_AS)))
        turn = _STORED_AS[orientation]
        if orientation in (6, 8):
            width_px, height_px = height_px, width_px
    scene = _scene(subject, width_px, height_px, chance)
    quality = _quality(scene, size.target_bytes)
    # Stored as the sensor lies: wide, however the phone was held.
    return _encoded(scene if turn is None else scene.transpose(turn), quality, exif)


def _scene(
    subject: Image.Image, width_px: int, height_px: int, chance: np.random.Generator
) -> Image.Image:
    ground = _ground(width_px, height_px, chance)
    side = round(min(ground.size) * chance.uniform(0.4, 0.8))
    thing = subject.convert("RGBA").resize((side, side), Image.Resampling.BICUBIC)
    thing = thing.rotate(chance.uniform(-15, 15), Image.Resampling.BILINEAR)
    left = int(chance.integers(0, ground.width - side + 1))
    top = int(chance.integers(0, ground.height - side + 1))
    ground.paste(thing, (left, top), thing)
    return _lit(ground, chance)


def _ground(width: int, height: int, chance: np.random.Generator) -> Image.Image:
    """A gradient, stripes, checks or blobs in two colours; drawn small, then enlarged."""
    w, h = max(16, width // 8), max(16, height // 8)
    y, x = np.mgrid[0:h, 0:w] / max(w, h)
    angle, waves = chance.uniform(0, np.pi), chance.uniform(3, 25)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kind = chance.integers(4)
    if kind == 0:
        weight = (along - along.min()) / (np.ptp(along) + 1e-9)
    elif kind == 1:
        weight = 0.5 + 0.5 * np.sin(along * waves * 2 * np.pi)
    elif kind == 2:
        weight = ((along * waves).astype(int) + (across * waves).astype(int)) % 2 * 1.0
    else:
        coarse = chance.integers(0, 256, (6, 8), dtype=np.uint8)
        weight = np.asarray(Image.fromarray(coarse).resize((w, h), Image.Resampling.BICUBIC)) / 255
    colours = chance.integers(40, 246, (2, 3))
    mixed = colours[0] + weight[..., None] * (colours[1] - colours[0])
    small = Image.fromarray(mixed.astype(np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _lit(picture: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Brightness, a colour cast, and a sensor's noise."""
    gain = chance.uniform(0.7, 1.15) * chance.uniform(0.93, 1.07, 3)
    sigma = chance.uniform(2.0, 6.0)
    # One tile of noise, repeated: JPEG's blocks do not see the repetition, and it is ten times
    # cheaper than fresh noise for twelve megapixels.
    tile = chance.normal(0, sigma, (_TILE_PX, _TILE_PX, 3)).astype(np.int16)
    rows, columns = -(-picture.height // _TILE_PX), -(-picture.width // _TILE_PX)
    noise = np.tile(tile, (rows, columns, 1))[: picture.height, : picture.width]
    curve = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)
    bands = [channel.point(list(curve[:, n])) for n, channel in enumerate(picture.split())]
    lit: Pixels = np.asarray(Image.merge("RGB", bands)).astype(np.int16)
    lit += noise
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def _quality(picture: Image.Image, target_bytes: int) -> int:
    """The JPEG quality that comes nearest to `target_bytes`, judged by an even sample of tiles
    where the picture is large: encoding twelve megapixels for each guess would take seconds."""
    sample, part = _sample(picture)
    low, high = 0, len(_QUALITIES) - 1
    while low < high:
        middle = (low + high) // 2
        if len(_encoded(sample, _QUALITIES[middle])) < target_bytes * part:
            low = middle + 1
        else:
            high = middle
    if low and _miss(sample, low - 1, target_bytes * part) < _miss(
        sample, low, target_bytes * part
    ):
        low -= 1
    return _QUALITIES[low]


def _miss(sample: Image.Image, at: int, wanted_bytes: float) -> float:
    return abs(len(_encoded(sample, _QUALITIES[at])) - wanted_bytes)


def _sample(picture: Image.Image) -> tuple[Image.Image, float]:
    """Sixteen tiles from all over the picture, side by side, and which part of it they are."""
    width, height = picture.size
    if width * height <= 20 * _TILE_PX**2:
        return picture, 1.0
    sheet = Image.new("RGB", (4 * _TILE_PX, 4 * _TILE_PX))
    for row in range(4):
        for column in range(4):
            left = column * (width - _TILE_PX) // 3
            top = row * (height - _TILE_PX) // 3
            tile = picture.crop((left, top, left + _TILE_PX, top + _TILE_PX))
            sheet.paste(tile, (column * _TILE_PX, row * _TILE_PX))
    return sheet, 16 * _TILE_PX**2 / (width * height)


def _encoded(picture: Image.Image, quality: int, exif: Image.Exif | None = None) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality, exif=exif or Image.Exif())
    return out.getvalue()
