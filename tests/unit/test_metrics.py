"""The gauges and counters say what is, and stop saying what is no more."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.domain.errors import BackendUnavailable
from gateway.domain.loaded_release import LoadedRelease
from gateway.services import admission
from gateway.services.admission import Admission
from gateway.services.index_drift import IndexDrift
from gateway.services.release_build import BuildLimits
from gateway.telemetry import Metrics
from tests.fakes import colour_release, held, picture
from tests.faults.scene import DIM, GOLDEN, draw_pictures, fill, running, settings_for
from tests.faults.triton_stub import triton_stub
from tests.releases import V1, V2, built, soon
from tests.shop import ITEMS, Shop, open_shop

PICTURES = sum(len(item.pictures) for item in ITEMS)


def value(shop: Shop, name: str, **labels: str) -> float | None:
    return shop.gateway.metrics.registry.get_sample_value(name, labels)


def drift_of(shop: Shop) -> IndexDrift:
    gateway = shop.gateway
    return IndexDrift(shop.index, gateway.releases, gateway.lifecycle, gateway.metrics)


async def test_pictures_that_a_kept_collection_lacks_are_counted(shop: Shop) -> None:
    await built(shop)
    drift = drift_of(shop)
    await drift.look()
    for release in (V1, V2):
        assert value(shop, "lookalike_index_pictures", release=release) == PICTURES
        assert value(shop, "lookalike_index_drift_pictures", release=release) == 0
        assert value(shop, "lookalike_build_running", release=release) == 0
    points = await shop.index.item_points(V2, "yellow-hat", soon())
    await shop.index.delete_points(V2, [point.id for point in points])
    await drift.look()
    assert value(shop, "lookalike_index_drift_pictures", release=V2) == len(points) == 2
    assert value(shop, "lookalike_index_drift_pictures", release=V1) == 0


async def test_a_collection_that_is_being_built_is_told_from_one_that_came_apart(
    shop: Shop,
) -> None:
    with held(shop.inference):
        shop.gateway.lifecycle.start_build(V2, BuildLimits(0.0))
        assert shop.gateway.lifecycle.building(V2)
        assert not shop.gateway.lifecycle.building(V1)
    await shop.gateway.lifecycle.stop_build(V2)
    assert not shop.gateway.lifecycle.building(V2)


async def test_a_retired_release_leaves_no_series_behind(shop: Shop) -> None:
    await built(shop)
    drift = drift_of(shop)
    await drift.look()
    await shop.gateway.lifecycle.retire(V2)
    await drift.look()
    assert value(shop, "lookalike_index_pictures", release=V1) == PICTURES
    for gauge in ("index_pictures", "index_drift_pictures", "build_running"):
        assert value(shop, f"lookalike_{gauge}", release=V2) is None


async def test_while_the_store_is_away_the_last_counts_stay(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drift = drift_of(shop)
    await drift.look()

    async def away(collection: str) -> None:
        raise BackendUnavailable("Qdrant is away.")

    monkeypatch.setattr(shop.index, "describe", away)
    await drift.look()
    assert value(shop, "lookalike_index_pictures", release=V1) == PICTURES


async def test_a_collection_of_another_model_is_a_mismatch_and_no_release_is_active(
    tmp_path: Path,
) -> None:
    async with open_shop(tmp_path / "index", ITEMS) as shop:
        await shop.http.get("/health/ready")
        assert value(shop, "lookalike_ready") == 1
        assert value(shop, "lookalike_space_mismatch") == 0

    def swapped(release_id: str) -> LoadedRelease:
        return colour_release(release_id, "another model's")

    async with open_shop(tmp_path / "index", load=swapped) as shop:
        assert (await shop.http.get("/health/ready")).status_code == 503
        assert value(shop, "lookalike_ready") == 0
        assert value(shop, "lookalike_space_mismatch") == 1
        assert value(shop, "lookalike_active_release", release=V1) is None


async def test_the_release_that_answers_is_the_only_active_one(shop: Shop) -> None:
    await built(shop)
    await shop.gateway.lifecycle.activate(V2)
    assert value(shop, "lookalike_active_release", release=V1) == 0
    assert value(shop, "lookalike_active_release", release=V2) == 1


async def test_a_match_is_counted_once_however_many_pages_are_seen(tmp_path: Path) -> None:
    def calibrated(release_id: str) -> LoadedRelease:
        return replace(colour_release(release_id), cutoffs={"image": 0.97})

    async with open_shop(tmp_path / "index", ITEMS, load=calibrated) as shop:
        for colour in ("blue", (200, 120, 0)):
            for offset in (0, 2):
                files = {"image": picture(colour)}
                await shop.http.post("/v1/search/image", files=files, data={"offset": offset})
        nothing = {"query": [{"text": "red"}], "mode": "text", "filter": {"must": [
            {"key": "price", "range": {"gt": 1000}}]}}  # fmt: skip
        assert (await shop.http.post("/v1/search", json=nothing)).json()["hits"] == []
        assert value(shop, "lookalike_best_match_total", confident="true") == 1
        assert value(shop, "lookalike_best_match_total", confident="false") == 1
        assert value(shop, "lookalike_empty_searches_total") == 1


async def test_remembered_texts_are_told_from_new_ones(shop: Shop) -> None:
    for _ in range(3):
        await shop.http.get("/v1/search?q=red")
    assert value(shop, "lookalike_text_cache_total", outcome="miss") == 1
    assert value(shop, "lookalike_text_cache_total", outcome="hit") == 2


def test_the_limit_that_is_told_is_the_one_that_holds() -> None:
    now = [0.0]
    metrics = Metrics()
    room = Admission(100, metrics, wait_s=1.0, clock=lambda: now[0])
    limit = metrics.registry.get_sample_value
    assert limit("lookalike_in_flight_limit") == 100
    for _ in range(200):
        with room.admitted():
            now[0] += 0.05
    told = limit("lookalike_in_flight_limit")
    assert told is not None
    assert admission.LEAST <= told < 100


async def test_a_server_that_goes_away_is_seen_to_be(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "pictures")
    async with AsyncExitStack() as stack:
        stub = await stack.enter_async_context(triton_stub(DIM, GOLDEN))
        async with running(settings_for(tmp_path, triton=stub.endpoint)) as shop:
            await fill(shop.assembly)
            look = shop.assembly.gateway.metrics.registry.get_sample_value
            triton = {"backend": "triton"}
            assert look("lookalike_backend_up", triton) == 1
            await stack.aclose()
            assert (await shop.http.get("/v1/search?q=red&mode=vector")).status_code == 503
            async with asyncio.timeout(20):
                while look("lookalike_backend_up", triton):  # noqa: ASYNC110 - a gauge has no event
                    await asyncio.sleep(0.02)
