"""Whatever the network does: right answers or clear errors, in time, and soon back."""

from __future__ import annotations

from statistics import median

import pytest

from tests.faults.proxy import Fault
from tests.faults.scene import DEADLINE_S, GRACE_S, STANDSTILL_S
from tests.faults.table import AWAY, QDRANT, TRITON, Row, row, shop_behind

KNOWN_S = 0.05
BACK_S = 2.0
by_fault = pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
by_server = pytest.mark.parametrize("server", [TRITON, QDRANT])


async def seen_with(server: str, fault: Fault, triton_port: int) -> Row:
    """The fault happens to a shop of its own."""
    async with shop_behind(server, triton_port) as (shop, proxy):
        return await row(server, fault, shop, proxy)


@pytest.mark.triton
@pytest.mark.slow
@by_fault
@by_server
async def test_a_fault_leads_to_no_wrong_answer_and_to_no_endless_one(
    server: str, fault: Fault, triton_port: int
) -> None:
    seen = await seen_with(server, fault, triton_port)
    during, known = seen.during, seen.known
    assert during.wrong == 0
    assert not during.undeclared(), during.codes
    assert median(during.took_s) < DEADLINE_S + GRACE_S
    assert max(during.took_s) < DEADLINE_S + STANDSTILL_S
    if fault is Fault.NONE:
        assert during.right == during.sent
        assert seen.acknowledged > 0
    if fault not in AWAY:
        assert during.right > 0
    if known is not None:
        # "More like this" by an item's id is a quarter of the queries, and needs no Triton.
        assert known.right == (known.sent / 4 if server == TRITON else 0)
        assert set(known.codes) <= {200, 503}
        assert median(known.errors_took_s) < KNOWN_S
    assert seen.back_s < BACK_S + STANDSTILL_S
    assert seen.lost == 0


@pytest.mark.triton
@pytest.mark.timing
@by_fault
@by_server
async def test_a_fault_leads_to_no_late_answer(server: str, fault: Fault, triton_port: int) -> None:
    seen = await seen_with(server, fault, triton_port)
    assert max(seen.during.took_s) < DEADLINE_S + GRACE_S
    if seen.known is not None:
        # Two cores for everything: one in ten may meet a pause that is not the gateway's.
        times_s = sorted(seen.known.errors_took_s)
        assert times_s[int(0.9 * len(times_s))] < KNOWN_S
    assert seen.back_s < BACK_S
