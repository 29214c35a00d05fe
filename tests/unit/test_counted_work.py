"""What a search costs, in things that can be counted: a machine's load does not change them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import httpx
import pytest

from tests.fakes import picture
from tests.shop import Shop

Call = Callable[[], Awaitable[httpx.Response]]

# Measured (952, 953, 1,482) and a quarter more; the client and its transport are in the count.
MOST_CALLS = {"words": 1_190, "body": 1_190, "picture": 1_850}


async def counted(call: Call) -> Counter[str]:
    """Calls of Python functions on this thread (under `""`, all of them), and of the names below in
    C."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[""] += 1
            calls[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            calls[argument.__qualname__] += 1

    sys.setprofile(count)
    try:
        response = await call()
    finally:
        sys.setprofile(None)
    assert response.status_code == 200, response.text
    assert len(response.json()["hits"]) > 1
    return calls


@pytest.fixture(name="searches")
def the_searches(shop: Shop) -> dict[str, Call]:
    """One of each kind."""
    return {
        "words": lambda: shop.http.get("/v1/search", params={"q": "red"}),
        "body": lambda: shop.http.post("/v1/search", json={"query": [{"text": "red"}]}),
        "picture": lambda: shop.http.post("/v1/search/image", files={"image": picture("red")}),
    }


@pytest.mark.parametrize(
    ("kind", "inferences", "hops"), [("words", 0, 0), ("body", 0, 0), ("picture", 1, 1)]
)
async def test_what_a_search_calls(
    shop: Shop, searches: dict[str, Call], kind: str, inferences: int, hops: int
) -> None:
    """Words that are known need no model and no thread; a picture one of each; the index is asked
    once, and only the page's points are decoded."""
    await searches[kind]()
    shop.inference.calls.clear()
    calls = await counted(searches[kind])
    assert len(shop.inference.calls) == inferences
    assert calls["ThreadPoolExecutor.submit"] == hops
    assert calls["run_in_threadpool"] == 0
    assert calls["EdgeShard.query"] == 1
    assert calls["public"] == 5
    assert calls[""] < MOST_CALLS[kind], calls.most_common(25)
