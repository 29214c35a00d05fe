"""A small shop, a gateway over real servers, and shoppers who look at every answer."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

from gateway.adapters.release_files import load_release
from gateway.bootstrap import Assembly, assemble
from gateway.cli.edges import answering, listen, url_of
from gateway.domain.items import Item
from gateway.settings import Settings

REPOSITORY = Path(__file__).parents[2] / "model_repository"
RELEASE = "sample-v1"
_LOADED = load_release(REPOSITORY, RELEASE)
DIM = _LOADED.release.dim
GOLDEN = {row.tobytes() for row in (*_LOADED.golden.images, *_LOADED.golden.texts)}

ITEMS = 40
DEADLINE_S = 0.5
# What an answer may be late by on two busy cores, with shoppers and servers on them as well.
GRACE_S = 0.25
# A machine that does other things as well may stand still for so long. No wait without a bound
# is so short.
STANDSTILL_S = 4.0
DECLARED = {200, 429, 503, 504}

_SHAPES = ("ellipse", "rectangle", "triangle", "cross")
_COLOURS = ("red", "green", "blue", "orange", "purple")


def drawing(number: int) -> bytes:
    """A picture of its own for each number."""
    shape, colour = _SHAPES[number % 4], _COLOURS[number % 5]
    picture = Image.new("RGB", (96, 96), "white")
    draw = ImageDraw.Draw(picture)
    size = 20 + number % 25
    box = (48 - size, 48 - size // 2, 48 + size, 48 + size // 2)
    match shape:
        case "ellipse":
            draw.ellipse(box, colour)
        case "rectangle":
            draw.rectangle(box, colour)
        case "triangle":
            draw.polygon([(48, 48 - size), (48 - size, 48 + size), (48 + size, 60)], colour)
        case _:
            draw.line((10, 10 + number, 86, 86 - number), colour, 8)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def items() -> list[Item]:
    """The shop's catalogue."""
    return [
        Item(f"item-{n}", f"{_COLOURS[n % 5]} {_SHAPES[n % 4]} number {n}", (f"{n}.png",))
        for n in range(ITEMS)
    ]


def draw_pictures(folder: Path) -> None:
    """The catalogue's pictures, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(ITEMS):
        (folder / f"{number}.png").write_bytes(drawing(number))


@dataclass(frozen=True)
class Running:
    """A gateway in this process, with both of its edges on the loopback address."""

    assembly: Assembly
    http: httpx.AsyncClient
    url: str
    grpc_port: int


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """The product as it is composed and served."""
    sock = listen("127.0.0.1", 0)
    limits = httpx.Limits(max_connections=None)
    async with (
        assemble(settings) as assembly,
        answering(assembly.gateway, sock, settings) as edges,
        httpx.AsyncClient(base_url=url_of(sock), timeout=30.0, limits=limits) as http,
    ):
        yield Running(assembly, http, url_of(sock), edges.grpc_port)


async def fill(assembly: Assembly) -> None:
    """Indexes the shop's catalogue and makes it the active one."""
    report = await assembly.indexing.run(RELEASE, items(), {}, lambda _: None)
    assert not report.problems, report.problems
    await assembly.index.activate(RELEASE)
    await assembly.gateway.releases.refresh()


def settings_for(folder: Path, **more: Any) -> Settings:
    """A gateway on a folder of its own; texts are forgotten at once, so that they need Triton."""
    values: dict[str, Any] = {
        "grpc_port": 0,
        "model_repository": REPOSITORY,
        "edge_folder": folder / "index",
        "pictures_folder": folder / "pictures",
        "text_cache_entries": 1,
    }
    return Settings(**values | more)


Body = Mapping[str, Any]


def queries() -> list[Body]:
    """One of each kind of search, several times."""
    bodies: list[Body] = []
    for number in range(4):
        image = base64.b64encode(drawing(number * 3)).decode()
        bodies += [
            {"query": [{"text": f"{_COLOURS[number]} {_SHAPES[number]}"}], "limit": 5},
            {"query": [{"image": image}], "limit": 5},
            {"query": [{"image": image}, {"text": _SHAPES[number]}], "mode": "hybrid", "limit": 5},
            {"query": [{"item": f"item-{number}"}], "limit": 5},
        ]
    return bodies


