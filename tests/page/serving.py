"""The small shop behind a real port, for a browser: more items, and the API's every fault."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from PIL import Image

from gateway.api.http_api import create_app
from gateway.domain.access import Key, Scope
from gateway.domain.items import Item
from gateway.services.access import Access
from tests.fakes import COLOURS
from tests.shop import LIMITS, Shop, open_shop

START_TIMEOUT_S = 60
MOST = LIMITS.max_bytes
KEY = "sesame"
KINDS = ("shoe", "hat", "shirt", "bag", "scarf", "glove", "coat", "sock", "belt", "tie")
BRANDS = ("Arbor", "Bluefinch", "Fernway")

# Six colours of ten things: three pages.
ITEMS = tuple(
    Item(
        id=f"{kind}s/{colour}",
        title=f"{colour.title()} {kind}",
        pictures=(f"{colour}.png",),
        category=f"{kind}s",
        brand=BRANDS[number % 3],
        price=10.0 + number,
    )
    for number, (kind, colour) in enumerate((k, c) for k in KINDS for c in COLOURS)
)


@dataclass(frozen=True)
class Served:
    """A shop in a thread of its own, and where it is: open to everybody, and with KEY."""

    url: str
    locked_url: str
    shop: Shop


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """The shop on a free port; gone when the block ends."""
    started: list[tuple[Shop, list[uvicorn.Server]]] = []
    ready = threading.Event()
    with socket.socket() as sock, socket.socket() as locked:

        async def run() -> None:
            async with open_shop(folder, ITEMS) as shop:
                doors = (Access(), sock), (Access([Key.of(KEY, Scope.SEARCH)]), locked)
                servers = [server_of(create_app(shop.gateway, MOST, a)) for a, _ in doors]
                started.append((shop, servers))
                ready.set()
                serving = zip(servers, doors, strict=True)
                await asyncio.gather(*(server.serve([s]) for server, (_, s) in serving))

        urls = [bound(each) for each in (sock, locked)]
        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            assert ready.wait(START_TIMEOUT_S), "the shop did not start"
            yield Served(urls[0], urls[1], started[0][0])
        finally:
            for server in started[0][1] if started else ():
                server.should_exit = True
            thread.join()


def bound(sock: socket.socket) -> str:
    """A free port, taken; and its address."""
    sock.bind(("127.0.0.1", 0))
    return f"http://127.0.0.1:{sock.getsockname()[1]}/"


def server_of(app: FastAPI) -> uvicorn.Server:
    """A server that leaves the log alone."""
    return uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))


def photo(
    *columns: str, size: tuple[int, int] = (400, 300), orientation: int | None = None
) -> bytes:
    """A JPEG of equally wide columns of these colours; `orientation` is EXIF's."""
    picture = Image.new("RGB", (len(columns), 1))
    picture.putdata([COLOURS[colour] for colour in columns])
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    out = io.BytesIO()
    picture.resize(size, Image.Resampling.NEAREST).save(out, "JPEG", quality=95, exif=exif)
    return out.getvalue()
