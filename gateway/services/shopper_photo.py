"""A catalogue picture as a shopper's telephone would see it: turned, off centre, in bad light.

Every step is drawn from one generator, so that the same seed gives the same bytes with the same
Pillow and NumPy.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

CANVAS_PX = 288
# The thing's longer side on the canvas, before it is turned.
THING_PX = 208

Corners = NDArray[np.float64]  # [4, 2]: x and y, clockwise from the top left


@dataclass(frozen=True, slots=True)
class Wear:
    """How far a photo may stray from the picture; each draw lies between none of it and all.

    `turn_deg` to either side, `lean` of a corner as a fraction of the thing's side, `crop` as the
    fraction of the canvas cut from each edge, `light` as a factor's distance from 1, `blur_px` as
    the radius, `jpeg_quality` from and to.
    """

    turn_deg: float = 15.0
    lean: float = 0.08
    crop: float = 0.14
    light: float = 0.3
    blur_px: float = 1.2
    jpeg_quality: tuple[int, int] = (55, 90)


# Of a detail half the thing may be missing: what words are added to.
DETAIL = Wear(crop=0.32)


def shopper_photo(picture: bytes, rng: np.random.Generator, wear: Wear) -> bytes:
    """A JPEG of the picture. A picture without transparency keeps its own background.

    Raises OSError or ValueError, as Pillow does, if the bytes are no picture.
    """
    with Image.open(io.BytesIO(picture)) as opened:
        thing = opened.convert("RGBA")
    thing.thumbnail((THING_PX, THING_PX), Image.Resampling.LANCZOS)
    lit = _relit(thing, rng, wear.light)
    photo = _background(rng)
    placed = _placed(lit, rng, wear)
    photo.paste(placed, (0, 0), placed)
    photo = _shaded(_cropped(photo, rng, wear.crop), rng, wear.light)
    photo = photo.filter(ImageFilter.GaussianBlur(rng.uniform(0, wear.blur_px)))
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=int(rng.integers(*wear.jpeg_quality, endpoint=True)))
    return out.getvalue()


def _relit(thing: Image.Image, rng: np.random.Generator, light: float) -> Image.Image:
    """Brightness, contrast and colour of the lamp; transparency stays."""
    alpha = thing.getchannel("A")
    lit = ImageEnhance.Brightness(thing.convert("RGB")).enhance(rng.uniform(1 - light, 1 + light))
    lit = ImageEnhance.Contrast(lit).enhance(rng.uniform(1 - light, 1 + light))
    warmth = rng.uniform(-light / 3, light / 3)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    pixels = np.clip(np.asarray(lit, np.float64) * tint, 0, 255).astype(np.uint8)
    result = Image.fromarray(pixels, "RGB")
    result.putalpha(alpha)
    return result


def _background(rng: np.random.Generator) -> Image.Image:
    """A table or a wall: one colour, coarse blotches, a slope of light, fine grain."""
    colour = rng.uniform(40, 235, size=3)
    blotches = rng.normal(0, rng.uniform(2, 18), size=(9, 9)).astype(np.float32)
    coarse = Image.fromarray(blotches, "F").resize((CANVAS_PX, CANVAS_PX), Image.Resampling.BICUBIC)
    slope = np.linspace(-1, 1, CANVAS_PX) * rng.uniform(-25, 25)
    grain = rng.normal(0, 3, size=(CANVAS_PX, CANVAS_PX))
    grey = np.asarray(coarse, np.float64) + slope[:, np.newaxis] + grain
    pixels = np.clip(colour + grey[..., np.newaxis], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels, "RGB")


def _placed(thing: Image.Image, rng: np.random.Generator, wear: Wear) -> Image.Image:
    """The thing on a transparent canvas, turned and seen at a slant."""
    width, height = thing.size
    from_corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    angle = np.deg2rad(rng.uniform(-wear.turn_deg, wear.turn_deg))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    lean = rng.uniform(-wear.lean, wear.lean, size=(4, 2)) * max(width, height)
    centred = (from_corners - [width / 2, height / 2]) @ turn + lean
    return thing.transform(
        (CANVAS_PX, CANVAS_PX),
        Image.Transform.PERSPECTIVE,
        _perspective(centred + CANVAS_PX / 2, from_corners),
        Image.Resampling.BICUBIC,
    )


def _perspective(seen: Corners, original: Corners) -> list[float]:
    """Pillow's eight coefficients, which map each seen corner back to its original.

    x = (a u + b v + c) / (g u + h v + 1), y = (d u + e v + f) / (g u + h v + 1): eight linear
    equations in a to h.
    """
    rows, values = [], []
    for (u, v), (x, y) in zip(seen, original, strict=True):
        rows.append([u, v, 1, 0, 0, 0, -x * u, -x * v])
        rows.append([0, 0, 0, u, v, 1, -y * u, -y * v])
        values += [x, y]
    solved: list[float] = np.linalg.solve(np.array(rows), np.array(values)).tolist()
    return solved


def _cropped(photo: Image.Image, rng: np.random.Generator, crop: float) -> Image.Image:
    left, top, right, bottom = rng.uniform(0, crop, size=4) * CANVAS_PX
    box = (round(left), round(top), CANVAS_PX - round(right), CANVAS_PX - round(bottom))
    return photo.crop(box)


def _shaded(photo: Image.Image, rng: np.random.Generator, light: float) -> Image.Image:
    """Light that falls off from one side to the other."""
    width, height = photo.size
    direction = rng.uniform(0, 2 * np.pi)
    across = np.cos(direction) * np.linspace(-0.5, 0.5, width)
    down = np.sin(direction) * np.linspace(-0.5, 0.5, height)
    factor = 1 + rng.uniform(0, light) * (down[:, np.newaxis] + across[np.newaxis])
    pixels = np.asarray(photo, np.float64) * factor[..., np.newaxis]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")