@dataclass
class Tally:
    """What became of the requests sent while something was wrong."""

    codes: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    took_s: list[float] = field(default_factory=list)
    errors_took_s: list[float] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Requests, every one of which was answered."""
        return len(self.took_s)

    @property
    def right(self) -> int:
        """Answers whose items are those of the undisturbed answer."""
        return self.codes[200] - self.wrong

    def undeclared(self) -> set[int]:
        """Status codes that no fault of a backend may lead to."""
        return set(self.codes) - DECLARED


@dataclass
class Shoppers:
    """`right` holds the undisturbed answer to each of the queries."""

    http: httpx.AsyncClient
    bodies: Sequence[Body] = field(default_factory=queries)
    right: list[list[str]] = field(default_factory=list)
    deadline_s: float = DEADLINE_S

    async def learn(self) -> None:
        """Asks everything once while nothing is wrong."""
        self.right = [_ids(await self._post(body, 20.0)) for body in self.bodies]
        assert all(self.right)

    async def shop(self, rounds: int, at_once: int = 4) -> Tally:
        """Every query so many times, `at_once` under way."""
        tally = Tally()
        work = [n for _ in range(rounds) for n in range(len(self.bodies))]

        async def shopper() -> None:
            while work:
                await self._ask(work.pop(), tally)

        await asyncio.gather(*(shopper() for _ in range(at_once)))
        return tally

    async def first(self, code: int, number: int = 0, give_up_s: float = 10.0) -> float:
        """Seconds until a query is answered with this code, asked again and again."""
        start = time.monotonic()
        while True:
            tally = Tally()
            await self._ask(number, tally)
            assert tally.wrong == 0
            if tally.codes[code]:
                return time.monotonic() - start
            assert time.monotonic() - start < give_up_s, f"still {tally.codes}"
            await asyncio.sleep(0.02)  # a shopper who tries again

    async def _ask(self, number: int, tally: Tally) -> None:
        start = time.monotonic()
        response = await self._post(self.bodies[number], self.deadline_s)
        took_s = time.monotonic() - start
        tally.codes[response.status_code] += 1
        tally.took_s.append(took_s)
        if response.status_code != httpx.codes.OK:
            tally.errors_took_s.append(took_s)
        elif _ids(response) != self.right[number]:
            tally.wrong += 1

    async def _post(self, body: Body, deadline_s: float) -> httpx.Response:
        headers = {"X-Timeout-Ms": str(int(deadline_s * 1000))}
        return await self.http.post("/v1/search", json=dict(body), headers=headers)


@dataclass
class Shopkeeper:
    """Sets the items' prices, each higher than any before. `paid` is what was acknowledged."""

    http: httpx.AsyncClient
    paid: dict[str, float] = field(default_factory=dict)
    acknowledged: int = 0
    price: int = 0
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def work(self) -> None:
        """Until cancelled, or until the gateway is gone."""
        while True:
            self.price += 1
            price = self.price
            item = items()[price % ITEMS]
            body = {"title": item.title, "pictures": list(item.pictures), "price": float(price)}
            response = await self.http.put(f"/v1/items/{item.id}", json=body)
            if response.status_code == httpx.codes.OK:
                self.paid[item.id] = float(price)
                self.acknowledged += 1
                async with self.more:
                    self.more.notify_all()
            await asyncio.sleep(0.001 if response.is_success else 0.02)

    async def reach(self, acknowledged: int) -> None:
        """Returns when so many writes have been acknowledged."""
        async with self.more:
            await self.more.wait_for(lambda: self.acknowledged >= acknowledged)

    async def lost(self) -> int:
        """Acknowledged prices that the catalogue does not have, nor a later one."""
        lost = 0
        for item_id, price in self.paid.items():
            found = (await self.http.get(f"/v1/items/{item_id}")).json()
            lost += (found.get("price") or 0.0) < price
        return lost


def _ids(response: httpx.Response) -> list[str]:
    return [hit["id"] for hit in response.json().get("hits", [])]
