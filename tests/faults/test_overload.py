"""More is offered than can be done: what can be done is done, and the rest is told so at once."""

from __future__ import annotations

import pytest

from tests.faults.overload import DEADLINE_S, overload
from tests.faults.scene import GRACE_S


@pytest.mark.timing
@pytest.mark.parametrize(("times", "share"), [(2.0, 0.9), (5.0, 0.75)], ids=["twice", "five-fold"])
async def test_an_overload_costs_little_of_what_can_be_done(times: float, share: float) -> None:
    found = await overload(times)
    seen = found.seen
    assert set(seen.codes()) <= {200, 429}, seen.codes()
    assert seen.goodput() >= share * found.peak.goodput()
    assert seen.quantile_s(200, 0.99) < DEADLINE_S + GRACE_S
    assert seen.quantile_s(429, 0.99) < 0.05
    assert found.grown_mib <= 64
    assert found.after.quantile_s(200, 0.99) < 0.25
