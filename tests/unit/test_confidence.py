"""Whether an answer says that it is a good match."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_cluster_client import ClusterOptions
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import CatalogIndex
from tests.fakes import colour_release, picture
from tests.qdrant_wire.server import serving
from tests.shop import ITEMS, Shop, shop_on
from tests.unit.test_http_search import b64, search

CUTOFFS = {"text": 0.9, "image": 0.97}


def calibrated(release_id: str) -> LoadedRelease:
    return replace(colour_release(release_id), cutoffs=CUTOFFS)


@pytest.fixture(params=["edge", "cluster"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop whose release has cut-offs, on each store."""
    async with AsyncExitStack() as stack:
        if request.param == "edge":
            index: CatalogIndex = EdgeIndex.open(tmp_path / "index")
        else:
            port = await stack.enter_async_context(serving())
            index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        stack.push_async_callback(index.close)
        yield await stack.enter_async_context(shop_on(index, ITEMS, load=calibrated))


BLUE, BROWN = {"image": b64(picture("blue"))}, {"image": b64(picture((200, 120, 0)))}
SEEN: list[tuple[str, list[dict[str, Any]], dict[str, Any], bool | None]] = [
    ("a picture that is there", [BLUE], {}, True),
    ("a picture that is not", [BROWN], {}, False),
    ("its second page", [BLUE], {"offset": 2}, True),
    ("the second page of what is not", [BROWN], {"offset": 2}, False),
    ("words, both legs", [{"text": "blue"}], {}, True),
    ("words that no picture shows", [{"text": "red blue"}], {}, False),
    ("boosted", [BLUE], {"boosts": [{"kind": "flag", "field": "attributes.new", "weight": 99}]},
     True),
    ("boosted, not there", [BROWN],
     {"boosts": [{"kind": "flag", "field": "attributes.new", "weight": 99}]}, False),
    ("diverse", [BLUE], {"diversity": 0.9}, True),
    ("rescored words", [{"text": "blue"}], {"mode": "text", "rescore": True}, True),
    ("filtered away", [BLUE], {"filter": {"must_not": [
        {"key": "category", "match": {"value": "hats"}}]}}, False),
    ("nothing left", [BLUE], {"filter": {"must": [
        {"key": "category", "match": {"value": "socks"}}]}}, False),
    ("words alone have no cosine", [{"text": "blue"}], {"mode": "text"}, None),
    ("best score has none either", [BLUE, {"text": "red", "weight": -1}],
     {"strategy": "best_score"}, None),
    ("a kind without a cut-off", [BLUE, {"text": "blue"}], {}, None),
    ("an item is a picture", [{"item": "blue-hat"}], {}, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "options", "expected"), [case[1:] for case in SEEN], ids=[case[0] for case in SEEN]
)
async def test_an_answer_says_whether_it_is_a_good_match(
    shop: Shop, parts: list[dict[str, Any]], options: dict[str, Any], expected: bool | None
) -> None:
    assert (await search(shop, *parts, **options))["confident"] is expected


async def test_a_token_is_of_the_kind_of_its_query(shop: Shop) -> None:
    for part in ({"text": "red blue"}, BROWN):
        first = await search(shop, part, return_query=True)
        page = await search(shop, {"token": first["query_token"]}, offset=1)
        assert page["confident"] is first["confident"] is False


async def test_grpc_says_the_same(shop: Shop, stub: Any) -> None:
    for part, expected in ((pb.Part(text="blue"), True), (pb.Part(text="red blue"), False)):
        answer = await stub.Search(pb.SearchRequest(query=[part]))
        assert answer.HasField("confident")
        assert answer.confident is expected
    words = pb.SearchRequest(query=[pb.Part(text="blue")], mode=pb.MODE_TEXT)
    assert not (await stub.Search(words)).HasField("confident")
