"""The toy releases built and compared, for the tests of a switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.domain.deadline import Deadline
from gateway.services.collection_difference import difference
from gateway.services.release_build import BuildLimits, BuildProgress
from tests.shop import ADMIN_KEY, Shop

V1, V2 = "colours-v1", "colours-v2"
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


def soon() -> Deadline:
    """Time enough, also on a busy machine."""
    return Deadline.after(20)


async def built(
    shop: Shop, most_failed: float = 0.0, most_per_s: float | None = None
) -> BuildProgress:
    """The second release, built beside the first; must succeed."""
    progress = BuildProgress(V2)
    await shop.gateway.lifecycle.build(progress, BuildLimits(most_failed, most_per_s))
    assert progress.reason is None
    return progress


async def first(shop: Shop, text: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The answer to a search for the one item nearest to some words."""
    body = {"query": [{"text": text}], "mode": "vector", "limit": 1}
    response = await shop.http.post("/v1/search", json=body, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def in_step(shop: Shop) -> bool:
    """Whether both collections say the same of every item."""
    return (await difference(shop.index, V1, V2)).none
