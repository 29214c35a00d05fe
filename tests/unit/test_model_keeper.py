"""The towers of kept releases are loaded again when a server lost them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.domain.errors import BackendUnavailable
from gateway.services.model_keeper import ModelKeeper
from gateway.services.release_build import BuildLimits, BuildProgress
from tests.fakes import ColourModels
from tests.shop import ITEMS, open_shop

V1, V2 = "colours-v1", "colours-v2"


async def test_active_and_kept_towers_are_loaded_and_retired_ones_are_not(tmp_path: Path) -> None:
    async with open_shop(tmp_path / "index", ITEMS) as shop:
        await shop.gateway.lifecycle.build(BuildProgress(V2), BuildLimits(0.0))
        restarted = ColourModels()
        keeper = ModelKeeper(shop.gateway.releases, restarted)
        await keeper.ensure()
        both = {f"{name}-{tower}" for name in (V1, V2) for tower in ("image", "text")}
        assert restarted.loaded == both
        await shop.gateway.lifecycle.activate(V2)
        await shop.gateway.lifecycle.retire(V1)
        restarted.loaded.clear()
        await keeper.ensure()
        assert restarted.loaded == {f"{V2}-image", f"{V2}-text"}


async def test_a_server_that_cannot_load_is_complained_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(ColourModels):
        async def load(self, models: Sequence[str]) -> None:
            raise BackendUnavailable("Triton at 10.0.0.1:8001 cannot load it.")

    async with open_shop(tmp_path / "index", ITEMS) as shop:
        keeper = ModelKeeper(shop.gateway.releases, Away())
        with caplog.at_level(logging.WARNING, "gateway.services.model_keeper"):
            await keeper.ensure()
            await keeper.ensure()
    assert [record.message for record in caplog.records] == [
        "Triton at 10.0.0.1:8001 cannot load it."
    ]
