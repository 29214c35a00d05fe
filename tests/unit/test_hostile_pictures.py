"""Whatever is sent as a picture: a vector or a clear refusal, soon, and in little memory."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gateway.domain.errors import InvalidQuery, PictureTooLarge, UndecodablePicture
from gateway.preprocess.image import PictureLimits, decode_to_pixels
from tests.fakes import picture
from tests.shop import Shop
from tests.unit.test_image import encode, photograph, tower

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
LIMITS = PictureLimits(max_pixels=4_000_000)
MUTANTS = 2_000  # of each kind
MAX_S = 1.0
MAX_GROWTH_MIB = 128

# A damaged EXIF block makes Pillow warn and go on; the picture is still good.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

WHOLE = {kind: encode(photograph(64, 48), kind) for kind in KINDS}


def flip(data: bytes, at: int, extra: bytes) -> bytes:
    return data[:at] + bytes([data[at] ^ (extra[0] | 1)]) + data[at + 1 :]


def overwrite(data: bytes, at: int, extra: bytes) -> bytes:
    return data[:at] + extra + data[at + len(extra) :]


def insert(data: bytes, at: int, extra: bytes) -> bytes:
    return data[:at] + extra + data[at:]


def cut(data: bytes, at: int, extra: bytes) -> bytes:
    return data[: max(at, 1)]


def repeat(data: bytes, at: int, extra: bytes) -> bytes:
    return data[:at] + data[at : at + 512] * extra[0] + data[at:]


def graft(data: bytes, at: int, extra: bytes) -> bytes:
    """The rest of a file of another kind."""
    other = WHOLE[KINDS[extra[0] % len(KINDS)]]
    return data[:at] + other[min(at, len(other) - 1) :]


def huge(data: bytes, at: int, extra: bytes) -> bytes:
    """A length, a width or an offset that is as large as it can be."""
    return overwrite(data, at, b"\xff" * (1 + extra[0] % 8))


MUTATIONS = (flip, overwrite, insert, cut, repeat, graft, huge)
Mutation = Callable[[bytes, int, bytes], bytes]
STEPS = st.lists(
    st.tuples(st.sampled_from(MUTATIONS), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


def mutated(kind: str, steps: list[tuple[Mutation, float, bytes]]) -> bytes:
    data = WHOLE[kind]
    for mutation, where, extra in steps:
        data = mutation(data, int(where * (len(data) - 1)), extra)
    return data


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answered(data: bytes) -> type[InvalidQuery] | None:
    """What became of a picture; it took less than MAX_S."""
    start = time.process_time()
    try:
        assert decode_to_pixels(data, tower(), LIMITS).shape == (64, 64, 3)
        found = None
    except InvalidQuery as refusal:
        found = type(refusal)
    assert time.process_time() - start < MAX_S
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_damaged_pictures_are_answered_soon_and_in_little_memory(kind: str) -> None:
    before = peak_mib()
    outcomes: set[type[InvalidQuery] | None] = set()

    @settings(
        max_examples=MUTANTS,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(steps=STEPS)
    def each(steps: list[tuple[Mutation, float, bytes]]) -> None:
        outcomes.add(answered(mutated(kind, steps)))

    each()
    assert outcomes <= {None, UndecodablePicture, PictureTooLarge}
    assert UndecodablePicture in outcomes
    assert peak_mib() - before < MAX_GROWTH_MIB


def chunk(name: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_with(extra: bytes) -> bytes:
    """A PNG with more chunks after its header."""
    return WHOLE["PNG"][:33] + extra + WHOLE["PNG"][33:]


def frames(kind: str, count: int) -> bytes:
    out = io.BytesIO()
    pictures = [Image.new("P", (64, 64), n % 7) for n in range(count)]
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], duration=10)
    return out.getvalue()


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG that says that it is this large."""
    data = WHOLE["JPEG"]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def bombs() -> Iterator[tuple[str, bytes, set[type[InvalidQuery] | None]]]:
    """Names, files, and what may become of them."""
    fine: set[type[InvalidQuery] | None] = {None}
    refused: set[type[InvalidQuery] | None] = {UndecodablePicture}
    text = zlib.compress(b"\0" * 50_000_000)
    yield "text of 50 MB", png_with(chunk(b"zTXt", b"k\0\0" + text)), fine | refused
    yield "profile of 50 MB", png_with(chunk(b"iCCP", b"k\0\0" + text)), fine | refused
    yield "a hundred thousand chunks", png_with(chunk(b"tEXt", b"k\0v") * 100_000), fine | refused
    yield "jpeg of 65,500 a side", jpeg_of(65_500, 65_500), {PictureTooLarge}
    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    yield "one bit times 144 million", out.getvalue(), {PictureTooLarge}
    yield "pixels without data", jpeg_of(1_999, 1_999), fine | refused
    yield "a thousand frames", frames("GIF", 1_000), fine
    yield "frames of webp", frames("WEBP", 100), fine


BOMBS = list(bombs())


@pytest.mark.parametrize(("data", "may"), [b[1:] for b in BOMBS], ids=[b[0] for b in BOMBS])
def test_a_bomb_does_not_go_off(data: bytes, may: set[type[InvalidQuery] | None]) -> None:
    before = peak_mib()
    assert answered(data) in may
    assert peak_mib() - before < MAX_GROWTH_MIB


HTML = b"<html><script>alert(1)</script></html>"
POLYGLOTS = {
    "gif and script": b"GIF89a/*" + HTML + b"*/=1;",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "pdf": b"%PDF-1.7\n" + WHOLE["JPEG"],
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(a) show",
    "html before a png": HTML + WHOLE["PNG"],
    "zip": b"PK\x03\x04" + WHOLE["PNG"],
    "fits": b"SIMPLE  =                    T".ljust(2880),
}


@pytest.mark.parametrize("data", POLYGLOTS.values(), ids=list(POLYGLOTS))
def test_what_begins_as_something_else_is_not_opened(data: bytes) -> None:
    assert answered(data) is UndecodablePicture


@pytest.mark.parametrize("kind", KINDS)
def test_what_hangs_on_behind_a_picture_is_not_looked_at(kind: str) -> None:
    assert answered(WHOLE[kind] + HTML * 1000) is None


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kind=st.sampled_from(KINDS), steps=STEPS)
async def test_no_picture_is_a_fault_of_the_server(
    shop: Shop, kind: str, steps: list[tuple[Mutation, float, bytes]]
) -> None:
    files = {"image": ("photo.jpg", mutated(kind, steps), "image/jpeg")}
    response = await shop.http.post("/v1/search/image", files=files)
    assert response.status_code in (200, 413, 422), response.text


async def test_one_poisoned_picture_of_a_batch_fails_alone(shop: Shop) -> None:
    poisons = {f"poison-{n}.png": data for n, (_, data, _) in enumerate(BOMBS)}
    poisons |= {f"damaged-{kind}.png": WHOLE[kind][:100] for kind in KINDS}
    shop.pictures.pictures |= poisons | {"good.png": picture("red")}
    uris = ["good.png", *poisons, "good.png"]
    batch = [{"id": f"new-{n}", "title": "New", "pictures": [u]} for n, u in enumerate(uris)]
    response = await shop.http.post("/v1/items/batch", json={"upsert": batch})
    assert response.status_code == 200
    outcomes = [result["status"] for result in response.json()["results"]]
    assert outcomes[0] == outcomes[-1] == "indexed"
    assert "failed" in outcomes
    found = await shop.http.get("/v1/items/new-0")
    assert found.status_code == 200
