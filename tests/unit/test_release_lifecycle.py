"""Releases built, switched, taken back and retired, on the toy models and the real edge store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.deadline import Deadline
from gateway.domain.errors import (
    BackendUnavailable,
    Conflict,
    NotFound,
    SpaceMismatch,
)
from gateway.domain.items import Item
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Aliases, Priority
from gateway.services.collection_difference import difference
from gateway.services.release_build import BuildProgress, BuildState
from gateway.services.release_lifecycle import ReleaseState
from tests.fakes import COLOURS, colour_release, picture
from tests.shop import ADMIN_KEY, ITEMS, Shop, open_shop

V1, V2 = "colours-v1", "colours-v2"
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
PICTURES = sum(len(item.pictures) for item in ITEMS)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Five items, indexed with the first release."""
    async with open_shop(tmp_path / "index", ITEMS) as opened:
        yield opened


def soon() -> Deadline:
    return Deadline.after(20)


async def built(shop: Shop, most_failed: float = 0.0) -> BuildProgress:
    progress = BuildProgress(V2)
    await shop.gateway.lifecycle.build(progress, most_failed)
    assert progress.reason is None
    return progress


async def first(shop: Shop, text: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    body = {"query": [{"text": text}], "mode": "vector", "limit": 1}
    response = await shop.http.post("/v1/search", json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def in_step(shop: Shop) -> bool:
    return (await difference(shop.index, V1, V2)).none


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


async def test_activation_and_rollback_move_the_answer_and_back(shop: Shop) -> None:
    await built(shop)
    for change, active, before in (
        (shop.gateway.lifecycle.activate(V2), V2, V1),
        (shop.gateway.lifecycle.rollback(), V1, V2),
        (shop.gateway.lifecycle.activate(V2), V2, V1),
    ):
        assert await change == Aliases(active, before)
        assert (await first(shop, "blue"))["release"] == active
        assert (await first(shop, "blue"))["hits"][0]["id"] == "blue-hat"


async def test_what_is_not_complete_is_not_activated(shop: Shop) -> None:
    with pytest.raises(NotFound, match="colours-v2"):
        await shop.gateway.lifecycle.activate(V2)
    await built(shop)
    points = await shop.index.item_points(V2, "blue-hat", soon())
    await shop.index.delete_points(V2, [point.id for point in points])
    with pytest.raises(Conflict, match=r"1 of 5 items.*blue-hat"):
        await shop.gateway.lifecycle.activate(V2)
    assert (await shop.index.aliases()).active == V1
    assert (await shop.gateway.lifecycle.activate(V2, most_missing=1)).active == V2


async def test_what_infers_otherwise_than_pytorch_is_neither_built_nor_activated(
    shop: Shop,
) -> None:
    await built(shop)
    shop.inference.off_by = 5.0
    with pytest.raises(Conflict, match="not PyTorch's"):
        await shop.gateway.lifecycle.activate(V2)
    progress = BuildProgress(V2)
    await shop.gateway.lifecycle.build(progress, 0.0)
    assert progress.state is BuildState.FAILED
    assert "not PyTorch's" in (progress.reason or "")


async def test_writes_go_to_the_release_before_and_to_the_next(shop: Shop) -> None:
    await built(shop)
    black = {"title": "Black tie", "pictures": ["black.png"]}
    await shop.http.put("/v1/items/black-tie", json=black)
    await shop.http.put("/v1/items/red-shoe", json={"title": "Old shoe", "pictures": ["red.png"]})
    await shop.http.delete("/v1/items/blue-hat")
    assert await in_step(shop)
    await shop.gateway.lifecycle.activate(V2)
    await shop.http.put("/v1/items/black-tie", json=black | {"pictures": ["white.png"]})
    await shop.http.delete("/v1/items/green-shoe")
    assert await in_step(shop)
    assert (await shop.gateway.lifecycle.rollback()).active == V1
    assert (await first(shop, "white"))["hits"][0]["id"] in {"black-tie", "white-shirt"}


async def test_a_build_that_was_stopped_embeds_nothing_twice(tmp_path: Path) -> None:
    names = list(COLOURS)
    items = [Item(f"sku-{n}", f"Thing {n}", (f"{names[n % 6]}.png",)) for n in range(150)]
    async with open_shop(tmp_path / "index", items) as shop:
        shop.inference.calls.clear()
        lifecycle = shop.gateway.lifecycle
        shop.inference.arrived = asyncio.Semaphore(0)
        lifecycle.start_build(V2, 0.0)
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
    await shop.gateway.lifecycle.build(progress, most_failed=0.1)
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


async def test_a_candidate_that_fails_fails_no_write_and_is_seen_to_be_out_of_step(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await built(shop)
    infer = shop.inference.infer

    async def half(model: str, *rest: Any) -> Any:
        if model.startswith(V2):
            raise BackendUnavailable("The candidate's tower is away.")
        return await infer(model, *rest)

    monkeypatch.setattr(shop.inference, "infer", half)
    body = {"title": "Red shoe", "pictures": ["black.png"]}
    assert (await shop.http.put("/v1/items/red-shoe", json=body)).status_code == 200
    monkeypatch.undo()
    assert (await difference(shop.index, V1, V2)).stale == {"red-shoe"}
    # Taken out, not left as it was: so that counting shows it, which is all that a rollback does.
    assert await shop.index.item_points(V2, "red-shoe", soon()) == []
    with pytest.raises(Conflict, match="red-shoe"):
        await shop.gateway.lifecycle.activate(V2)
    assert (await built(shop)).embedded == 1
    await shop.gateway.lifecycle.activate(V2)


async def test_rollback_refuses_a_release_that_missed_changes_unless_forced(shop: Shop) -> None:
    await built(shop)
    await shop.gateway.lifecycle.activate(V2)
    points = await shop.index.item_points(V1, "blue-hat", soon())
    await shop.index.delete_points(V1, [point.id for point in points])
    with pytest.raises(Conflict, match=r"1 of 5 items.*blue-hat.*--force"):
        await shop.gateway.lifecycle.rollback()
    assert (await shop.gateway.lifecycle.rollback(force=True)).active == V1


async def test_there_is_nothing_to_go_back_to_at_first(shop: Shop) -> None:
    with pytest.raises(Conflict, match="no release to go back to"):
        await shop.gateway.lifecycle.rollback()


async def test_a_change_whose_caller_went_away_reaches_every_collection(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await built(shop)
    upsert, written = shop.index.upsert, asyncio.Event()

    async def slow(collection: str, points: Any) -> None:
        await upsert(collection, points)
        if collection == V1:
            written.set()
            await asyncio.sleep(0)

    monkeypatch.setattr(shop.index, "upsert", slow)
    item = replace(ITEMS[0], title="Another title")
    active = shop.gateway.releases.active()
    writing = asyncio.create_task(shop.gateway.catalog.upsert([item], active, soon()))
    await asyncio.wait_for(written.wait(), 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await in_step(shop)


async def test_retiring_deletes_the_collection_and_unloads_the_towers(shop: Shop) -> None:
    await built(shop)
    assert shop.control.loaded == {f"{r}-{tower}" for r in (V1, V2) for tower in ("image", "text")}
    with pytest.raises(Conflict, match="active"):
        await shop.gateway.lifecycle.retire(V1)
    await shop.gateway.lifecycle.activate(V2)
    await shop.gateway.lifecycle.retire(V1)
    assert shop.control.loaded == {f"{V2}-image", f"{V2}-text"}
    assert await shop.index.collections() == [V2]
    assert await shop.index.aliases() == Aliases(V2)
    with pytest.raises(NotFound):
        await shop.gateway.lifecycle.retire(V1)
    await shop.gateway.lifecycle.activate(V2)
    assert {s.id: s.state for s in await shop.gateway.lifecycle.list()} == {
        V1: ReleaseState.EXPORTED,
        V2: ReleaseState.ACTIVE,
    }


async def test_a_collection_of_another_model_is_never_searched_built_or_activated(
    tmp_path: Path,
) -> None:
    def swapped(release_id: str) -> LoadedRelease:
        return colour_release(release_id, "other weights" if release_id == V2 else "")

    async with open_shop(tmp_path / "index", ITEMS) as shop:
        await built(shop)
    async with open_shop(tmp_path / "index", load=swapped) as shop:
        assert (await first(shop, "red"))["release"] == V1
        refused = await shop.http.get("/v1/search?q=red", headers={"X-Release": V2})
        assert refused.status_code == 404
        progress = BuildProgress(V2)
        await shop.gateway.lifecycle.build(progress, 0.0)
        assert "another model" in (progress.reason or "")
        with pytest.raises(SpaceMismatch):
            await shop.gateway.lifecycle.activate(V2)
        status = await shop.gateway.lifecycle.status(V2)
        assert status.state is ReleaseState.UNUSABLE


async def test_the_state_of_every_release_is_told(shop: Shop) -> None:
    async def states() -> dict[str, str]:
        body = (await shop.http.get("/v1/releases", headers=KEY)).json()
        return {release["id"]: release["state"] for release in body["releases"]}

    assert await states() == {V1: "active", V2: "exported"}
    await built(shop)
    assert await states() == {V1: "active", V2: "built"}
    await shop.gateway.lifecycle.activate(V2)
    assert await states() == {V1: "previous", V2: "active"}
    one = (await shop.http.get(f"/v1/releases/{V1}", headers=KEY)).json()
    assert one["evaluation"] == {"recall@10": 0.9}
    assert one["points"] == PICTURES
    assert one["made_at_s"] > 0


async def test_the_whole_story_over_http(shop: Shop) -> None:
    started = await shop.http.post(f"/v1/releases/{V2}/build", headers=KEY)
    assert started.status_code == 202
    for _ in range(100):
        build = (await shop.http.get(f"/v1/releases/{V2}", headers=KEY)).json()["build"]
        if build["state"] == "done":
            break
        await asyncio.sleep(0.1)
    assert (build["state"], build["done"], build["failed"]) == ("done", 5, 0)
    activated = await shop.http.post(f"/v1/releases/{V2}/activate", headers=KEY)
    assert activated.json() == {"active": V2, "previous": V1}
    back = await shop.http.post("/v1/releases/rollback", headers=KEY)
    assert back.json() == {"active": V1, "previous": V2}
    retired = await shop.http.delete(f"/v1/releases/{V2}", headers=KEY)
    assert retired.status_code == 204
    gone = await shop.http.delete(f"/v1/releases/{V2}", headers=KEY)
    assert (gone.status_code, gone.json()["field"]) == (404, "release")
    none = await shop.http.post("/v1/releases/rollback", headers=KEY)
    assert none.status_code == 409
    unknown = await shop.http.delete("/v1/releases/nowhere/build", headers=KEY)
    assert unknown.status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_admin_calls_need_the_key(shop: Shop, headers: dict[str, str]) -> None:
    for verb, path in (
        ("GET", ""), ("GET", f"/{V1}"), ("POST", f"/{V2}/build"), ("DELETE", f"/{V2}/build"),
        ("POST", f"/{V2}/activate"), ("POST", "/rollback"), ("DELETE", f"/{V2}"),
        ("PUT", "/trial"), ("DELETE", "/trial"),
    ):  # fmt: skip
        response = await shop.http.request(verb, f"/v1/releases{path}", headers=headers)
        assert response.status_code == 401, path
        assert response.json()["type"] == "urn:lookalike:unauthorized"
    assert (await shop.http.get("/v1/releases/active")).status_code == 200
