"""Shoppers and a shop that keeps its catalogue, at a steady pace, each answer looked at."""

from __future__ import annotations

import asyncio
import base64
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

PAUSE_S = 0.05


@dataclass
class ShopLoad:
    """What was asked and answered. `there` is what the catalogue must be: item id → title."""

    urls: Sequence[str]
    pictures: Mapping[str, bytes]
    there: dict[str, str]
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, release)
    failures: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)  # releases, as they answered
    going: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load for the block. Every writer has items of its own, so that their order is known."""
        self.going.set()
        async with httpx.AsyncClient(timeout=30.0) as client:
            tasks = (self._search, self._search, self._write, self._write)
            workers = [
                asyncio.create_task(self._work(client, number, task))
                for number, task in enumerate(tasks)
            ]
            try:
                yield
            finally:
                await self.pause()
                for worker in workers:
                    worker.cancel()
                ended = await asyncio.gather(*workers, return_exceptions=True)
        for error in ended:
            if not isinstance(error, asyncio.CancelledError):
                raise AssertionError("a worker ended") from error

    async def pause(self) -> None:
        """Nothing is under way when this returns, until `go_on`."""
        self.going.clear()
        await self.idle.wait()

    def go_on(self) -> None:
        """Goes on after a pause."""
        self.going.set()

    async def reach(self, more: int) -> None:
        """Returns when so many more requests have been answered."""
        goal = self.answers.total() + more
        async with asyncio.timeout(120):
            while self.answers.total() < goal:  # noqa: ASYNC110 - the workers know no goal
                await asyncio.sleep(PAUSE_S)

    async def _work(self, client: httpx.AsyncClient, number: int, task: Any) -> None:
        chance = random.Random(number)
        while True:
            await self.going.wait()
            self.under_way += 1
            self.idle.clear()
            try:
                await task(client, number, chance)
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
            finally:
                self.under_way -= 1
                if self.under_way == 0:
                    self.idle.set()
            await asyncio.sleep(PAUSE_S)

    async def _search(self, client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
        """One search; a picture of the catalogue must find itself, which it only does where the
        query's vector and the collection's are of one space."""
        name = chance.choice(sorted(self.pictures))
        item_id = f"fixed-{name}"
        kind = chance.choice(("image", "image", "text", "similar", "hybrid"))
        data = base64.b64encode(self.pictures[name]).decode()
        url = chance.choice(list(self.urls))
        if kind == "similar":
            response = await client.get(f"{url}/v1/items/{item_id}/similar?limit=5")
        else:
            parts = {
                "image": [{"image": data}],
                "text": [{"text": f"thing {chance.randrange(50)}"}],
                "hybrid": [{"image": data}, {"text": "thing"}],
            }[kind]
            body = {"query": parts, "limit": 5, "fields": ["title"]}
            response = await client.post(f"{url}/v1/search", json=body)
        answer = self._checked(kind, response)
        if answer is None:
            return
        self.order.append(answer["release"])
        if kind == "image":
            best = answer["hits"][0]
            # Items that the writers made share these pictures: whichever of them comes first.
            if best["score"] < 0.99 or not best["id"].startswith((item_id, "live-")):
                self.failures.append(f"{answer['release']}: {name} found {best}")

    async def _write(self, client: httpx.AsyncClient, number: int, chance: random.Random) -> None:
        item_id = f"live-{number}-{chance.randrange(20)}"
        url = chance.choice(list(self.urls))
        if chance.random() < 0.35:
            response = await client.delete(f"{url}/v1/items/{item_id}")
            if response.status_code == (204 if item_id in self.there else 404):
                self.there.pop(item_id, None)
                self.answers["delete", ""] += 1
            else:
                self.failures.append(f"DELETE {item_id}: {response.status_code} {response.text}")
            return
        name, title = chance.choice(sorted(self.pictures)), f"Live {chance.random():.6f}"
        body = {"title": title, "pictures": [f"{name}.png"], "price": 1.5}
        response = await client.put(f"{url}/v1/items/{item_id}", json=body)
        if self._checked("upsert", response) is not None:
            self.there[item_id] = title

    def _checked(self, kind: str, response: httpx.Response) -> dict[str, Any] | None:
        if response.status_code != 200:
            self.failures.append(f"{kind}: {response.status_code} {response.text}")
            return None
        answer: dict[str, Any] = response.json()
        self.answers[kind, answer.get("release", "")] += 1
        return answer
