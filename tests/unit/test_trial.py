"""A candidate on a share of the live searches: canary and shadow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import Conflict, NotFound
from gateway.domain.trial import Trial, falls_within
from gateway.services.shadow import compare
from tests.releases import KEY, V1, V2, built, soon
from tests.shop import ITEMS, Shop

USERS = [f"shopper-{n}" for n in range(300)]


@pytest.fixture(name="shop")
async def a_shop_with_a_candidate(shop: Shop) -> Shop:
    """The first release active, the second built."""
    await built(shop)
    return shop


async def answering(shop: Shop, user: str, query: str = "red") -> str:
    response = await shop.http.get("/v1/search", params={"q": query}, headers={"X-User-Id": user})
    release: str = response.json()["release"]
    return release


@given(st.binary(max_size=40), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_all_of_a_smaller_one(key: bytes, a: float, b: float) -> None:
    small, large = sorted((a, b))
    assert falls_within(large, key) or not falls_within(small, key)
    assert falls_within(1.0, key)
    assert not falls_within(0.0, key)


def test_a_share_is_as_large_as_it_says() -> None:
    within = sum(falls_within(0.05, str(n).encode()) for n in range(20_000))
    assert 900 < within < 1_100  # 1,000, with a deviation of 31


async def test_a_canary_answers_its_share_and_the_same_shopper_always(shop: Shop) -> None:
    await shop.gateway.lifecycle.set_trial(Trial(V2, canary=0.3))
    releases = [await answering(shop, user) for user in USERS]
    assert 60 < releases.count(V2) < 120  # 90, with a deviation of 8
    assert [await answering(shop, user, "blue") for user in USERS[:50]] == releases[:50]
    await shop.gateway.lifecycle.set_trial(None)
    assert {await answering(shop, user) for user in USERS[:50]} == {V1}


async def test_without_a_shopper_a_querys_pages_come_from_one_release(shop: Shop) -> None:
    await shop.gateway.lifecycle.set_trial(Trial(V2, canary=0.5))
    seen = set()
    for word in ("red", "green", "blue", "yellow", "white", "black"):
        pages = []
        for offset in (0, 2, 4):
            body = {"query": [{"text": word}], "limit": 2, "offset": offset, "mode": "vector"}
            pages.append((await shop.http.post("/v1/search", json=body)).json())
        assert len({page["release"] for page in pages}) == 1
        ids = [hit["id"] for page in pages for hit in page["hits"]]
        assert sorted(ids) == sorted(item.id for item in ITEMS)
        seen.add(pages[0]["release"])
    assert seen == {V1, V2}


async def test_a_release_asked_for_by_name_answers_whatever_the_trial(shop: Shop) -> None:
    await shop.gateway.lifecycle.set_trial(Trial(V2, canary=1.0))
    assert await answering(shop, "anybody") == V2
    asked = await shop.http.get("/v1/search?q=red", headers={"X-Release": V1})
    assert asked.json()["release"] == V1
    unknown = await shop.http.get("/v1/search?q=red", headers={"X-Release": "nowhere"})
    assert (unknown.status_code, unknown.json()["field"]) == (404, "release")


async def test_a_shadow_is_compared_and_answers_nothing(shop: Shop) -> None:
    await shop.gateway.lifecycle.set_trial(Trial(V2, shadow=1.0))
    for word in ("red", "green", "blue"):
        body = {"query": [{"text": word}], "mode": "vector"}
        assert (await shop.http.post("/v1/search", json=body)).json()["release"] == V1
    await shop.gateway.shadow.settled()
    report = shop.gateway.shadow.report()
    assert report is not None
    # Both toy models see the same colours: the same order, whatever their spaces.
    assert (report.release, report.overlap) == (V2, 1.0)
    assert report.rank_correlation == pytest.approx(1.0)
    said = (await shop.http.get("/v1/releases", headers=KEY)).json()
    assert said["shadow"]["compared"] == 3
    [candidate] = [r for r in said["releases"] if r["id"] == V2]
    assert candidate["trial"] == {"canary": 0.0, "shadow": 1.0}
    assert candidate["state"] == "built"
    metrics = (await shop.http.get("/metrics")).text
    assert 'lookalike_shadow_total{outcome="compared"} 3.0' in metrics
    assert "lookalike_shadow_overlap_sum 3.0" in metrics
    assert 'lookalike_searches_total{release="colours-v1"} 3.0' in metrics


async def test_a_trial_needs_a_candidate_that_is_complete_and_not_active(shop: Shop) -> None:
    with pytest.raises(Conflict, match="active"):
        await shop.gateway.lifecycle.set_trial(Trial(V1, canary=0.1))
    with pytest.raises(NotFound):
        await shop.gateway.lifecycle.set_trial(Trial("nowhere", canary=0.1))
    [point] = [p async for p in shop.index.payloads(V2) if p["id"] == "blue-hat"]
    await shop.http.delete("/v1/items/red-shoe")
    await shop.gateway.lifecycle.set_trial(Trial(V2, canary=0.1))
    await shop.index.delete_points(V2, [i.id for i in await _points(shop, point["id"])])
    with pytest.raises(Conflict, match="blue-hat"):
        await shop.gateway.lifecycle.set_trial(Trial(V2, canary=0.1))
    await shop.gateway.lifecycle.set_trial(Trial(V2, shadow=0.1))


async def test_a_trial_is_set_and_ended_over_http(shop: Shop) -> None:
    body = {"release": V2, "canary": 0.05, "shadow": 0.5}
    assert (await shop.http.put("/v1/releases/trial", json=body, headers=KEY)).json() == body
    assert (await shop.index.aliases()).trial == Trial(V2, 0.05, 0.5)
    assert (await shop.http.delete("/v1/releases/trial", headers=KEY)).status_code == 204
    assert (await shop.index.aliases()).trial is None
    wrong = await shop.http.put("/v1/releases/trial", json=body | {"canary": 5}, headers=KEY)
    assert (wrong.status_code, wrong.json()["field"]) == (422, "canary")


async def test_an_activation_ends_the_candidates_trial(shop: Shop) -> None:
    await shop.gateway.lifecycle.set_trial(Trial(V2, canary=0.5))
    await shop.gateway.lifecycle.activate(V2)
    assert (await shop.index.aliases()).trial is None
    assert {await answering(shop, user) for user in USERS[:30]} == {V2}


@pytest.mark.parametrize(
    ("active", "candidate", "overlap", "correlation"),
    [
        ("abcd", "abcd", 1.0, 1.0),
        ("abcd", "dcba", 1.0, -1.0),
        ("abcd", "wxyz", 0.0, None),
        ("abcd", "axyz", 0.25, None),
        # In common a, c, d: ranks 1 2 3 there, d a c here: 2 3 1, Spearman 1 - 6·6/(3·8).
        ("abcd", "dxac", 0.75, -0.5),
        ("ab", "abcd", 0.5, 1.0),
        ("", "", 1.0, None),
    ],
)
def test_two_rankings_compare_as_worked_out_by_hand(
    active: str, candidate: str, overlap: float, correlation: float | None
) -> None:
    found = compare(list(active), list(candidate), 0.0)
    assert found.overlap == overlap
    assert found.rank_correlation == (None if correlation is None else pytest.approx(correlation))


async def _points(shop: Shop, item_id: str) -> list[Any]:
    return await shop.index.item_points(V2, item_id, soon())
