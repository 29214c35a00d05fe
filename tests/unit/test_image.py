"""Pixels: the same as open_clip's, whatever a shopper sends."""

from __future__ import annotations

import contextlib
import io
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.domain.errors import InvalidQuery, PictureTooLarge, UndecodablePicture
from gateway.domain.query import Crop
from gateway.domain.release import ImageTower, Interpolation, ResizeMode
from gateway.preprocess.image import (
    MAX_ASPECT,
    PictureLimits,
    Pixels,
    check_crop,
    decode,
    decode_to_pixels,
    to_pixels,
)

LIMITS = PictureLimits()


def tower(
    mode: ResizeMode = ResizeMode.SHORTEST,
    size: tuple[int, int] = (64, 64),
    interpolation: Interpolation = Interpolation.BICUBIC,
) -> ImageTower:
    return ImageTower("m", size[0], size[1], mode, interpolation)


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colour fields with hard edges on them: gentle and harsh at once."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    picture = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).copy()
    for _ in range(12):
        x0, y0 = rng.integers(0, width), rng.integers(0, height)
        x1, y1 = x0 + rng.integers(1, width + 1), y0 + rng.integers(1, height + 1)
        picture[y0:y1, x0:x1] = rng.integers(0, 256, 3)
    return Image.fromarray(picture)


def encode(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    if kind == "JPEG":
        picture.save(out, kind, quality=90)
    else:
        picture.save(out, kind)
    return out.getvalue()


def open_clip_pixels(picture: Image.Image, spec: ImageTower) -> Pixels:
    """open_clip's own evaluation transform, with its normalisation undone."""
    from open_clip.transform import image_transform

    size = spec.height_px if spec.height_px == spec.width_px else (spec.height_px, spec.width_px)
    transform = image_transform(
        size,
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resize_mode=spec.resize_mode.value,
        interpolation=spec.interpolation.value,
        fill_color=spec.fill,
    )
    values = transform(picture).numpy() * 255.0
    return np.asarray(np.rint(values).astype(np.uint8).transpose(1, 2, 0))


def assert_same_pixels(ours: Pixels, theirs: Pixels) -> None:
    assert ours.shape == theirs.shape
    assert np.array_equal(ours, theirs)


def aspect(width: int, height: int) -> float:
    return max(width, height) / min(width, height)


SIZES = [(640, 480), (480, 640), (300, 300), (64, 64), (63, 65), (1, 1), (60, 900), (1333, 1000)]


@pytest.mark.parametrize("mode", list(ResizeMode))
@pytest.mark.parametrize("interpolation", list(Interpolation))
@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_pixels_are_those_of_open_clip(
    mode: ResizeMode, interpolation: Interpolation, size: tuple[int, int]
) -> None:
    picture = photograph(*size)
    spec = tower(mode, interpolation=interpolation)
    assert_same_pixels(to_pixels(picture, spec), open_clip_pixels(picture, spec))


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    side=st.sampled_from([32, 64, 97, 224]),
    mode=st.sampled_from([ResizeMode.SHORTEST, ResizeMode.SQUASH]),
)
def test_pixels_are_those_of_open_clip_at_any_size(
    width: int, height: int, side: int, mode: ResizeMode
) -> None:
    assume(aspect(width, height) < MAX_ASPECT)
    picture = photograph(width, height, seed=width * 501 + height)
    spec = tower(mode, (side, side))
    assert_same_pixels(to_pixels(picture, spec), open_clip_pixels(picture, spec))


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1)], ids=["1x4000", "4000x1"])
@pytest.mark.parametrize("mode", list(ResizeMode))
def test_a_thread_of_pixels_is_cheap(size: tuple[int, int], mode: ResizeMode) -> None:
    start = time.process_time()
    pixels = decode_to_pixels(encode(photograph(*size)), tower(mode, (224, 224)), LIMITS)
    assert pixels.shape == (224, 224, 3)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1)], ids=["1x4000", "4000x1"])
def test_a_thread_of_pixels_is_nearly_open_clips(size: tuple[int, int]) -> None:
    picture = photograph(*size)
    spec = tower(size=(16, 16))
    difference = to_pixels(picture, spec).astype(int) - open_clip_pixels(picture, spec)
    assert np.abs(difference).mean() < 1.0


def grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L")


def palette(picture: Image.Image) -> Image.Image:
    return picture.quantize(64)


def bilevel(picture: Image.Image) -> Image.Image:
    return picture.convert("1")


def cmyk(picture: Image.Image) -> Image.Image:
    return picture.convert("CMYK")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [(grey, "PNG"), (grey, "JPEG"), (palette, "PNG"), (palette, "GIF"), (bilevel, "PNG"),
     (cmyk, "JPEG")],
    ids=["grey-png", "grey-jpeg", "palette-png", "palette-gif", "bilevel-png", "cmyk-jpeg"],
)  # fmt: skip
def test_every_colour_mode_is_its_rgb_picture(
    mode: Callable[[Image.Image], Image.Image], kind: str
) -> None:
    data = encode(mode(photograph(200, 150)), kind)
    with Image.open(io.BytesIO(data)) as plain:
        expected = open_clip_pixels(plain.convert("RGB"), tower())
    assert_same_pixels(to_pixels(decode(data, LIMITS), tower()), expected)


