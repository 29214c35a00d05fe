"""Builds of a release beside the active one, on the toy models and the real edge store."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from gateway.domain.errors import (
    Conflict,
)
from gateway.domain.items import Item
from gateway.domain.ports import Priority
from gateway.services.release_build import (
    PACE_S,
    BuildLimits,
    BuildProgress,
    BuildState,
)
from gateway.services.release_status import ReleaseState
from tests.fakes import COLOURS, picture
from tests.releases import V1, V2, built, first, in_step, soon
from tests.shop import ITEMS, Shop, open_shop

PICTURES = sum(len(item.pictures) for item in ITEMS)


async def test_a_build_fills_a_collection_beside_the_active_one(shop: Shop) -> None:
    progress = await built(shop)
    assert (progress.state, progress.items, progress.done) == (BuildState.DONE, 5, 5)
    assert progress.embedded == PICTURES
    assert await in_step(shop)
    assert (await first(shop, "red"))["release"] == V1
    candidate = await first(shop, "red", {"X-Release": V2})
    assert candidate["release"] == V2
    assert candidate["hits"][0]["id"] in {"red-shoe", "yellow-hat"}
    # Only this space gives such a cosine: the collection's vectors are the second model's.
    assert candidate["hits"][0]["score"] > 0.99


async def test_a_build_gives_way_to_live_searches(shop: Shop) -> None:
    shop.inference.calls.clear()
    await built(shop)
    rows = [(model, n, how) for model, n, how in shop.inference.calls if n > 1]
    assert rows
    assert {how for _, _, how in rows} == {Priority.BULK}


async def test_a_build_with_a_limit_copies_no_faster(shop: Shop) -> None:
    progress = await built(shop, most_per_s=len(ITEMS) / 0.5)
    assert progress.state is BuildState.DONE
    # Of copying alone. Items come in pieces, and the first of them has not to wait.
    assert progress.seconds > 0.5 - PACE_S
    assert await in_step(shop)


async def test_a_build_that_was_stopped_embeds_nothing_twice(tmp_path: Path) -> None:
    names = list(COLOURS)
    items = [Item(f"sku-{n}", f"Thing {n}", (f"{names[n % 6]}.png",)) for n in range(150)]
    async with open_shop(tmp_path / "index", items) as shop:
        shop.inference.calls.clear()
        lifecycle = shop.gateway.lifecycle
        shop.inference.arrived = asyncio.Semaphore(0)
        lifecycle.start_build(V2, BuildLimits(0.0))
        golden = 2 * len(COLOURS)
        for _ in range(golden + 4):  # the golden inputs, and some of the catalogue
            await asyncio.wait_for(shop.inference.arrived.acquire(), 10)
        await lifecycle.stop_build(V2)
        status = await lifecycle.status(V2)
        assert status.build is not None
        assert status.build.state is BuildState.STOPPED
        assert status.state is ReleaseState.INCOMPLETE
        assert 0 < (status.points or 0) < 150
        again = await built(shop)
        assert again.embedded == 150 - (status.points or 0)
        assert await in_step(shop)


async def test_an_item_deleted_while_it_is_copied_does_not_come_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()
    read = shop.pictures.read

    async def slow(uri: str) -> bytes:
        data = await read(uri)
        if uri == "green.png":
            reading.set()
            await go_on.wait()
        return data

    monkeypatch.setattr(shop.pictures, "read", slow)
    building = asyncio.create_task(built(shop))
    await asyncio.wait_for(reading.wait(), 10)
    assert (await shop.http.delete("/v1/items/green-shoe")).status_code == 204
    changed = {"title": "Blue cap", "pictures": ["blue.png"]}
    assert (await shop.http.put("/v1/items/blue-hat", json=changed)).status_code == 200
    go_on.set()
    await building
    assert await in_step(shop)
    assert await shop.index.item_points(V2, "green-shoe", soon()) == []
    [cap] = await shop.index.item_points(V2, "blue-hat", soon())
    assert cap.payload["title"] == "Blue cap"


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_written_during_a_build_both_end_the_same(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    names = list(COLOURS)
    items = [Item(f"sku-{n}", f"Thing {n}", (f"{names[n % 6]}.png",)) for n in range(120)]
    async with open_shop(tmp_path / "index", items) as shop:
        building = asyncio.create_task(built(shop))
        there = {item.id for item in items}
        while not building.done():
            item_id = f"sku-{chance.randrange(140)}"
            if chance.random() < 0.4:
                await shop.http.delete(f"/v1/items/{item_id}")
                there.discard(item_id)
            else:
                pictures = [f"{chance.choice(names)}.png" for _ in range(chance.randint(1, 3))]
                body = {"title": f"Thing {chance.random()}", "pictures": pictures}
                written = await shop.http.put(f"/v1/items/{item_id}", json=body)
                assert written.status_code == 200
                there.add(item_id)
            await asyncio.sleep(chance.choice((0, 0.005)))
        await building
        assert await in_step(shop)
        assert {p["id"] async for p in shop.index.payloads(V2)} == there
        assert (await shop.gateway.lifecycle.activate(V2)).active == V2


async def test_pictures_that_are_gone_are_listed_and_too_many_end_the_build(shop: Shop) -> None:
    del shop.pictures.pictures["blue.png"]
    progress = BuildProgress(V2)
    await shop.gateway.lifecycle.build(progress, BuildLimits(0.1))
    assert progress.state is BuildState.FAILED
    assert "1 of 5 items" in (progress.reason or "")
    progress = await built(shop, most_failed=0.2)
    assert progress.state is BuildState.DONE
    assert set(progress.problems) == {"blue-hat"}
    with pytest.raises(Conflict, match=r"blue-hat.*--missing 1"):
        await shop.gateway.lifecycle.activate(V2)
    shop.pictures.pictures["blue.png"] = picture("blue")
    await built(shop)
    await shop.gateway.lifecycle.activate(V2)


async def test_a_build_that_meets_an_error_of_ours_ends_as_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(collection: str) -> None:
        raise RuntimeError(f"what nobody thought of, with {collection}")

    monkeypatch.setattr(shop.index, "optimize", broken)
    progress = BuildProgress(V2)
    await shop.gateway.lifecycle.build(progress, BuildLimits(0.0))
    assert progress.state is BuildState.FAILED
    assert not progress.running
    assert progress.reason
    assert "what nobody thought of" in caplog.text
