"""Any options together: an answer that keeps its promises, or a refusal that names a field."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes import picture
from tests.shop import Shop
from tests.unit.test_http_search import b64, ids

WORDS = st.sampled_from(["red", "blue shoe", "hat", "sandal", "the", "ü ?!"])
WEIGHTS = st.sampled_from([1.0, 1.0, -1.0, 0.5, -0.3])
PARTS = st.one_of(
    st.fixed_dictionaries({"text": WORDS}, optional={"weight": WEIGHTS}),
    st.fixed_dictionaries(
        {"image": st.sampled_from([b64(picture(c)) for c in ("red", "blue", "white")])},
        optional={"weight": WEIGHTS, "crop": st.just([0.0, 0.0, 0.5, 1.0])},
    ),
    st.fixed_dictionaries(
        {"item": st.sampled_from(["red-shoe", "yellow-hat", "nope"])}, optional={"weight": WEIGHTS}
    ),
    st.fixed_dictionaries({"vector": st.lists(st.floats(-1, 1, width=32), min_size=4, max_size=4)}),
)
FIELDS = st.sampled_from(
    ["category", "brand", "price", "attributes.new", "attributes.sold", "attributes.added", "nope"]
)
BOOSTS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("flag"), "field": FIELDS, "weight": st.floats(-2, 2)}),
    st.fixed_dictionaries({"kind": st.just("popularity"), "field": FIELDS,
                           "weight": st.floats(-2, 2), "scale": st.floats(0.001, 1e6)}),
    st.fixed_dictionaries({"kind": st.just("freshness"), "field": FIELDS,
                           "weight": st.floats(-2, 2), "half_life_days": st.floats(0.01, 30_000)}),
    st.fixed_dictionaries({"kind": st.just("proximity"), "field": FIELDS,
                           "weight": st.floats(-2, 2), "target": st.floats(-1e6, 1e6),
                           "scale": st.floats(0.001, 1e6)}),
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {"query": st.lists(PARTS, min_size=1, max_size=3), "limit": st.integers(1, 4)},
    optional={
        "mode": st.sampled_from(["auto", "vector", "text", "hybrid"]),
        "min_score": st.floats(-1, 1),
        "fusion": st.sampled_from(["rrf", "dbsf"]),
        "weights": st.fixed_dictionaries(
            {}, optional={"vector": st.floats(0, 3), "text": st.floats(0, 3)}
        ),
        "strategy": st.sampled_from(["weighted_sum", "average_vector", "best_score"]),
        "rescore": st.booleans(),
        "diversity": st.sampled_from([0.0, 0.3, 1.0]),
        "boosts": st.lists(BOOSTS, max_size=2),
        "group_by": FIELDS,
        "facets": st.lists(FIELDS, max_size=2),
        "return_query": st.booleans(),
    },
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(OPTIONS)
async def test_any_options_together_are_answered_or_refused_by_name(
    shop: Shop, body: dict[str, Any]
) -> None:
    response = await shop.http.post("/v1/search", json=body)
    answer = response.json()
    if response.status_code != 200:
        assert response.status_code in (404, 422), answer
        assert answer["field"]
        return
    assert ("query_token" in answer) == body.get("return_query", False)
    assert list(answer.get("facets", {})) == list(dict.fromkeys(body.get("facets", [])))
    if body.get("diversity"):
        return  # in this shop many pictures are equally far from a colour; see `qdrant_paging`
    pages = list(ids(answer))
    for offset in range(body["limit"], 8, body["limit"]):
        page = await shop.http.post("/v1/search", json=body | {"offset": offset})
        pages += ids(page.json())
    whole = await shop.http.post("/v1/search", json=body | {"limit": 10})
    assert pages[: len(pages)] == ids(whole.json())
    assert len(set(pages)) == len(pages)
