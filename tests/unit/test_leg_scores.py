"""What each leg thinks of a hit is what it thinks when it is asked alone, over both edges."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api.v1 import lookalike_pb2 as pb
from tests.shop import Shop

QUERY = [{"text": "red shoe"}]


async def hits(shop: Shop, **options: Any) -> list[dict[str, Any]]:
    response = await shop.http.post("/v1/search", json={"query": QUERY, **options})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["hits"]
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"offset": 1, "limit": 2},
        {"rescore": True},
        {"boosts": [{"kind": "popularity", "field": "attributes.sold", "weight": 1, "scale": 10}]},
        {"filter": {"must_not": [{"key": "brand", "match": {"value": "Fernway"}}]}},
    ],
    ids=["plain", "page", "rescored", "boosted", "filtered"],
)
async def test_a_hits_scores_are_those_of_the_legs_alone(
    either_shop: Shop, options: dict[str, Any]
) -> None:
    alone = {
        leg: {hit["id"]: hit["score"] for hit in await hits(either_shop, mode=leg)}
        for leg in ("vector", "text")
    }
    found = await hits(either_shop, scores=True, mode="hybrid", **options)
    assert found
    for hit in found:
        expected = {leg: scores[hit["id"]] for leg, scores in alone.items() if hit["id"] in scores}
        assert hit["scores"] == pytest.approx(expected)
    plain = await hits(either_shop, mode="hybrid", **options)
    assert [hit | {"scores": None} for hit in found] == [hit | {"scores": None} for hit in plain]
    assert all("scores" not in hit for hit in plain)


async def test_a_search_of_one_leg_has_its_scores_alone(either_shop: Shop) -> None:
    for leg in ("vector", "text"):
        for hit in await hits(either_shop, mode=leg, scores=True):
            assert hit["scores"] == pytest.approx({leg: hit["score"]})


async def test_grpc_gives_the_same(shop: Shop, stub: Any) -> None:
    expected = await hits(shop, scores=True)
    asked = pb.SearchRequest(query=[pb.Part(text="red shoe")], scores=True)
    assert [dict(hit.scores) for hit in (await stub.Search(asked)).hits] == [
        pytest.approx(hit["scores"]) for hit in expected
    ]
