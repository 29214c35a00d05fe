"""Searching over HTTP: what is found, and what bad input gets."""

from __future__ import annotations

import asyncio
import base64
import math
from typing import Any

import orjson
import pytest

from gateway.domain.errors import BackendUnavailable, DeadlineExceeded, Overloaded
from tests.fakes import COLOURS, DIM, held, picture
from tests.shop import LIMITS, MAX_IN_FLIGHT, Shop


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def search(shop: Shop, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = await shop.http.post("/v1/search", json={"query": list(parts), **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [hit["id"] for hit in answer["hits"]]


async def test_words_find_what_they_name(shop: Shop) -> None:
    answer = await search(shop, {"text": "green"}, mode="vector")
    assert ids(answer)[0] == "green-shoe"
    assert answer["release"] == "colours-v1"
    assert answer["hits"][0]["item"]["title"] == "Green shoe"


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"], ids=["base64", "data-uri"])
async def test_a_picture_finds_itself(shop: Shop, prefix: str) -> None:
    answer = await search(shop, {"image": prefix + b64(picture("blue"))})
    assert ids(answer)[0] == "blue-hat"
    assert answer["hits"][0]["score"] == pytest.approx(1.0, abs=1e-5)
    assert answer["hits"][0]["picture"] == "blue.png"
    assert answer["mode"] == "vector"


async def test_an_uploaded_picture_finds_itself(shop: Shop) -> None:
    response = await shop.http.post(
        "/v1/search/image", files={"image": picture("green")}, data={"limit": "1"}
    )
    assert ids(response.json()) == ["green-shoe"]


async def test_a_crop_decides_what_is_searched(shop: Shop) -> None:
    from io import BytesIO

    from PIL import Image

    both = Image.new("RGB", (64, 32), (255, 0, 0))
    both.paste((0, 0, 255), (32, 0, 64, 32))
    out = BytesIO()
    both.save(out, "PNG")
    right = {"image": b64(out.getvalue()), "crop": [0.5, 0, 1, 1]}
    assert ids(await search(shop, right))[0] == "blue-hat"
    response = await shop.http.post(
        "/v1/search/image", files={"image": out.getvalue()}, data={"crop": "0,0,0.5,1"}
    )
    assert ids(response.json())[0] in ("red-shoe", "yellow-hat")


async def test_an_item_of_two_pictures_answers_once_by_its_best(shop: Shop) -> None:
    answer = await search(shop, {"image": b64(picture("red"))})
    assert sorted(ids(answer)) == sorted(set(ids(answer)))
    hat = next(hit for hit in answer["hits"] if hit["id"] == "yellow-hat")
    assert hat["picture"] == "red.png"


async def test_words_go_to_both_legs_by_default(shop: Shop) -> None:
    answer = await search(shop, {"text": "shirt"})
    assert answer["mode"] == "hybrid"
    assert "white-shirt" in ids(answer)[:2]


async def test_full_text_alone_finds_only_the_words(shop: Shop) -> None:
    answer = await search(shop, {"text": "running shoe"}, mode="text")
    assert ids(answer)[0] == "red-shoe"
    assert set(ids(answer)) == {"red-shoe", "green-shoe"}


async def test_get_searches_by_words(shop: Shop) -> None:
    response = await shop.http.get("/v1/search", params={"q": "shirt", "mode": "text"})
    assert ids(response.json()) == ["white-shirt"]


async def test_a_negative_part_pushes_away(shop: Shop) -> None:
    mixed = b64(picture((255, 128, 0)))
    towards = await search(shop, {"image": mixed})
    away = await search(shop, {"image": mixed}, {"text": "red", "weight": -0.8}, mode="vector")
    assert ids(towards).index("green-shoe") > ids(away).index("green-shoe")


async def test_a_vector_is_a_query(shop: Shop) -> None:
    assert ids(await search(shop, {"vector": [0, 0, 3.5, 0]}))[0] == "blue-hat"


async def test_similar_leaves_the_item_itself_out(shop: Shop) -> None:
    response = await shop.http.get("/v1/items/red-shoe/similar")
    found = ids(response.json())
    assert "red-shoe" not in found
    assert found[0] == "yellow-hat"


async def test_similar_needs_no_model(shop: Shop) -> None:
    shop.inference.failing = BackendUnavailable("away")
    assert (await shop.http.get("/v1/items/red-shoe/similar")).status_code == 200


FILTERS = [
    ({"key": "category", "match": {"value": "hats"}}, {"blue-hat", "yellow-hat"}),
    ({"key": "brand", "match": {"any": ["Arbor", "Bluefinch"]}},
     {"red-shoe", "green-shoe", "blue-hat"}),
    ({"key": "price", "range": {"gte": 30, "lt": 70}}, {"red-shoe", "yellow-hat", "white-shirt"}),
    ({"key": "title", "match": {"text": "shoe"}}, {"red-shoe", "green-shoe"}),
    ({"key": "attributes.new", "match": {"value": True}}, {"red-shoe"}),
    ({"key": "attributes.size", "match": {"value": 41}}, {"red-shoe"}),
    ({"key": "attributes.size", "range": {"gt": 41}}, {"green-shoe"}),
    ({"key": "attributes.added", "range": {"gte": "2026-01-01T00:00:00Z"}}, {"red-shoe"}),
    ({"key": "attributes.added", "range": {"lt": "2020-01-01T10:00:00.5Z",
      "gte": "2020-01-01T12:00:00+02:00"}}, {"green-shoe"}),
    ({"key": "location", "geo_radius": {"center": {"lat": 52.5, "lon": 13.4}, "radius": 9000}},
     {"red-shoe"}),
    ({"key": "location", "geo_bounding_box": {"top_left": {"lat": 50, "lon": 1},
      "bottom_right": {"lat": 47, "lon": 4}}}, {"green-shoe"}),
    ({"should": [{"key": "category", "match": {"value": "shirts"}},
                 {"key": "price", "range": {"lt": 25}}]}, {"white-shirt", "blue-hat"}),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "expected"), FILTERS, ids=lambda x: str(x)[:40])
@pytest.mark.parametrize("clause", ["must", "must_not"])
async def test_filters_let_through_what_they_say(
    shop: Shop, condition: dict[str, Any], expected: set[str], clause: str
) -> None:
    answer = await search(shop, {"text": "red"}, mode="vector", filter={clause: [condition]})
    everything = {"red-shoe", "green-shoe", "blue-hat", "yellow-hat", "white-shirt"}
    assert set(ids(answer)) == (expected if clause == "must" else everything - expected)


async def test_pages_neither_repeat_nor_skip(shop: Shop) -> None:
    whole = ids(await search(shop, {"text": "red"}, mode="vector"))
    pages = [
        ids(await search(shop, {"text": "red"}, mode="vector", limit=2, offset=start))
        for start in (0, 2, 4, 6)
    ]
    assert [found for page in pages for found in page] == whole
    assert pages[-1] == []


async def test_only_the_chosen_fields_are_returned(shop: Shop) -> None:
    answer = await search(shop, {"text": "red"}, fields=["title", "price"], limit=1)
    assert set(answer["hits"][0]["item"]) == {"title", "price"}


async def test_min_score_cuts_off(shop: Shop) -> None:
    answer = await search(shop, {"image": b64(picture("blue"))}, min_score=0.999)
    assert ids(answer) == ["blue-hat"]


async def test_an_answer_tells_its_stages_and_id(shop: Shop) -> None:
    response = await shop.http.post(
        "/v1/search",
        json={"query": [{"image": b64(picture("red"))}]},
        headers={"X-Request-Id": "abc-1"},
    )
    assert set(response.json()["timings"]) == {"queue", "decode", "infer", "search"}
    assert "infer;dur=" in response.headers["server-timing"]
    assert response.json()["request_id"] == response.headers["x-request-id"] == "abc-1"


async def test_repeated_words_are_inferred_once(shop: Shop) -> None:
    shop.inference.calls.clear()
    for _ in range(3):
        await search(shop, {"text": "blue"}, mode="vector")
    assert len(shop.inference.calls) == 1


HUGE_PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xea\x60\x00\x00\xea\x60\x01\x00\x00\x00\x00"
)
RED = b64(picture("red"))

BAD = [
    ("no-json", b"{", 422, None),
    ("no-query", {}, 422, "query"),
    ("empty-query", {"query": []}, 422, "query"),
    ("empty-part", {"query": [{}]}, 422, "query[0]"),
    ("two-kinds", {"query": [{"text": "a", "item": "b"}]}, 422, "query[0]"),
    ("blank-text", {"query": [{"text": "  "}]}, 422, "query[0].text"),
    ("long-text", {"query": [{"text": "a" * 3000}]}, 422, "query[0].text"),
    ("misspelt", {"query": [{"text": "a"}], "limt": 3}, 422, "limt"),
    ("not-base64", {"query": [{"image": "%%%"}]}, 422, "query[0].image"),
    ("text-for-image", {"query": [{"image": b64(b"hello")}]}, 422, "image"),
    ("truncated", {"query": [{"image": b64(picture("red")[:60])}]}, 422, "image"),
    ("bomb", {"query": [{"image": b64(HUGE_PNG + b"\x00" * 100)}]}, (413, 422), "image"),
    ("crop-of-text", {"query": [{"text": "a", "crop": [0, 0, 1, 1]}]}, 422, "query[0]"),
    ("crop-upside-down", {"query": [{"image": RED, "crop": [0, 1, 1, 0]}]}, 422, "query[0].crop"),
    ("unknown-item", {"query": [{"item": "nope"}]}, 404, "query[0].item"),
    ("nan-vector", b'{"query": [{"vector": [NaN, 0, 0, 1]}]}', 422, None),
    ("infinite-vector", {"query": [{"vector": [1e39, 0, 0, 1]}]}, 422, "query[0].vector"),
    ("zero-vector", {"query": [{"vector": [0] * DIM}]}, 422, "query[0].vector"),
    ("short-vector", {"query": [{"vector": [1, 2]}]}, 422, "query[0].vector"),
    ("zero-weight", {"query": [{"text": "a", "weight": 0}]}, 422, "query[0].weight"),
    ("only-negative", {"query": [{"text": "a", "weight": -1}], "mode": "vector"}, 422, "query"),
    ("limit-0", {"query": [{"text": "a"}], "limit": 0}, 422, "limit"),
    ("limit-10000", {"query": [{"text": "a"}], "limit": 10_000}, 422, "limit"),
    ("limit-word", {"query": [{"text": "a"}], "limit": "many"}, 422, "limit"),
    ("offset-deep", {"query": [{"text": "a"}], "offset": 1_000_000}, 422, "offset"),
    ("text-mode-without-text", {"query": [{"image": RED}], "mode": "text"}, 422, "mode"),
    ("unknown-mode", {"query": [{"text": "a"}], "mode": "best"}, 422, "mode"),
    ("unknown-return-field", {"query": [{"text": "a"}], "fields": ["colour"]}, 422, "fields"),
    ("unknown-filter-field", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "colour", "match": {"value": "red"}}]}}, 422, "filter.must[0].key"),
    ("wrong-filter-type", {"query": [{"text": "a"}], "filter": {"should": [
        {"must": [{"key": "price", "match": {"value": "cheap"}}]}]}}, 422,
     "filter.should[0].must[0]"),
    ("date-of-a-number", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "price", "range": {"lt": "2026-01-01T00:00:00Z"}}]}}, 422, "filter.must[0]"),
    ("number-of-a-date", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "attributes.added", "range": {"lt": 5}}]}}, 422, "filter.must[0]"),
    ("day-of-no-month", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "attributes.added", "range": {"lt": "2026-02-30T00:00:00Z"}}]}}, 422,
     "filter.must[0].range.lt"),
    ("date-without-zone", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "attributes.added", "range": {"lt": "2026-02-03T00:00:00"}}]}}, 422,
     "filter.must[0].range.lt"),
    ("dates-and-numbers", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "attributes.added", "range": {"lt": "2026-02-03T00:00:00Z", "gt": 1}}]}}, 422,
     "filter.must[0].range"),
    ("bound-of-truth", {"query": [{"text": "a"}], "filter": {"must": [
        {"key": "price", "range": {"lt": True}}]}}, 422, "filter.must[0].range.lt"),
    ("huge-bound", b'{"query": [{"text": "a"}], "filter": {"must": [{"key": "price", "range": '
     b'{"lt": 1' + b"0" * 400 + b"}}]}}", 422, None),
    ("huge-number", b'{"query": [{"text": "a"}], "filter": {"must": [{"key": "attributes.size", '
     b'"match": {"value": 1' + b"0" * 30 + b"}}]}}", 422, None),
    ("filter-without-test", {"query": [{"text": "a"}], "filter": {"must": [{"key": "price"}]}},
     422, "filter.must[0]"),
    ("filter-misspelt", {"query": [{"text": "a"}], "filter": {"all": []}}, 422, "filter.all"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "field"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
async def test_bad_input_is_a_problem_that_names_the_field(
    shop: Shop, body: dict[str, Any] | bytes, status: int | tuple[int, ...], field: str | None
) -> None:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    response = await shop.http.post(
        "/v1/search", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code in (status if isinstance(status, tuple) else (status,))
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["detail"]
    if field is not None:
        assert problem["field"] == field
    assert ids(await search(shop, {"text": "red"}, mode="vector"))


async def test_an_unknown_filter_field_lists_the_known_ones(shop: Shop) -> None:
    condition = {"key": "colour", "match": {"value": "red"}}
    response = await shop.http.post(
        "/v1/search", json={"query": [{"text": "a"}], "filter": {"must": [condition]}}
    )
    listed = "attributes.added (datetime), attributes.material (keyword), attributes.new (bool)"
    assert listed in response.json()["detail"]
    condition = {"key": "attributes.added", "match": {"value": "2026-01-01"}}
    response = await shop.http.post(
        "/v1/search", json={"query": [{"text": "a"}], "filter": {"must": [condition]}}
    )
    assert "RFC 3339" in response.json()["detail"]
    assert listed in response.json()["detail"]


async def test_a_body_over_the_limit_is_refused(shop: Shop) -> None:
    response = await shop.http.post("/v1/search", content=b"x" * (LIMITS.max_bytes * 2 + 1))
    assert response.status_code == 413
    assert response.json()["detail"]


@pytest.mark.parametrize(
    ("data", "field"),
    [({"crop": "1,2"}, "crop"), ({"filter": "{"}, "filter"), ({"limit": "0"}, "limit")],
    ids=["crop", "filter", "limit"],
)
async def test_bad_form_fields_are_named(shop: Shop, data: dict[str, str], field: str) -> None:
    response = await shop.http.post("/v1/search/image", files={"image": picture("red")}, data=data)
    assert response.status_code == 422
    assert response.json()["field"] == field


@pytest.mark.parametrize(
    ("failure", "status", "title"),
    [
        (Overloaded("full", retry_after_s=1.5), 429, "Overloaded"),
        (DeadlineExceeded("late"), 504, "Deadline exceeded"),
        (BackendUnavailable("away"), 503, "Backend unavailable"),
    ],
    ids=["overloaded", "late", "away"],
)
async def test_a_backends_fault_is_told_apart(
    shop: Shop, failure: BackendUnavailable, status: int, title: str
) -> None:
    shop.inference.failing = failure
    response = await shop.http.get("/v1/search", params={"q": "red"})
    assert (response.status_code, response.json()["title"]) == (status, title)
    assert response.headers.get("retry-after") == ("2" if status == 429 else None)


async def test_a_fault_of_one_part_is_the_answer(shop: Shop) -> None:
    response = await shop.http.post(
        "/v1/search", json={"query": [{"text": "red"}, {"item": "nope"}]}
    )
    assert response.status_code == 404
    assert response.json()["field"] == "query[1].item"


async def test_beyond_the_slots_requests_are_refused_at_once(shop: Shop) -> None:
    with held(shop.inference) as release:
        waiting = [
            asyncio.create_task(shop.http.get("/v1/search", params={"q": colour}))
            for colour in list(COLOURS)[:MAX_IN_FLIGHT]
        ]
        for _ in waiting:
            await shop.inference.arrived.acquire()
        refused = await shop.http.get("/v1/search", params={"q": "anything"})
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        release.set()
        assert {r.status_code for r in await asyncio.gather(*waiting)} == {200}
    assert (await shop.http.get("/v1/search", params={"q": "red"})).status_code == 200


async def test_the_same_words_at_the_same_moment_cost_one_inference(shop: Shop) -> None:
    with held(shop.inference) as release:
        asked = ["red shoe", "RED  shoe", "red shoe "]
        waiting = [
            asyncio.create_task(shop.http.get("/v1/search", params={"q": q, "mode": "vector"}))
            for q in asked
        ]
        await shop.inference.arrived.acquire()
        release.set()
        answers = [answer.json()["hits"] for answer in await asyncio.gather(*waiting)]
    assert answers[0]
    assert answers[1:] == answers[:1] * 2
    assert len(shop.inference.calls) == 1


async def test_the_callers_deadline_holds(shop: Shop) -> None:
    timeout_ms = 50
    with held(shop.inference) as release:
        call = shop.http.get(
            "/v1/search", params={"q": "red"}, headers={"X-Timeout-Ms": str(timeout_ms)}
        )
        waiting = asyncio.create_task(call)
        await shop.inference.arrived.acquire()
        await asyncio.sleep(timeout_ms / 1000)  # the time itself is what is tested
        release.set()
        assert (await waiting).status_code == 504
    bad = await shop.http.get("/v1/search", params={"q": "red"}, headers={"X-Timeout-Ms": "0"})
    assert bad.status_code == 422


async def test_scores_are_finite_and_descend(shop: Shop) -> None:
    for mode in ("vector", "hybrid", "text"):
        scores = [h["score"] for h in (await search(shop, {"text": "red hat"}, mode=mode))["hits"]]
        assert scores == sorted(scores, reverse=True)
        assert all(math.isfinite(score) for score in scores)
