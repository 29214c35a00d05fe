"""`make screenshots`: the pictures in docs/screenshots, taken of the demo.

Starts the demo (or takes the one whose address is given), shows it pictures that are made of the
sample shop's own drawings, and takes the page in each of its forms. Only the answer behind
`no-match.png` is altered: the sample release has no cut-off of its own, by which an answer is
called no good match. The page takes the system's font: Debian's is `fonts-noto-core`.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import resvg_py
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import Browser, Page, Route

from gateway.local.sample_catalog import sample_items
from tests.page.browser import browser, chromium

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "screenshots"
MOST_BYTES = 250_000
COLOURS = 255

WIDE = (1280, 860)
NARROW = (390, 844)

Scheme = Literal["light", "dark"]
FORMS: tuple[tuple[str, Scheme, tuple[int, int]], ...] = (
    ("wide-light", "light", WIDE),
    ("wide-dark", "dark", WIDE),
    ("narrow", "light", NARROW),
)

# What lies where on the table: the drawing's name, its side and corner in pixels, degrees.
THINGS = (
    ("om-1f9f8", 350, (20, 150), 6),
    ("om-1f697", 380, (330, 190), -4),
    ("om-1f381", 290, (690, 260), 5),
)
TABLE = (233, 226, 214)


def main() -> None:
    """Takes all of them."""
    executable = chromium()
    if executable is None:
        sys.exit("error: no Chromium: `apt-get install chromium`, or name one in CHROMIUM")
    OUT.mkdir(parents=True, exist_ok=True)
    given = sys.argv[1:]
    with nullcontext(given[0]) if given else demo() as url, browser(executable) as opened:
        take(opened, url)


def take(opened: Browser, url: str) -> None:
    """Every picture, one after another."""
    bouquet, table = drawn("om-1f490"), scene()
    # The first search after a start is slower than those that follow.
    found(new_page(opened, url, "light", WIDE), table)
    for name, scheme, size in FORMS:
        page = new_page(opened, url, scheme, size)
        found(page, bouquet)
        save(page, name)
    page = new_page(opened, url, "light", WIDE)
    found(page, table)
    crop(page, (0.33, 0.28, 0.73, 0.84))
    save(page, "crop")
    page = new_page(opened, url, "light", WIDE)
    page.route("**/v1/search", unsure)
    found(page, nothing_known())
    save(page, "no-match")


@contextmanager
def demo() -> Iterator[str]:
    """`lookalike demo` on a free port, and its address."""
    command = [sys.executable, "-m", "gateway", "demo", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if ready := re.search(r"ready on (http://\S+)", line):
                    yield ready[1]
                    break
            else:
                sys.exit("error: the demo did not start")
        finally:
            process.terminate()


def new_page(opened: Browser, url: str, scheme: Scheme, size: tuple[int, int]) -> Page:
    """The page as it opens."""
    page = opened.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce",
        device_scale_factor=1.5 if size == WIDE else 2,
        has_touch=size == NARROW,
        is_mobile=size == NARROW,
    )
    page.goto(url)
    return page


def found(page: Page, picture: bytes) -> None:
    """Searches by a picture, and waits for all that is to be seen."""
    page.set_input_files("#file", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture})
    page.wait_for_selector("#grid .card:not(.skeleton)")
    page.wait_for_load_state("networkidle")


def crop(page: Page, box: tuple[float, float, float, float]) -> None:
    """Draws a box on the picture with the mouse."""
    frame = page.locator("#frame").bounding_box()
    assert frame is not None
    left, top, right, bottom = box
    page.mouse.move(frame["x"] + left * frame["width"], frame["y"] + top * frame["height"])
    page.mouse.down()
    page.mouse.move(
        frame["x"] + right * frame["width"], frame["y"] + bottom * frame["height"], steps=8
    )
    with page.expect_response("**/v1/search"):
        page.mouse.up()
    page.wait_for_load_state("networkidle")


def unsure(route: Route) -> None:
    """An answer, called no good match."""
    response = route.fetch()
    route.fulfill(response=response, json={**response.json(), "confident": False})


def save(page: Page, name: str) -> None:
    """The page as a PNG of few colours, below MOST_BYTES."""
    page.mouse.move(0, 0)
    with Image.open(io.BytesIO(page.screenshot())) as taken:
        few = taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
    path = OUT / f"{name}.png"
    few.save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f"error: {path.name} has {path.stat().st_size:,} bytes")
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    page.close()


def drawing(name: str, side_px: int) -> Image.Image:
    """One of the sample shop's drawings, on nothing."""
    [path] = [sample.drawing for sample in sample_items() if sample.item.id == name]
    png = resvg_py.svg_to_bytes(svg_path=str(path), width=side_px, height=side_px)
    with Image.open(io.BytesIO(bytes(png))) as picture:
        return picture.convert("RGBA")


def drawn(name: str) -> bytes:
    """A drawing as a shopper might have it: turned a little, on a coloured ground, as JPEG."""
    ground = Image.new("RGB", (640, 560), TABLE)
    thing = drawing(name, 520).rotate(12, Image.Resampling.BICUBIC, expand=True)
    ground.paste(thing, ((640 - thing.width) // 2, (560 - thing.height) // 2), thing)
    return jpeg(ground)


def scene() -> bytes:
    """Three things on a table, as a photo of 1,000 by 700 pixels."""
    table = Image.new("RGB", (1000, 700), TABLE)
    for name, side_px, corner, degrees in THINGS:
        thing = drawing(name, side_px).rotate(degrees, Image.Resampling.BICUBIC, expand=True)
        table.paste(thing, corner, thing)
    return jpeg(table)


def nothing_known() -> bytes:
    """Light that fell on nothing in particular."""
    blur = Image.new("RGB", (640, 560), (58, 66, 92))
    pen = ImageDraw.Draw(blur)
    pen.ellipse((60, 40, 380, 330), fill=(201, 140, 96))
    pen.ellipse((280, 220, 620, 540), fill=(94, 128, 133))
    return jpeg(blur.filter(ImageFilter.GaussianBlur(70)))


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a file."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


if __name__ == "__main__":
    main()
