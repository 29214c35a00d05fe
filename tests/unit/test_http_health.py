"""Ready means that a search would be answered rightly."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.errors import BackendUnavailable
from gateway.services import readiness
from tests.fakes import DIM
from tests.shop import Shop, open_shop


@pytest.fixture(autouse=True)
def _proof_is_always_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PROOF_VALID_S", 0.0)


async def test_a_shop_that_answers_is_ready(shop: Shop) -> None:
    response = await shop.http.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == {"ready": True, "release": "colours-v1", "reason": None}


async def test_a_server_that_computes_nonsense_is_not_ready(shop: Shop) -> None:
    shop.inference.off_by = 0.5
    response = await shop.http.get("/health/ready")
    assert response.status_code == 503
    assert "not those of release colours-v1" in response.json()["reason"]


async def test_a_model_that_is_away_makes_unready_not_dead(shop: Shop) -> None:
    shop.inference.failing = BackendUnavailable("Triton cannot be reached")
    assert (await shop.http.get("/health/ready")).status_code == 503
    assert (await shop.http.get("/health/live")).status_code == 200
    shop.inference.failing = None
    assert (await shop.http.get("/health/ready")).status_code == 200


async def test_an_empty_index_is_not_ready_and_says_what_to_do(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        response = await shop.http.get("/health/ready")
        assert response.status_code == 503
        assert "lookalike index" in response.json()["reason"]
        assert (await shop.http.get("/v1/search", params={"q": "red"})).status_code == 503


async def test_a_gateway_that_drains_is_not_ready_but_answers(shop: Shop) -> None:
    shop.gateway.readiness.drain()
    assert (await shop.http.get("/health/ready")).status_code == 503
    assert (await shop.http.get("/v1/search", params={"q": "red"})).status_code == 200


async def test_metrics_count_requests_by_route_and_outcome(shop: Shop) -> None:
    await shop.http.get("/v1/items/red-shoe")
    await shop.http.get("/v1/items/nope")
    text = (await shop.http.get("/metrics")).text
    route = 'route="GET /v1/items/{item_id:path}"'
    assert f'lookalike_requests_total{{outcome="ok",{route}}} 1.0' in text
    assert f'lookalike_requests_total{{outcome="refused",{route}}} 1.0' in text
    assert 'lookalike_active_release{release="colours-v1"} 1.0' in text


async def test_the_active_release_describes_itself(shop: Shop) -> None:
    metadata = (await shop.http.get("/v1/releases/active")).json()
    assert metadata["name"] == "colours-v1"
    assert metadata["outputs"] == [{"name": "vector", "datatype": "FP32", "shape": [-1, DIM]}]
    assert metadata["fingerprint"] == "fingerprint of colours-v1"
    assert metadata["filterable_fields"]["price"] == "float"


async def test_the_api_describes_itself(shop: Shop) -> None:
    document = (await shop.http.get("/openapi.json")).json()
    assert "/v1/search" in document["paths"]
    assert (await shop.http.get("/docs")).status_code == 200


async def test_an_unknown_path_is_a_problem_too(shop: Shop) -> None:
    response = await shop.http.get("/v2/search")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
