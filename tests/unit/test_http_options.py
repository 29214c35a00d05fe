"""The options of a search, over HTTP, on both stores."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.fakes import picture
from tests.shop import Shop
from tests.unit.test_http_search import b64, ids, search

RED = [{"image": b64(picture("red"))}]


async def test_fusion_by_score_ranks_both_legs(either_shop: Shop) -> None:
    answer = await search(either_shop, {"text": "red shoe"}, fusion="dbsf")
    assert ids(answer)[0] == "red-shoe"
    assert answer["hits"][0]["score"] > 0.5  # RRF's scores are below 1/30


async def test_weights_say_which_leg_decides(either_shop: Shop) -> None:
    query: list[dict[str, Any]] = [{"image": b64(picture("blue"))}, {"text": "shoe", "weight": 0.1}]
    looks = await search(either_shop, *query, weights={"vector": 1, "text": 0})
    reads = await search(either_shop, *query, weights={"vector": 0.001, "text": 1})
    assert ids(looks)[0] == "blue-hat"
    assert set(ids(reads)[:1]) <= {"red-shoe", "green-shoe"}


async def test_best_score_takes_the_example_that_is_most_alike(either_shop: Shop) -> None:
    """The sum of blue and green is nearest to what is between; one by one, each has its own."""
    parts = [{"image": b64(picture("blue"))}, {"image": b64(picture("green"))}]
    answer = await search(either_shop, *parts, strategy="best_score")
    assert set(ids(answer)[:2]) == {"blue-hat", "green-shoe"}
    unwanted = {"item": "blue-hat", "weight": -1}
    pushed = await search(either_shop, *parts, unwanted, strategy="best_score")
    assert ids(pushed)[-1] == "blue-hat"
    assert pushed["hits"][-1]["score"] < 0


async def test_the_average_of_one_part_is_the_part(either_shop: Shop) -> None:
    plain = await search(either_shop, *RED)
    average = await search(either_shop, *RED, strategy="average_vector")
    assert average["hits"] == plain["hits"]
    orange = {"image": b64(picture((255, 128, 0)))}
    towards = ids(await search(either_shop, orange, strategy="average_vector"))
    less_red: list[dict[str, Any]] = [orange, {"item": "red-shoe", "weight": -1}]
    away = ids(await search(either_shop, *less_red, strategy="average_vector"))
    assert away.index("green-shoe") < towards.index("green-shoe")


async def test_rescoring_gives_cosines(either_shop: Shop) -> None:
    answer = await search(either_shop, *RED, {"text": "shirt"}, rescore=True)
    by_vector = await search(either_shop, *RED, {"text": "shirt"}, mode="vector")
    scores = {hit["id"]: hit["score"] for hit in by_vector["hits"]}
    assert ids(answer) == ids(by_vector)
    assert {h["id"]: h["score"] for h in answer["hits"]} == pytest.approx(scores, abs=1e-5)
    words = await search(either_shop, {"text": "shoe red"}, mode="text", rescore=True)
    assert ids(words) == ["red-shoe", "green-shoe"]
    assert words["hits"][0]["score"] == pytest.approx(1.0, abs=1e-5)


async def test_diversity_puts_the_unlike_second(either_shop: Shop) -> None:
    likeness = ids(await search(either_shop, *RED))
    assert likeness[:2] in (["red-shoe", "yellow-hat"], ["yellow-hat", "red-shoe"])
    diverse = ids(await search(either_shop, *RED, diversity=0.8))
    assert diverse[0] == likeness[0] or diverse[0] in likeness[:2]
    assert diverse[1] not in likeness[:2]
    assert ids(await search(either_shop, *RED, diversity=0)) == likeness


BOOSTS = [
    ({"kind": "flag", "field": "attributes.new", "weight": 50}, "red-shoe"),
    ({"kind": "popularity", "field": "attributes.sold", "weight": 50, "scale": 100}, "green-shoe"),
    ({"kind": "freshness", "field": "attributes.added", "weight": 1e2, "half_life_days": 1000},
     "red-shoe"),
    ({"kind": "proximity", "field": "price", "weight": 50, "target": 36, "scale": 2},
     "white-shirt"),
]  # fmt: skip


@pytest.mark.parametrize(("boost", "first"), BOOSTS, ids=[str(b[0]["kind"]) for b in BOOSTS])
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
async def test_boosts_decide_among_what_is_alike(
    either_shop: Shop, boost: dict[str, Any], first: str, mode: str
) -> None:
    plain = await search(either_shop, {"text": "blue"}, mode=mode)
    assert ids(plain)[0] == "blue-hat"
    answer = await search(either_shop, {"text": "blue"}, mode=mode, boosts=[boost])
    assert ids(answer)[0] == first
    assert set(ids(answer)) == set(ids(plain))


async def test_a_group_is_one_hit(either_shop: Shop) -> None:
    answer = await search(either_shop, *RED, group_by="category", fields=["title"])
    assert [(hit["group"], hit["others"]) for hit in answer["hits"]] in (
        [("shoes", ["green-shoe"]), ("hats", ["blue-hat"]), ("shirts", [])],
        [("hats", ["blue-hat"]), ("shoes", ["green-shoe"]), ("shirts", [])],
    )
    material = await search(either_shop, *RED, group_by="attributes.material")
    alone = [hit["id"] for hit in material["hits"] if "group" not in hit]
    assert set(alone) == {"blue-hat", "yellow-hat", "white-shirt"}
    by_id = await search(either_shop, *RED, group_by="id")
    assert by_id["hits"] == (await search(either_shop, *RED))["hits"]


async def test_facets_count_the_result_set_and_not_the_page(either_shop: Shop) -> None:
    answer = await search(
        either_shop,
        *RED,
        limit=1,
        offset=1,
        facets=["category", "attributes.new", "attributes.size"],
    )
    assert len(answer["hits"]) == 1
    assert answer["facets"] == {
        "category": [
            {"value": "hats", "count": 2},
            {"value": "shoes", "count": 2},
            {"value": "shirts", "count": 1},
        ],
        "attributes.new": [{"value": False, "count": 2}, {"value": True, "count": 1}],
        "attributes.size": [{"value": size, "count": 1} for size in (40, 41, 42)],
    }
    hats = {"must": [{"key": "category", "match": {"value": "hats"}}]}
    filtered = await search(either_shop, *RED, filter=hats, facets=["category"])
    assert filtered["facets"] == {"category": [{"value": "hats", "count": 2}]}
    words = await search(either_shop, {"text": "sandal"}, mode="text", facets=["brand"])
    assert (words["hits"], words["facets"]) == ([], {"brand": []})
    assert "facets" not in await search(either_shop, *RED)


async def test_an_upload_has_the_same_options(either_shop: Shop) -> None:
    form = {
        "boosts": orjson.dumps([BOOSTS[3][0]]).decode(),
        "weights": '{"vector": 1}',
        "group_by": "category",
        "rescore": "true",
        "fields": "title,price",
        "facets": "category,brand",
    }
    response = await either_shop.http.post(
        "/v1/search/image", files={"image": picture("red")}, data=form
    )
    assert response.status_code == 200, response.text
    hits = response.json()["hits"]
    assert hits[0]["id"] == "white-shirt"
    assert [hit["group"] for hit in hits] == ["shirts", "hats", "shoes"]
    assert list(response.json()["facets"]) == ["category", "brand"]


TEXT = [{"text": "red"}]
FLAG = {"kind": "flag", "field": "attributes.new", "weight": 1}
PARTS = [{"item": "red-shoe"}, {"item": "blue-hat", "weight": -1}]
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("weights-of-dbsf", {"fusion": "dbsf", "weights": {}}, "weights"),
    ("no-weight", {"weights": {"vector": 0, "text": 0}}, "weights"),
    ("negative-weight", {"weights": {"vector": -1}}, "weights.vector"),
    ("unknown-fusion", {"fusion": "best"}, "fusion"),
    ("unknown-strategy", {"strategy": "best"}, "strategy"),
    ("weighted-average", {"query": [{"text": "a", "weight": 0.5}], "strategy": "average_vector"},
     "query[0].weight"),
    ("least-cosine-of-best-score", {"query": PARTS, "strategy": "best_score", "min_score": 0.1},
     "min_score"),
    ("rescored-best-score", {"query": PARTS, "strategy": "best_score", "rescore": True}, "rescore"),
    ("diverse-best-score", {"query": PARTS, "strategy": "best_score", "diversity": 0.1},
     "diversity"),
    ("too-diverse", {"diversity": 1.5}, "diversity"),
    ("diverse-and-rescored", {"diversity": 0.5, "rescore": True}, "rescore"),
    ("diverse-and-boosted", {"diversity": 0.5, "boosts": [FLAG]}, "diversity"),
    ("boost-of-nothing", {"boosts": [FLAG | {"field": "attributes.stock"}]}, "boosts[0].field"),
    ("boost-of-a-word", {"boosts": [FLAG | {"field": "category"}]}, "boosts[0].field"),
    ("boost-of-no-weight", {"boosts": [FLAG | {"weight": 0}]}, "boosts[0].weight"),
    ("boost-of-much-weight", {"boosts": [FLAG | {"weight": 1e9}]}, "boosts[0].weight"),
    ("boost-twice", {"boosts": [FLAG, FLAG]}, "boosts[1].field"),
    ("many-boosts", {"boosts": [FLAG] * 9}, "boosts"),
    ("unknown-boost", {"boosts": [FLAG | {"kind": "luck"}]}, "boosts[0]"),
    ("boost-without-scale", {"boosts": [{"kind": "popularity", "field": "price", "weight": 1}]},
     "boosts[0].scale"),
    ("no-scale", {"boosts": [{"kind": "popularity", "field": "price", "weight": 1, "scale": 0}]},
     "boosts[0].scale"),
    ("no-half-life", {"boosts": [{"kind": "freshness", "field": "attributes.added", "weight": 1,
      "half_life_days": -1}]}, "boosts[0].half_life_days"),
    ("freshness-of-a-price", {"boosts": [{"kind": "freshness", "field": "price", "weight": 1,
      "half_life_days": 1}]}, "boosts[0].field"),
    ("group-by-nothing", {"group_by": "colour"}, "group_by"),
    ("facet-of-nothing", {"facets": ["category", "colour"]}, "facets[1]"),
    ("facet-of-price", {"facets": ["price"]}, "facets[0]"),
    ("many-facets", {"facets": ["category"] * 11}, "facets"),
    ("group-by-price", {"group_by": "price"}, "group_by"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
async def test_what_makes_no_sense_is_refused_by_name(
    shop: Shop, body: dict[str, Any], field: str
) -> None:
    response = await shop.http.post("/v1/search", json={"query": TEXT} | body)
    assert response.status_code == 422, response.text
    assert response.json()["field"] == field
    assert response.json()["detail"]


@pytest.mark.parametrize(
    "data",
    [{"boosts": "["}, {"boosts": "{}"}, {"weights": "1"}, {"diversity": "7"}, {"fusion": "x"}],
    ids=str,
)
async def test_a_bad_form_value_is_named(shop: Shop, data: dict[str, str]) -> None:
    files = {"image": picture("red")}
    response = await shop.http.post("/v1/search/image", files=files, data=data)
    assert response.status_code == 422
    assert response.json()["field"].startswith(next(iter(data)))
