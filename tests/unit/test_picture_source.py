"""The catalogue's pictures: read where they are, refused where they must not be read."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from gateway.adapters.picture_source import PictureFiles
from gateway.domain.errors import LookalikeError, PictureTooLarge, UnfetchablePicture

MAX_BYTES = 1_000


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bodies = {"/a.png": b"picture", "/big.png": b"x" * (MAX_BYTES + 1)}
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
        elif self.path in bodies:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(bodies[self.path])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    """A web site with pictures."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[PictureFiles]:
    """A source that reads files below `tmp_path`/shop, and addresses."""
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.png").write_bytes(b"picture")
    (folder / "big.png").write_bytes(b"x" * (MAX_BYTES + 1))
    (folder / "way-out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    async with httpx.AsyncClient(follow_redirects=True) as client:
        yield PictureFiles(folder, client, MAX_BYTES)


async def test_a_path_below_the_folder_is_read(source: PictureFiles, tmp_path: Path) -> None:
    assert await source.read("sub/a.png") == b"picture"
    assert await source.read(str(tmp_path / "shop" / "sub" / "a.png")) == b"picture"


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("../secret.png", UnfetchablePicture),
        ("/etc/hostname", UnfetchablePicture),
        ("way-out.png", UnfetchablePicture),
        ("nowhere.png", UnfetchablePicture),
        ("sub", UnfetchablePicture),
        ("nul\0byte", UnfetchablePicture),
        ("x" * 5_000, UnfetchablePicture),
        ("ftp://127.0.0.1/a.png", UnfetchablePicture),
        ("big.png", PictureTooLarge),
    ],
    ids=["up", "absolute", "link-out", "missing", "folder", "nul", "long", "ftp", "too-large"],
)
async def test_what_is_not_the_shops_is_refused(
    source: PictureFiles, uri: str, error: type[LookalikeError]
) -> None:
    with pytest.raises(error):
        await source.read(uri)


async def test_an_address_is_fetched(source: PictureFiles, site: str) -> None:
    assert await source.read(f"{site}/a.png") == b"picture"
    assert await source.read(f"{site}/moved.png") == b"picture"


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [("/none.png", UnfetchablePicture, "answered 404"), ("/big.png", PictureTooLarge, "1,000")],
    ids=["missing", "too-large"],
)
async def test_an_address_without_a_usable_picture_says_why(
    source: PictureFiles, site: str, path: str, error: type[LookalikeError], words: str
) -> None:
    with pytest.raises(error, match=words):
        await source.read(site + path)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/a.png", "http://", "https://[::1"])
async def test_nobody_at_an_address_says_so(source: PictureFiles, uri: str) -> None:
    with pytest.raises(UnfetchablePicture, match="cannot be fetched"):
        await source.read(uri)


async def test_a_closed_way_names_its_setting() -> None:
    closed = PictureFiles(None, None, MAX_BYTES)
    with pytest.raises(UnfetchablePicture, match="LOOKALIKE_PICTURES_FOLDER"):
        await closed.read("/etc/hostname")
    with pytest.raises(UnfetchablePicture, match="LOOKALIKE_FETCH_PICTURES"):
        await closed.read("http://127.0.0.1/a.png")
