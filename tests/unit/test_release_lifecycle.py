"""Releases built, switched, taken back and retired, on the toy models and the real edge store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.errors import (
    BackendUnavailable,
    Conflict,
    NotFound,
    SpaceMismatch,
)
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Aliases
from gateway.services.collection_difference import difference
from gateway.services.model_keeper import ModelKeeper
from gateway.services.release_build import BuildLimits, BuildProgress, BuildState
from gateway.services.release_status import ReleaseState
from tests.fakes import colour_release
from tests.releases import KEY, V1, V2, built, first, in_step, soon
from tests.shop import ITEMS, Shop, open_shop

PICTURES = sum(len(item.pictures) for item in ITEMS)


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
    await shop.gateway.lifecycle.build(progress, BuildLimits(0.0))
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
    await shop.gateway.catalog.close()
    assert await in_step(shop)


async def test_retiring_deletes_the_collection_and_unloads_the_towers(shop: Shop) -> None:
    await built(shop)
    await ModelKeeper(shop.gateway.releases, shop.control).ensure()
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
        await shop.gateway.lifecycle.build(progress, BuildLimits(0.0))
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
