"""From the bytes that a shopper sends to the pixels that the image tower takes.

Two steps, both pure and both slow enough to belong on a worker thread:

- `decode` opens an allowed format, refuses what is too large *before* decoding it, turns the
  picture upright (EXIF), puts transparency on white and gives 8-bit RGB;
- `to_pixels` resizes and crops as open_clip's own transform does, to the pixel.

One exception, for safety: of a picture longer than MAX_ASPECT times its width (or the reverse) only
the part that is kept is resized. open_clip would enlarge a 1 by 4000 picture to 224 by 896,000
pixels first and cut afterwards. The same filter over the same pixels, but Pillow may run its two
passes in the other order then, so the pixels are close instead of equal.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gateway.domain.errors import InvalidQuery, PictureTooLarge, UndecodablePicture
from gateway.domain.query import Crop
from gateway.domain.release import ImageTower, Interpolation, ResizeMode

Pixels = NDArray[np.uint8]  # [height_px, width_px, 3], RGB

# No SVG, EPS, PDF, TIFF: formats that programs hide in, or that phones and browsers do not send.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")

# Pillow only warns at its own limit; ours is checked on the header and refuses.
Image.MAX_IMAGE_PIXELS = None

# Pillow's decoders speak through all of these when a file is damaged or lies about itself.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
    OverflowError,
    struct.error,
    zlib.error,
)

_RESAMPLING = {
    Interpolation.BICUBIC: Image.Resampling.BICUBIC,
    Interpolation.BILINEAR: Image.Resampling.BILINEAR,
}
_WHITE = (255, 255, 255)

# libjpeg scales by 1/2, 1/4, 1/8 while decoding. With so many times the tower's size the mean error
# is 0.1 to 0.8 grey levels. 60 photos of each of 14 sizes from 160 to 1,000 px, through the
# sample's image tower: the cosine to the plain path was at least 0.9993 in the mean and 0.998 for
# 95 of 100; with twice the size 0.9996 and 0.9987, at up to 1.3 times the cost (VGA).
SCALED_DECODE_MARGIN = 1.5

# No article is photographed longer than this; beyond it, the whole is never resized at once.
MAX_ASPECT = 16


# Pillow keeps four bytes a pixel in most modes, and makes one copy on the way to RGB.
BYTES_PER_PIXEL = 8

# Takes a number of bytes, or raises.
Reserve = Callable[[int], None]


def _any_number(size_bytes: int) -> None:
    """There is room for everything."""


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What is refused before decoding. The defaults take a 25-megapixel phone photo."""

    max_bytes: int = 10 * 2**20
    max_pixels: int = 25_000_000
    max_side_px: int = 12_000


