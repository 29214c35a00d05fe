"""The catalogue's pictures over HTTP: small, kept by caches, and only what items name."""

from __future__ import annotations

import asyncio
import io

import httpx
import pytest
from PIL import Image

from gateway.api.http_api import create_app
from gateway.domain.access import Key, Scope
from gateway.services import item_pictures
from gateway.services.access import Access
from tests.fakes import picture
from tests.shop import LIMITS, Shop


def size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as decoded:
        assert decoded.format == "WEBP"
        return decoded.size


async def give(shop: Shop, item_id: str, **pictures: bytes) -> None:
    """Puts an item with these pictures into the shop."""
    shop.pictures.pictures.update(pictures)
    body = {"title": "Given", "pictures": list(pictures)}
    written = await shop.http.put(f"/v1/items/{item_id}", json=body)
    assert written.status_code == 200, written.text


async def test_a_picture_comes_as_webp_and_is_kept_by_caches(shop: Shop) -> None:
    response = await shop.http.get("/v1/pictures/red-shoe")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"].startswith("public, max-age=3600")
    assert response.headers["x-content-type-options"] == "nosniff"
    with Image.open(io.BytesIO(response.content)) as decoded:
        red, green, blue = decoded.convert("RGB").getpixel((16, 16))  # type: ignore[misc] # RGB
    assert red > 230
    assert max(green, blue) < 25


async def test_a_large_picture_is_scaled_and_keeps_its_shape(shop: Shop) -> None:
    await give(shop, "wide", wide=picture("red", (1000, 500)))
    response = await shop.http.get("/v1/pictures/wide", params={"width": 320})
    assert size(response.content) == (320, 160)


async def test_a_tall_picture_is_no_longer_than_it_may_be_wide(shop: Shop) -> None:
    await give(shop, "tall", tall=picture("red", (10, 1000)))
    response = await shop.http.get("/v1/pictures/tall", params={"width": 160})
    assert size(response.content) == (2, 160)


async def test_a_small_picture_is_not_enlarged(shop: Shop) -> None:
    response = await shop.http.get("/v1/pictures/red-shoe", params={"width": 1280})
    assert size(response.content) == (32, 32)


async def test_each_picture_of_an_item_has_its_number(shop: Shop) -> None:
    first = await shop.http.get("/v1/pictures/yellow-hat", params={"number": 0})
    second = await shop.http.get("/v1/pictures/yellow-hat", params={"number": 1})
    red = await shop.http.get("/v1/pictures/red-shoe")
    assert first.content != second.content == red.content


async def test_an_id_may_hold_slashes(shop: Shop) -> None:
    await give(shop, "boots/black/43", black=picture("black"))
    assert (await shop.http.get("/v1/pictures/boots/black/43")).status_code == 200
    assert (await shop.http.get("/v1/pictures/boots%2Fblack%2F43")).status_code == 200


async def test_who_has_the_picture_is_not_sent_it_again(shop: Shop) -> None:
    first = await shop.http.get("/v1/pictures/red-shoe")
    etag = first.headers["etag"]
    for held in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await shop.http.get("/v1/pictures/red-shoe", headers={"If-None-Match": held})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"] == etag
    other = await shop.http.get("/v1/pictures/red-shoe", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_the_etag_tells_sizes_and_contents_apart(shop: Shop) -> None:
    etags = [
        (await shop.http.get(path)).headers["etag"]
        for path in (
            "/v1/pictures/red-shoe",
            "/v1/pictures/red-shoe?width=160",
            "/v1/pictures/blue-hat",
        )
    ]
    assert len(set(etags)) == 3


async def test_a_picture_is_made_once(shop: Shop) -> None:
    first = await shop.http.get("/v1/pictures/red-shoe")
    del shop.pictures.pictures["red.png"]
    assert (await shop.http.get("/v1/pictures/red-shoe")).content == first.content


async def test_asked_for_by_many_at_once_it_is_not_made_for_each(shop: Shop) -> None:
    reads = []
    original = shop.pictures.read

    async def counted(uri: str) -> bytes:
        reads.append(uri)
        return await original(uri)

    shop.pictures.read = counted  # type: ignore[method-assign] # counts, and does the same
    responses = await asyncio.gather(*(shop.http.get("/v1/pictures/red-shoe") for _ in range(8)))
    assert {response.status_code for response in responses} == {200}
    assert 1 <= len(reads) <= item_pictures.MADE_AT_ONCE


async def test_memory_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    one = len((await shop.http.get("/v1/pictures/red-shoe")).content)
    monkeypatch.setattr(item_pictures, "MEMORY_BYTES", one)
    await shop.http.get("/v1/pictures/blue-hat")
    del shop.pictures.pictures["red.png"]
    assert (await shop.http.get("/v1/pictures/red-shoe")).status_code == 422


async def test_a_picture_that_changed_is_new_until_the_index_has_it(shop: Shop) -> None:
    shop.pictures.pictures["red.png"] = picture("blue")
    response = await shop.http.get("/v1/pictures/red-shoe")
    blue = await shop.http.get("/v1/pictures/blue-hat")
    assert response.content == blue.content
    assert response.headers["etag"] == blue.headers["etag"]
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/v1/pictures/nothing", 404, "id"),
        ("/v1/pictures/red-shoe?number=1", 404, "number"),
        ("/v1/pictures/red-shoe?number=-1", 422, "number"),
        ("/v1/pictures/red-shoe?width=321", 422, "width"),
        ("/v1/pictures/red.png", 404, "id"),
        ("/v1/pictures/..%2F..%2Fetc%2Fpasswd", 404, "id"),
        ("/v1/pictures/https:%2F%2Fexample.com%2Fred.png", 404, "id"),
    ],
)
async def test_what_is_not_an_items_picture_is_a_problem(
    shop: Shop, path: str, status: int, field: str
) -> None:
    response = await shop.http.get(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["field"] == field


async def test_what_a_key_was_shown_for_is_kept_by_the_caller_alone(shop: Shop) -> None:
    access = Access([Key.of("sesame", Scope.SEARCH)])
    app = create_app(shop.gateway, LIMITS.max_bytes, access)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://shop"
    ) as http:
        assert (await http.get("/v1/pictures/red-shoe")).status_code == 401
        shown = await http.get("/v1/pictures/red-shoe", headers={"Authorization": "Bearer sesame"})
    assert shown.status_code == 200
    assert shown.headers["cache-control"].startswith("private, max-age=3600")


async def test_a_source_that_has_lost_it_is_a_problem(shop: Shop) -> None:
    del shop.pictures.pictures["green.png"]
    response = await shop.http.get("/v1/pictures/green-shoe")
    assert response.status_code == 422
    assert "green.png" in response.json()["detail"]


async def test_a_source_that_hangs_does_not_hang_the_answer(shop: Shop) -> None:
    async def never(uri: str) -> bytes:
        await asyncio.sleep(60)
        return b""

    shop.pictures.read = never  # type: ignore[method-assign] # a source that hangs
    response = await shop.http.get("/v1/pictures/red-shoe", headers={"X-Timeout-Ms": "50"})
    assert response.status_code == 504
