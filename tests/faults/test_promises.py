"""What the gateway promises when Triton fails in one certain way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

import grpc.aio
import pytest

from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from gateway.local.triton_server import TritonOptions, TritonServer
from tests.faults.proxy import Fault, FaultProxy, proxy_to
from tests.faults.scene import (
    DEADLINE_S,
    DIM,
    GOLDEN,
    GRACE_S,
    RELEASE,
    REPOSITORY,
    STANDSTILL_S,
    Body,
    Running,
    Shoppers,
    draw_pictures,
    fill,
    running,
    settings_for,
)
from tests.faults.triton_stub import TritonStub, triton_stub

MANY = 200
AT_ONCE = 8
TEXT: Body = {"query": [{"text": "red"}], "limit": 5}


@asynccontextmanager
async def shop_on_a_stub(folder: Path, **more: object) -> AsyncIterator[tuple[Running, TritonStub]]:
    """A gateway on a Triton whose every answer the test decides."""
    draw_pictures(folder / "pictures")
    async with (
        triton_stub(DIM, GOLDEN) as stub,
        running(settings_for(folder, triton=stub.endpoint, **more)) as shop,
    ):
        await fill(shop.assembly)
        stub.calls = 0
        stub.arrived = asyncio.Semaphore(0)
        yield shop, stub


def text(number: int) -> Body:
    """A search that no other has asked for, so that nothing remembers its vector."""
    return {"query": [{"text": f"red {number}"}], "limit": 5}


async def in_time(shop: Running, number: int, deadline_s: float) -> tuple[int, float]:
    """The code of an answer and the seconds until it."""
    start = time.monotonic()
    headers = {"X-Timeout-Ms": str(int(deadline_s * 1000))}
    response = await shop.http.post("/v1/search", json=text(number), headers=headers)
    return response.status_code, time.monotonic() - start


async def asked(shop: Running, deadline_s: float, first: int = 0) -> list[tuple[int, float]]:
    """MANY requests, a few at once: the clients run on the gateway's own core here."""
    left = list(range(first, first + MANY))
    answers: list[tuple[int, float]] = []

    async def client() -> None:
        while left:
            answers.append(await in_time(shop, left.pop(), deadline_s))

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return answers


@pytest.mark.timing
async def test_a_model_that_hangs_costs_the_deadline_and_no_more(tmp_path: Path) -> None:
    async with shop_on_a_stub(tmp_path) as (shop, stub):
        await asked(shop, 5.0, first=MANY)  # so that opening connections is not what is measured
        stub.calls = 0
        before = len(asyncio.all_tasks())
        stub.let_through.clear()
        answers = await asked(shop, 0.3)
        ended = time.monotonic()
        for _ in range(stub.calls):
            await asyncio.wait_for(stub.left.acquire(), 1.0)
        assert time.monotonic() - ended < 0.1  # the server sees its requests cancelled
        # When nothing is worked off any more, only a few are let in to see whether it still is so.
        assert {504} <= {code for code, _ in answers} <= {429, 504}
        assert max(seconds for _, seconds in answers) < 0.3 + GRACE_S
        stub.let_through.set()
        await shop.http.aclose()
        assert len(asyncio.all_tasks()) <= before + 8  # a fixed number looks after the server


async def test_a_full_queue_is_told_and_never_asked_again(tmp_path: Path) -> None:
    async with shop_on_a_stub(tmp_path) as (shop, stub):
        stub.refuse = "[request id: <id_unknown>] Exceeds maximum queue size"
        answers = await asked(shop, 2.0)
        assert {code for code, _ in answers} == {429}
        assert stub.calls / MANY <= 1.0
        stub.refuse = "[request id: <id_unknown>] Request timeout expired"
        stub.calls = 0
        answers = await asked(shop, 2.0)
        assert {code for code, _ in answers} == {504}
        assert stub.calls / MANY <= 1.0


async def test_connections_that_all_break_are_not_a_reason_to_ask_more(tmp_path: Path) -> None:
    async with shop_on_a_stub(tmp_path) as (shop, stub):
        stub.let_through.clear()
        asked = asyncio.gather(*(in_time(shop, n, 5.0) for n in range(MANY)))
        for _ in range(MANY):
            await stub.arrived.acquire()
        # All at once, as when the machine dies.
        await shop.assembly.inference.close()
        answers = await asked
        assert {code for code, _ in answers} == {503}
        assert stub.calls / MANY <= 1.1


async def gone(shop: Running, call: Awaitable[object], stub: TritonStub) -> float:
    """Seconds from a client's going away to Triton's hearing of it."""
    task = asyncio.ensure_future(call)
    await asyncio.wait_for(stub.arrived.acquire(), 5.0)
    task.cancel()
    start = time.monotonic()
    await asyncio.wait_for(stub.left.acquire(), 5.0)
    return time.monotonic() - start


async def post_and_wait(url: str, body: Body) -> None:
    """A connection of its own, closed when the task is cancelled."""
    host, port = url.removeprefix("http://").split(":")
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            b"POST /v1/search HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(data)}\r\n\r\n".encode()
            + data
        )
        await reader.read()
    finally:
        writer.close()