def decode(
    data: bytes,
    limits: PictureLimits,
    *,
    at_least_px: int | None = None,
    field: str = "image",
    reserve: Reserve = _any_number,
) -> Image.Image:
    """The first frame of an encoded picture: upright, on white, mode RGB.

    With `at_least_px`, a JPEG may be decoded at a fraction of its size as long as both sides stay
    at least that long; without, every pixel is decoded.

    Raises PictureTooLarge from the header alone, and UndecodablePicture for anything else that is
    not an intact picture in one of FORMATS. `field` names the culprit in both. `reserve` is
    told how many bytes the pixels will take, before they are decoded, and may refuse.
    """
    if len(data) > limits.max_bytes:
        raise PictureTooLarge(
            f"The picture has {len(data):,} bytes; the limit is {limits.max_bytes:,}.", field=field
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            _check_size(picture.size, limits, field)
            if at_least_px is not None:
                _scale_while_decoding(picture, at_least_px)
            reserve(picture.width * picture.height * BYTES_PER_PIXEL)
            picture.load()
            return _on_white(ImageOps.exif_transpose(picture))
    except UnidentifiedImageError as exc:
        names = ", ".join(FORMATS)
        raise UndecodablePicture(f"This is not a picture in one of: {names}.", field=field) from exc
    except _DAMAGE as exc:
        raise UndecodablePicture("The picture is damaged or cut short.", field=field) from exc


def crop(picture: Image.Image, box: Crop) -> Image.Image:
    """The part of an upright picture inside `box`; at least one pixel."""
    width, height = picture.size
    left, top = math.floor(box.left * width), math.floor(box.top * height)
    right, bottom = math.ceil(box.right * width), math.ceil(box.bottom * height)
    left, top = min(left, width - 1), min(top, height - 1)
    return picture.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def check_crop(box: Crop, *, field: str) -> None:
    """InvalidQuery unless the box has an area and lies inside the picture."""
    inside = 0.0 <= box.left < box.right <= 1.0 and 0.0 <= box.top < box.bottom <= 1.0
    if not inside:
        raise InvalidQuery(
            "The crop box is [left, top, right, bottom] in fractions from 0 to 1, left < right "
            "and top < bottom.",
            field=field,
        )


def to_pixels(picture: Image.Image, tower: ImageTower) -> Pixels:
    """The tower's input `[height_px, width_px, 3]` from an RGB picture, as open_clip makes it."""
    if tower.resize_mode is ResizeMode.SQUASH:
        return _resize(picture, (tower.width_px, tower.height_px), tower)
    if tower.resize_mode is ResizeMode.SHORTEST:
        return _fill_and_crop(picture, tower)
    return _fit_and_pad(picture, tower)


def decode_to_pixels(
    data: bytes,
    tower: ImageTower,
    limits: PictureLimits,
    box: Crop | None = None,
    reserve: Reserve = _any_number,
) -> Pixels:
    """`decode`, `crop` and `to_pixels` with scaled decoding: the gateway's path."""
    shown = 1.0 if box is None else min(box.right - box.left, box.bottom - box.top)
    side_px = max(tower.height_px, tower.width_px) * SCALED_DECODE_MARGIN / shown
    picture = decode(data, limits, at_least_px=math.ceil(side_px), reserve=reserve)
    return to_pixels(picture if box is None else crop(picture, box), tower)


def _check_size(size: tuple[int, int], limits: PictureLimits, field: str) -> None:
    width, height = size
    if width * height > limits.max_pixels or max(size) > limits.max_side_px:
        raise PictureTooLarge(
            f"The picture has {width:,} x {height:,} pixels; the limits are "
            f"{limits.max_pixels:,} in all and {limits.max_side_px:,} a side.",
            field=field,
        )


def _scale_while_decoding(picture: Image.Image, at_least_px: int) -> None:
    """Asks the JPEG decoder for the smallest of its scales that keeps both sides long enough."""
    short_px = min(picture.size)
    if short_px > at_least_px:
        ratio = at_least_px / short_px
        wanted = (math.ceil(picture.width * ratio), math.ceil(picture.height * ratio))
        picture.draft(None, wanted)


def _on_white(picture: Image.Image) -> Image.Image:
    """8-bit RGB of any mode that FORMATS decode to; what is transparent becomes white."""
    if picture.mode in ("RGB", "L", "CMYK", "1", "YCbCr") and "transparency" not in picture.info:
        return picture.convert("RGB")
    if picture.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion cuts off at 255 instead of scaling.
        grey = np.asarray(picture).astype(np.uint32) >> 8
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    layered = picture.convert("RGBA")
    flat = Image.new("RGB", layered.size, _WHITE)
    flat.paste(layered, mask=layered.getchannel("A"))
    return flat


def _fill_and_crop(picture: Image.Image, tower: ImageTower) -> Pixels:
    """The short side fits, the middle is kept."""
    width, height = picture.size
    if tower.height_px == tower.width_px:
        # torchvision.Resize with one number: the long side is cut down to a whole pixel.
        size_px, short = tower.height_px, min(width, height)
        full_w = size_px if width <= height else int(size_px * width / short)
        full_h = size_px if height <= width else int(size_px * height / short)
    else:
        # open_clip.ResizeKeepRatio: both sides are rounded.
        ratio = min(height / tower.height_px, width / tower.width_px)
        full_w, full_h = round(width / ratio), round(height / ratio)
    left = round((full_w - tower.width_px) / 2.0)
    top = round((full_h - tower.height_px) / 2.0)
    right, bottom = left + tower.width_px, top + tower.height_px
    if full_w * full_h <= MAX_ASPECT * tower.width_px * tower.height_px:
        return _resize(picture, (full_w, full_h), tower)[top:bottom, left:right]
    scale_x, scale_y = width / full_w, height / full_h
    # min(): rounding must not push the box a hair's breadth outside.
    box = (
        left * scale_x,
        top * scale_y,
        min(right * scale_x, float(width)),
        min(bottom * scale_y, float(height)),
    )
    return _resize(picture, (tower.width_px, tower.height_px), tower, box)


def _fit_and_pad(picture: Image.Image, tower: ImageTower) -> Pixels:
    """The long side fits, the rest is filled."""
    width, height = picture.size
    ratio = max(height / tower.height_px, width / tower.width_px)
    # open_clip would ask for zero pixels of a very long picture, and fail.
    size = (max(1, round(width / ratio)), max(1, round(height / ratio)))
    inner = _resize(picture, size, tower)
    pixels = np.full((tower.height_px, tower.width_px, 3), tower.fill, dtype=np.uint8)
    top, left = (tower.height_px - size[1]) // 2, (tower.width_px - size[0]) // 2
    pixels[top : top + size[1], left : left + size[0]] = inner
    return pixels


def _resize(
    picture: Image.Image,
    size: tuple[int, int],
    tower: ImageTower,
    box: tuple[float, float, float, float] | None = None,
) -> Pixels:
    resized = picture.resize(size, _RESAMPLING[tower.interpolation], box=box)
    return np.asarray(resized)
