"""The catalogue over HTTP: what is written is found, what is deleted is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.domain.deadline import Deadline
from gateway.domain.errors import BackendUnavailable, Overloaded
from gateway.domain.ports import Priority
from tests.fakes import picture
from tests.shop import Shop


def item(**more: Any) -> dict[str, Any]:
    return {"title": "Black boot", "pictures": ["black.png"], **more}


async def found(shop: Shop, words: str) -> list[str]:
    response = await shop.http.get("/v1/search", params={"q": words, "mode": "text"})
    return [hit["id"] for hit in response.json()["hits"]]


async def test_an_item_reads_back_as_it_was_written(shop: Shop) -> None:
    body = item(
        description="Warm",
        category="boots",
        brand="Halden",
        price=99.5,
        attributes={"size": [43, 44], "new": True, "sole": "rubber"},
        location={"lat": 1.5, "lon": -2.25},
    )
    written = await shop.http.put("/v1/items/boot/1", json=body)
    assert written.status_code == 200, written.text
    assert written.json() == {
        "id": "boot/1", "status": "indexed", "embedded": 1, "skipped_pictures": [],
    }  # fmt: skip
    assert (await shop.http.get("/v1/items/boot/1")).json() == {"id": "boot/1", **body}
    assert await found(shop, "boot") == ["boot/1"]


async def test_writing_again_replaces(shop: Shop) -> None:
    await shop.http.put("/v1/items/boot", json=item(pictures=["black.png", "red.png"]))
    await shop.http.put("/v1/items/boot", json=item(title="Sandal", pictures=["green.png"]))
    assert await found(shop, "boot") == []
    assert await found(shop, "sandal") == ["boot"]
    info = await shop.index.describe("colours-v1")
    assert info is not None
    assert info.points == 7


async def test_an_unchanged_picture_is_not_embedded_again(shop: Shop) -> None:
    await shop.http.put("/v1/items/boot", json=item())
    shop.inference.calls.clear()
    again = await shop.http.put("/v1/items/boot", json=item(price=5.0))
    assert again.json()["embedded"] == 0
    assert shop.inference.calls == []
    assert (await shop.http.get("/v1/items/boot")).json()["price"] == 5.0


async def test_a_changed_picture_is_embedded_again(shop: Shop) -> None:
    await shop.http.put("/v1/items/boot", json=item())
    shop.pictures.pictures["black.png"] = picture("blue")
    await shop.http.put("/v1/items/boot", json=item())
    similar = await shop.http.get("/v1/items/boot/similar", params={"limit": 1})
    assert [hit["id"] for hit in similar.json()["hits"]] == ["blue-hat"]


async def test_deleting_removes_every_picture(shop: Shop) -> None:
    assert (await shop.http.delete("/v1/items/yellow-hat")).status_code == 204
    assert (await shop.http.get("/v1/items/yellow-hat")).status_code == 404
    assert "yellow-hat" not in await found(shop, "hat")
    again = await shop.http.delete("/v1/items/yellow-hat")
    assert (again.status_code, again.json()["field"]) == (404, "id")


async def test_a_batch_answers_item_by_item(shop: Shop) -> None:
    shop.pictures.pictures["broken.png"] = b"no picture"
    response = await shop.http.post(
        "/v1/items/batch",
        json={
            "upsert": [
                {"id": "good", **item()},
                {"id": "bad", **item(pictures=["broken.png"])},
                {"id": "missing", **item(pictures=["nowhere.png"])},
                {"id": "half", **item(pictures=["broken.png", "white.png"])},
                {"id": "twice", **item()},
                {"id": "twice", **item()},
            ],
            "delete": ["red-shoe", "never-was"],
        },
    )
    assert response.status_code == 200
    results = response.json()["results"]
    assert [(r["id"], r["status"]) for r in results] == [
        ("good", "indexed"), ("bad", "failed"), ("missing", "failed"), ("half", "indexed"),
        ("twice", "failed"), ("twice", "failed"), ("red-shoe", "deleted"), ("never-was", "absent"),
    ]  # fmt: skip
    assert results[1]["problem"]["field"] == "pictures"
    assert len(results[3]["skipped_pictures"]) == 1
    assert (await shop.http.get("/v1/items/good")).status_code == 200
    assert (await shop.http.get("/v1/items/bad")).status_code == 404


async def test_a_picture_that_vanished_does_not_lose_the_item(shop: Shop) -> None:
    await shop.http.put("/v1/items/boot", json=item())
    del shop.pictures.pictures["black.png"]
    response = await shop.http.put("/v1/items/boot", json=item(title="Ankle boot"))
    assert response.json()["skipped_pictures"]
    assert await found(shop, "ankle") == ["boot"]


BAD = [
    ("no-title", {"pictures": ["red.png"]}, "title"),
    ("no-pictures", {"title": "x", "pictures": []}, "pictures"),
    ("negative-price", item(price=-1), "price"),
    ("misspelt", item(colour="red"), "colour"),
    ("far-north", item(location={"lat": 91, "lon": 0}), "location.lat"),
    ("unreadable-picture", item(pictures=["nowhere.png"]), "pictures"),
]


@pytest.mark.parametrize(("body", "field"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
async def test_a_bad_item_is_a_problem_that_names_the_field(
    shop: Shop, body: dict[str, Any], field: str
) -> None:
    response = await shop.http.put("/v1/items/x", json=body)
    assert response.status_code == 422
    assert response.json()["field"] == field


async def test_writes_of_one_item_do_not_mix(shop: Shop) -> None:
    names = ("red", "green", "blue", "yellow")
    bodies = [item(title=name, pictures=[f"{name}.png"] * n) for n, name in enumerate(names, 1)]
    answers = await asyncio.gather(*(shop.http.put("/v1/items/x", json=b) for b in bodies))
    assert {answer.status_code for answer in answers} == {200}
    points = await shop.index.item_points("colours-v1", "x", Deadline.after(5.0))
    assert len({point.payload["title"] for point in points}) == 1
    assert len(points) == len(points[0].payload["pictures"])


async def test_writing_gives_way_to_searches(shop: Shop) -> None:
    shop.inference.calls.clear()
    await shop.http.put("/v1/items/boot", json=item())
    await shop.http.get("/v1/search", params={"q": "blue"})
    assert [call[2] for call in shop.inference.calls] == [Priority.BULK, Priority.INTERACTIVE]


async def test_a_full_queue_delays_a_write_until_its_deadline(shop: Shop) -> None:
    shop.inference.failing = Overloaded("full")
    response = await shop.http.put("/v1/items/boot", json=item(), headers={"X-Timeout-Ms": "300"})
    assert response.status_code == 504
    assert len(shop.inference.calls) > 1


async def test_a_store_that_is_slow_costs_a_writer_its_deadline_and_no_write(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert, let_through = shop.index.upsert, asyncio.Event()

    async def slow(collection: str, points: Any) -> None:
        await let_through.wait()
        await upsert(collection, points)

    monkeypatch.setattr(shop.index, "upsert", slow)
    late = await shop.http.put("/v1/items/boot", json=item(), headers={"X-Timeout-Ms": "300"})
    assert late.status_code == 504
    assert "no harm" in late.json()["detail"]
    # Another writer waits for the first one, and no longer than its own deadline.
    next_one = await shop.http.delete("/v1/items/boot", headers={"X-Timeout-Ms": "300"})
    assert next_one.status_code == 504
    let_through.set()
    await shop.gateway.catalog.close()
    assert (await shop.http.get("/v1/items/boot")).json()["title"] == "Black boot"


async def test_a_model_that_is_away_fails_the_write_and_loses_nothing(shop: Shop) -> None:
    shop.inference.failing = BackendUnavailable("away")
    response = await shop.http.put("/v1/items/red-shoe", json=item(pictures=["blue.png"]))
    assert response.status_code == 503
    assert (await shop.http.get("/v1/items/red-shoe")).json()["title"] == "Red shoe"