def test_sixteen_bits_keep_their_range() -> None:
    ramp = np.linspace(0, 65535, 256 * 256, dtype=np.uint16).reshape(256, 256)
    out = io.BytesIO()
    Image.fromarray(ramp).save(out, "PNG")
    decoded = np.asarray(decode(out.getvalue(), LIMITS))
    assert np.array_equal(decoded[..., 0], (ramp >> 8).astype(np.uint8))


def test_transparency_goes_on_white() -> None:
    layered = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    layered.putpixel((0, 0), (10, 20, 30, 255))
    for kind in ("PNG", "WEBP"):
        out = io.BytesIO()
        if kind == "WEBP":
            layered.save(out, kind, lossless=True)
        else:
            layered.save(out, kind)
        decoded = decode(out.getvalue(), LIMITS)
        assert decoded.getpixel((0, 0)) == (10, 20, 30)
        assert decoded.getpixel((7, 7)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_phone_photos_are_turned_upright(orientation: int) -> None:
    upright = photograph(60, 40)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    stored.save(out, "PNG", exif=exif)
    assert np.array_equal(np.asarray(decode(out.getvalue(), LIMITS)), np.asarray(upright))


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode(out.getvalue(), LIMITS).getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_every_allowed_format_decodes(kind: str) -> None:
    assert decode(encode(photograph(50, 40), kind), LIMITS).size == (50, 40)


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "PPM", "EPS", "PDF", "TGA", "ICO"])
def test_no_other_format_is_opened(kind: str) -> None:
    with pytest.raises(UndecodablePicture, match="not a picture"):
        decode(encode(photograph(50, 40), kind), LIMITS)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\xff\xd8\xff", b"\x89PNG\r\n"],
    ids=["empty", "text", "svg", "jpeg-start", "png-start"],
)
def test_what_is_no_picture_is_named_so(data: bytes) -> None:
    with pytest.raises(UndecodablePicture) as caught:
        decode(data, LIMITS, field="query[2].image")
    assert caught.value.field == "query[2].image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_truncated_picture_is_refused(kind: str) -> None:
    data = encode(photograph(300, 200), kind)
    with pytest.raises(UndecodablePicture):
        decode(data[: len(data) // 2], LIMITS)


def test_a_bomb_is_refused_by_its_header() -> None:
    header = encode(Image.new("1", (1, 1)))
    huge = header[:16] + (60_000).to_bytes(4, "big") * 2 + header[24:]
    crc = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    huge = huge[:29] + crc + huge[33:]
    start = time.process_time()
    with pytest.raises(PictureTooLarge, match="60,000 x 60,000"):
        decode(huge, LIMITS)
    assert time.process_time() - start < 0.05


def test_too_many_bytes_are_refused_unopened() -> None:
    with pytest.raises(PictureTooLarge, match="11 bytes"):
        decode(b"hello world", PictureLimits(max_bytes=10))


# A damaged EXIF block makes Pillow warn and go on; the picture is still good.
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=300, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "AVIF"]))
def test_a_damaged_picture_decodes_or_is_refused(data: st.DataObject, kind: str) -> None:
    whole = bytearray(encode(photograph(40, 30), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UndecodablePicture, PictureTooLarge):
        assert decode_to_pixels(bytes(whole), tower(), LIMITS).shape == (64, 64, 3)


def test_scaled_decoding_stays_close_to_the_exact_pixels() -> None:
    data = encode(photograph(2400, 1800), "JPEG")
    exact = to_pixels(decode(data, LIMITS), tower()).astype(float)
    scaled = decode_to_pixels(data, tower(), LIMITS).astype(float)
    assert np.abs(exact - scaled).mean() < 2.0


def test_scaled_decoding_is_scaled() -> None:
    data = encode(photograph(2400, 1800), "JPEG")
    assert decode(data, LIMITS, at_least_px=128).size == (300, 225)


def test_a_crop_keeps_enough_pixels_and_the_right_ones() -> None:
    picture = Image.new("RGB", (1000, 1000), "white")
    picture.paste((255, 0, 0), (800, 800, 1000, 1000))
    box = Crop(0.8, 0.8, 1.0, 1.0)
    pixels = decode_to_pixels(encode(picture, "JPEG"), tower(), LIMITS, box)
    assert np.abs(pixels.astype(int) - (254, 0, 0)).mean() < 3


@pytest.mark.parametrize(
    "box",
    [(0.5, 0, 0.5, 1), (0, 0.9, 1, 0.1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1), (float("nan"), 0, 1, 1)],
    ids=["no-width", "upside-down", "left-of-picture", "below-picture", "nan"],
)
def test_an_impossible_crop_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InvalidQuery, match="crop box"):
        check_crop(Crop(*box), field="crop")
