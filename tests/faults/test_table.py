"""Whatever the network does: right answers or clear errors, in time, and soon back."""

from __future__ import annotations

import pytest

from tests.faults.proxy import Fault
from tests.faults.scene import DEADLINE_S, GRACE_S
from tests.faults.table import AWAY, QDRANT, TRITON, row, shop_behind

KNOWN_S = 0.05
BACK_S = 2.0


@pytest.mark.triton
@pytest.mark.slow
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize("server", [TRITON, QDRANT])
async def test_a_fault_leads_to_no_wrong_answer_and_to_no_late_one(
    server: str, fault: Fault, triton_port: int
) -> None:
    async with shop_behind(server, triton_port) as (shop, proxy):
        seen = await row(server, fault, shop, proxy)
    during, known = seen.during, seen.known
    assert during.wrong == 0
    assert not during.undeclared(), during.codes
    assert max(during.took_s) < DEADLINE_S + GRACE_S
    if fault is Fault.NONE:
        assert during.right == during.sent
    if fault not in AWAY:
        assert during.right > 0
    if known is not None:
        # "More like this" by an item's id is a quarter of the queries, and needs no Triton.
        assert known.right == (known.sent / 4 if server == TRITON else 0)
        assert set(known.codes) <= {200, 503}
        # On two busy cores one in ten may meet a pause that is not the gateway's.
        assert sorted(known.errors_took_s)[int(0.9 * len(known.errors_took_s))] < KNOWN_S
    assert seen.back_s < BACK_S
    assert seen.lost == 0
    if fault is Fault.NONE:
        assert seen.acknowledged > 0