async def get_and_wait(url: str, number: int) -> None:
    """The same without a body."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET /v1/search?q=red+{number} HTTP/1.1\r\nhost: shop\r\n\r\n".encode())
        await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("edge", ["http-post", "http-get", "grpc"])
async def test_a_client_that_goes_away_cancels_what_it_asked_for(tmp_path: Path, edge: str) -> None:
    async with shop_on_a_stub(tmp_path) as (shop, stub):
        stub.let_through.clear()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{shop.grpc_port}") as channel:
            rpc = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # protoc's
            took_s = []
            for number in range(50):
                call: Awaitable[object]
                if edge == "http-post":
                    call = post_and_wait(shop.url, text(number))
                elif edge == "http-get":
                    call = get_and_wait(shop.url, number)
                else:
                    call = rpc.Search(pb.SearchRequest(query=[pb.Part(text=f"red {number}")]))
                took_s.append(await gone(shop, call, stub))
        assert median(took_s) < 0.1
        gauge = shop.assembly.gateway.metrics.registry.get_sample_value
        async with asyncio.timeout(5):
            while gauge("lookalike_in_flight") != 0:  # noqa: ASYNC110 - the gauge has no event
                await asyncio.sleep(0.005)


async def away(proxy: FaultProxy, shop: Running) -> Shoppers:
    """Shoppers of a shop whose Triton is known to be away."""
    shoppers = Shoppers(shop.http)
    await shoppers.learn()
    await proxy.set(Fault.REFUSE)
    await shoppers.first(503)
    return shoppers


@asynccontextmanager
async def shop_behind_a_proxy(
    folder: Path, triton_port: int, **more: object
) -> AsyncIterator[tuple[Running, FaultProxy]]:
    """A gateway with a proxy before real Triton."""
    draw_pictures(folder / "pictures")
    async with proxy_to(triton_port) as proxy:
        settings = settings_for(folder, triton=f"127.0.0.1:{proxy.port}", **more)
        async with running(settings) as shop:
            await fill(shop.assembly)
            yield shop, proxy


@pytest.mark.triton
async def test_words_that_were_asked_before_need_no_triton(
    tmp_path: Path, triton_port: int
) -> None:
    async with shop_behind_a_proxy(tmp_path, triton_port, text_cache_entries=100) as (shop, proxy):
        before = (await shop.http.post("/v1/search", json=TEXT)).json()
        await proxy.set(Fault.REFUSE)
        assert (await shop.http.post("/v1/search", json=text(1))).status_code == 503
        again = await shop.http.post("/v1/search", json=TEXT)
        assert again.status_code == 200
        assert again.json()["hits"] == before["hits"]
        assert again.json()["degraded"] is False


@pytest.mark.triton
async def test_words_alone_answer_while_triton_is_away_and_say_so(
    tmp_path: Path, triton_port: int
) -> None:
    async with shop_behind_a_proxy(tmp_path, triton_port, degrade=True) as (shop, proxy):
        words = (await shop.http.post("/v1/search", json={**TEXT, "mode": "text"})).json()
        assert words["degraded"] is False
        vectors = Shoppers(shop.http, [{"query": [{"text": "green"}], "mode": "vector"}])
        await vectors.learn()
        await shop.http.post("/v1/search", json=text(1))  # so that "green" is forgotten
        await proxy.set(Fault.REFUSE)
        answer = await shop.http.post("/v1/search", json=TEXT)
        assert answer.status_code == 200
        assert answer.json()["degraded"] is True
        assert answer.json()["mode"] == "text"
        assert answer.json()["hits"] == words["hits"]
        refused = await shop.http.post("/v1/search", json=vectors.bodies[0])
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:lookalike:model-unavailable"
        async with grpc.aio.insecure_channel(f"127.0.0.1:{shop.grpc_port}") as channel:
            rpc = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # protoc's
            same = await rpc.Search(pb.SearchRequest(query=[pb.Part(text="red")], limit=5))
        assert same.degraded
        assert [hit.id for hit in same.hits] == [hit["id"] for hit in words["hits"]]
        await proxy.set(Fault.NONE)
        assert await vectors.first(200) < 2.0
        assert (await shop.http.post("/v1/search", json=TEXT)).json()["degraded"] is False


@pytest.mark.triton
@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.BLACK_HOLE], ids=lambda f: f.name.lower())
async def test_one_dead_triton_of_two_is_left_out(
    tmp_path: Path, triton_port: int, fault: Fault
) -> None:
    draw_pictures(tmp_path / "pictures")
    async with proxy_to(triton_port) as first, proxy_to(triton_port) as second:
        both = f"ipv4:127.0.0.1:{first.port},127.0.0.1:{second.port}"
        async with running(settings_for(tmp_path, triton=both)) as shop:
            await fill(shop.assembly)
            shoppers = Shoppers(shop.http)
            await shoppers.learn()
            await first.set(fault)
            during = await shoppers.shop(rounds=4)
            after = await shoppers.shop(rounds=4)
            assert during.wrong == after.wrong == 0
            # Requests on the way to it when it died; a hole is noticed at their deadlines.
            assert during.sent - during.right <= (4 if fault is Fault.REFUSE else during.sent / 2)
            assert after.right == after.sent


@pytest.mark.triton
@pytest.mark.slow
async def test_a_triton_that_is_killed_is_found_again_when_it_is_back(tmp_path: Path) -> None:
    models = [f"{RELEASE}-image", f"{RELEASE}-text"]
    options = TritonOptions(REPOSITORY, models, tmp_path / "triton.log")
    server = TritonServer(options)
    await asyncio.to_thread(server.start)
    draw_pictures(tmp_path / "pictures")
    try:
        async with running(settings_for(tmp_path, triton=server.endpoint)) as shop:
            await fill(shop.assembly)
            shoppers = Shoppers(shop.http)
            await shoppers.learn()
            under_way = asyncio.create_task(shoppers.shop(rounds=4))
            await asyncio.sleep(0)
            await asyncio.to_thread(server.kill)
            during = await under_way
            assert not during.undeclared()
            assert max(during.took_s) < DEADLINE_S + STANDSTILL_S
            await asyncio.to_thread(server.start)
            assert await shoppers.first(200) < 2.0 + STANDSTILL_S
            assert (await shoppers.shop(rounds=1)).wrong == during.wrong == 0
    finally:
        await asyncio.to_thread(server.stop)
