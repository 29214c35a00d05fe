"""A running gateway measured from outside: the same figures, and its faults in sentences."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

pytest.importorskip("pytrec_eval")

from gateway.adapters.remote_gateway import RemoteGateway, gateway_url
from gateway.domain.errors import (
    BackendUnavailable,
    GoldenInvalid,
    NotFound,
    Overloaded,
    StartupProblem,
)
from gateway.domain.items import Item
from gateway.domain.query import LegWeights, Mode
from gateway.services.evaluation import check_items, evaluate
from gateway.services.release_build import BuildLimits, BuildProgress
from gateway.services.subject import AS_ASKED, Method, ReleaseInProcess
from tests.golden import golden_set, photo, words
from tests.shop import MAX_IN_FLIGHT, Shop, open_shop

RELEASE = "colours-v1"
HATS = {"must": [{"key": "category", "match": {"value": "hats"}}]}
ROWS = (
    photo("orange", {"red-shoe": 3, "green-shoe": 2}, id="photo", category="shoes"),
    photo("green", {"blue-hat": 1}, id="filtered", variant="by hand") | {"filter": HATS},
    words("yellow shirt", {"white-shirt": 1}, id="words"),
    words("shirt", {"white-shirt": 1}, id="full text") | {"mode": "text"},
    {"id": "both", "query": [{"image_file": "red.png", "weight": 2, "crop": [0, 0, 1, 0.5]},
                             {"text": "hat"}, {"item": "blue-hat", "weight": -0.5}],
     "relevant": {"yellow-hat": 1}},
)  # fmt: skip


def ignore(_: int) -> None:
    """For progress that nobody watches."""


@pytest.mark.parametrize("method", [AS_ASKED, Method("vectors", Mode.VECTOR)], ids=str)
async def test_the_figures_are_those_of_the_search_in_process(
    shop: Shop, tmp_path: Path, method: Method
) -> None:
    rows = ROWS if method is AS_ASKED else ROWS[:3]
    golden = golden_set(tmp_path, *rows)
    remote = RemoteGateway(RELEASE, shop.http)
    await remote.check()
    await check_items(remote, golden, ignore)
    here = ReleaseInProcess(RELEASE, shop.gateway.search)
    expected = await evaluate(here, golden, method, 0, ignore)
    assert await evaluate(remote, golden, method, 0, ignore) == expected
    assert any(outcome.answer for outcome in expected.outcomes)


async def test_an_item_is_found_whatever_characters_its_id_has(tmp_path: Path) -> None:
    strange = Item("a/b?c#d%2F é", "Strange", ("red.png",))
    async with open_shop(tmp_path / "index", [strange]) as shop:
        remote = RemoteGateway(RELEASE, shop.http)
        assert (await remote.item(strange.id))["title"] == "Strange"
        with pytest.raises(NotFound, match="no item 'a'"):
            await remote.item("a")


async def test_items_that_the_catalogue_does_not_have_are_named(shop: Shop, tmp_path: Path) -> None:
    golden = golden_set(tmp_path, words("hat", {"blue-hat": 1, "gone": 1}, id="q"))
    with pytest.raises(GoldenInvalid, match=r"'gone'; the first is in query q\.$"):
        await check_items(RemoteGateway(RELEASE, shop.http), golden, ignore)


async def test_a_query_that_cannot_be_answered_is_named(shop: Shop, tmp_path: Path) -> None:
    golden = golden_set(tmp_path, {"id": "q", "query": [{"item": "x"}], "relevant": {"a": 1}})
    with pytest.raises(GoldenInvalid, match=r"^Query q cannot be answered: .*no item 'x'"):
        await evaluate(RemoteGateway(RELEASE, shop.http), golden, AS_ASKED, 0, ignore)


async def test_a_release_that_is_not_kept_there_is_told_before_and_while_it_is_asked(
    shop: Shop, tmp_path: Path
) -> None:
    remote = RemoteGateway("colours-v2", shop.http)
    sentence = "No collection of release 'colours-v2' is kept here; kept: colours-v1"
    with pytest.raises(NotFound, match=sentence):
        await remote.check()
    with pytest.raises(NotFound, match=sentence):
        await remote.search(golden_set(tmp_path, ROWS[0])[0], AS_ASKED)


async def test_a_release_that_is_kept_but_not_active_is_measured_beside_the_live_one(
    shop: Shop, tmp_path: Path
) -> None:
    await shop.gateway.lifecycle.build(BuildProgress("colours-v2"), BuildLimits(0.0))
    golden = golden_set(tmp_path, *ROWS)
    for release in (RELEASE, "colours-v2"):
        remote = RemoteGateway(release, shop.http)
        await remote.check()
        found = await evaluate(remote, golden, AS_ASKED, 0, ignore)
        assert found.release == release
    assert (await shop.index.aliases()).active == RELEASE


async def test_a_gateway_without_a_release_says_so(tmp_path: Path) -> None:
    async with open_shop(tmp_path / "index") as shop:
        with pytest.raises(NotFound, match="No collection of release 'colours-v1' is kept here"):
            await RemoteGateway(RELEASE, shop.http).check()


async def test_a_gateway_that_is_full_says_for_how_long(shop: Shop, tmp_path: Path) -> None:
    shop.inference.failing = Overloaded("Triton's queue is full.", retry_after_s=7)
    [query] = golden_set(tmp_path, ROWS[0])
    with pytest.raises(Overloaded, match="queue is full") as caught:
        await RemoteGateway(RELEASE, shop.http).search(query, AS_ASKED)
    assert caught.value.retry_after_s == 7


async def test_a_full_gateway_is_waited_for(shop: Shop, tmp_path: Path) -> None:
    rows = [photo("green", {"green-shoe": 1}, id=str(n)) for n in range(3 * MAX_IN_FLIGHT)]
    remote = RemoteGateway(RELEASE, shop.http)
    found = await evaluate(remote, golden_set(tmp_path, *rows), AS_ASKED, 0, ignore)
    assert found.overall.metrics["recall@1"].mean == 1


@pytest.mark.parametrize(
    "method",
    [
        Method("fused", Mode.HYBRID, LegWeights(1, 0.5)),
        Method("words", Mode.TEXT, rescore=True),
        Method("vectors", Mode.VECTOR),
    ],
)
async def test_a_method_is_asked_for_as_it_is_in_process(
    shop: Shop, tmp_path: Path, method: Method
) -> None:
    [query] = golden_set(tmp_path, words("blue canvas bluefinch", {"green-shoe": 1}))
    here = await ReleaseInProcess(RELEASE, shop.gateway.search).search(query, method)
    there = await RemoteGateway(RELEASE, shop.http).search(query, method)
    assert [hit.item_id for hit in there.hits] == [hit.item_id for hit in here.hits]
    assert [hit.score for hit in there.hits] == pytest.approx([hit.score for hit in here.hits])


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("127.0.0.1:8080", "write http://HOST:PORT"),
        ("localhost:8080", "write http://HOST:PORT"),
        ("ftp://shop", "write http://HOST:PORT"),
        ("http://", "write http://HOST:PORT"),
        ("http://shop:x", "is no address"),
        ("http://shop:99999999", "write http://HOST:PORT"),
    ],
)
def test_what_is_no_address_is_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(StartupProblem, match=sentence) as caught:
        gateway_url(url)
    assert url in caught.value.detail
    assert ".." not in caught.value.detail


def test_an_address_may_have_a_path() -> None:
    assert gateway_url("https://shop.example/search/") == "https://shop.example/search/"


@asynccontextmanager
async def answering(response: Response) -> AsyncIterator[RemoteGateway]:
    """Some other server, which always answers the same."""

    async def always(_: object) -> Response:
        return response

    app = Starlette(routes=[Route("/{path:path}", always, methods=["GET", "POST"])])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://other") as client:
        yield RemoteGateway(RELEASE, client)


STRANGERS: dict[str, tuple[Response, str]] = {
    "a page": (PlainTextResponse("<html>"), "http://other is no Lookalike gateway: .*no JSON"),
    "a list": (JSONResponse([1]), "http://other is no Lookalike gateway: .*no JSON object"),
    "other members": (
        JSONResponse({"a": 1}),
        "http://other is no Lookalike gateway: .*no 'release'",
    ),
    "not found": (
        JSONResponse({"detail": "GET /v1: Not Found."}, 404),
        r"http://other is no Lookalike gateway: GET /v1: Not Found\.$",
    ),
    "a failure": (JSONResponse({"detail": "Broken."}, 500), "http://other says: Broken."),
    "a bare failure": (JSONResponse({}, 502), "http://other says: status 502"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_what_is_no_gateway_is_a_sentence(stranger: str) -> None:
    response, sentence = STRANGERS[stranger]
    async with answering(response) as remote:
        with pytest.raises(BackendUnavailable, match=sentence):
            await remote.check()
        with pytest.raises(BackendUnavailable):  # and not "no such item"
            await remote.item("red-shoe")


async def test_a_gateway_that_is_not_there_is_a_sentence() -> None:
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1") as client:
        with pytest.raises(
            BackendUnavailable, match=r"^http://127\.0\.0\.1:1 cannot be reached: .*[^.]\.$"
        ):
            await RemoteGateway(RELEASE, client).check()
