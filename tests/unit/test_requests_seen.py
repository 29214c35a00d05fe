"""Every request is counted and is one line in the log, whichever edge it comes over."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio
import pytest

from gateway.api.grpc_api import GrpcServer
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from gateway.domain.access import Key, Scope
from gateway.domain.errors import DeadlineExceeded, ModelUnavailable
from gateway.services.access import Access
from gateway.telemetry.log_lines import JsonLines, TextLines
from tests.fakes import held, picture
from tests.shop import ADMIN_KEY, LIMITS, Shop

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SEARCH = "lookalike.v1.Lookalike/Search"


class Lines(logging.Handler):
    """What would be written, line by line; a request's as it is read by a machine."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.raw: list[str] = []
        self.text: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.raw.append(self.format(record))
        self.text.append(TextLines().format(record))

    def of_requests(self) -> list[dict[str, Any]]:
        read = [json.loads(line) for line in self.raw]
        return [line for line in read if line["logger"] == "gateway.request"]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """All that the gateway logs, details too."""
    root, handler = logging.getLogger("gateway"), Lines()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(logging.NOTSET)


def counted(shop: Shop, route: str, outcome: str) -> float | None:
    labels = {"route": route, "outcome": outcome}
    return shop.gateway.metrics.registry.get_sample_value("lookalike_requests_total", labels)


async def test_a_search_over_http_is_one_line_that_says_where_its_time_went(
    shop: Shop, lines: Lines
) -> None:
    headers = {"X-Request-Id": "cart-7", "traceparent": PARENT}
    answer = await shop.http.get("/v1/search?q=red", headers=headers)
    assert answer.headers["x-request-id"] == "cart-7"
    [line] = lines.of_requests()
    assert line["level"] == "info"
    assert line["request_id"] == "cart-7"
    assert line["trace_id"] == PARENT.split("-")[1]
    assert (line["route"], line["status"], line["outcome"]) == ("GET /v1/search", 200, "ok")
    assert (line["release"], line["mode"]) == ("colours-v1", "hybrid")
    assert set(line["stages_ms"]) == {"tokenise", "infer", "search"}
    assert line["duration_ms"] >= line["stages_ms"]["search"] > 0
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("asked", ["", "a b", "x" * 129, 'a"}\n{"level":"error'])
async def test_a_request_id_that_is_not_fit_for_a_log_is_replaced(
    shop: Shop, lines: Lines, asked: str
) -> None:
    answer = await shop.http.get("/v1/search?q=red", headers=[(b"x-request-id", asked.encode())])
    assert answer.headers["x-request-id"] != asked
    assert lines.of_requests()[0]["request_id"] == answer.headers["x-request-id"]


async def test_no_line_has_words_pictures_or_keys(shop: Shop, lines: Lines) -> None:
    key = {"Authorization": f"Bearer {ADMIN_KEY}"}
    await shop.http.get("/v1/search?q=shibboleth", headers=key)
    await shop.http.post("/v1/search", json={"query": [{"text": "shibboleth", "weight": 0}]})
    await shop.http.post("/v1/search/image", files={"image": b"shibboleth"})
    await shop.http.post("/v1/search/image", files={"image": picture("red")})
    assert len(lines.of_requests()) == 4
    for said in (*lines.raw, *lines.text):
        assert "shibboleth" not in said
        assert ADMIN_KEY not in said
        assert "PNG" not in said


async def test_a_failure_is_a_line_of_the_same_request_as_its_reason(
    shop: Shop, lines: Lines
) -> None:
    shop.inference.failing = ValueError("broken")  # type: ignore[assignment] # what nobody foresaw
    await shop.http.get("/v1/search?q=red", headers={"X-Request-Id": "cart-8"})
    [line] = lines.of_requests()
    assert (line["level"], line["status"], line["outcome"]) == ("error", 500, "failed")
    [reason] = [json.loads(raw) for raw in lines.raw if "unexpected" in raw]
    assert reason["request_id"] == "cart-8"
    assert "ValueError: broken" in reason["exception"]


async def test_time_that_ran_out_is_told_with_the_stages_that_took_it(
    shop: Shop, lines: Lines
) -> None:
    shop.inference.failing = DeadlineExceeded("too late")
    await shop.http.get("/v1/search?q=red")
    [line] = lines.of_requests()
    assert (line["status"], line["outcome"], line["release"]) == (504, "late", "colours-v1")
    assert "infer" in line["stages_ms"]


async def test_probes_are_logged_as_detail_only(shop: Shop, lines: Lines) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        await shop.http.get(path)
    assert {line["level"] for line in lines.of_requests()} == {"debug"}


async def test_methods_and_paths_that_do_not_exist_make_no_new_labels(shop: Shop) -> None:
    for path in ("/v2", "/wp-admin.php"):
        await shop.http.get(path)
    await shop.http.request("PATCH", "/v1/search")
    await shop.http.request("BREW", "/v1/search")
    found = shop.gateway.metrics.registry.collect()
    routes = {s.labels["route"] for m in found for s in m.samples if "route" in s.labels}
    assert routes == {"other"}


async def test_grpc_calls_are_counted_and_logged_alike(shop: Shop, stub: Any, lines: Lines) -> None:
    metadata = (("x-request-id", "cart-9"), ("traceparent", PARENT))
    call = stub.Search(pb.SearchRequest(query=[pb.Part(text="red")]), metadata=metadata)
    await call
    assert dict(await call.trailing_metadata())["x-request-id"] == "cart-9"
    bad = stub.Search(pb.SearchRequest())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bad
    given = dict(caught.value.trailing_metadata())
    assert given["x-request-id"]
    assert given["grpc-status-details-bin"]
    good, refused = lines.of_requests()
    assert (good["request_id"], good["trace_id"]) == ("cart-9", PARENT.split("-")[1])
    assert (good["route"], good["status"], good["grpc_code"]) == (SEARCH, 200, "OK")
    assert good["outcome"] == "ok"
    assert set(good["stages_ms"]) == {"tokenise", "infer", "search"}
    assert (refused["status"], refused["grpc_code"]) == (422, "INVALID_ARGUMENT")
    assert refused["outcome"] == "refused"
    assert counted(shop, SEARCH, "ok") == counted(shop, SEARCH, "refused") == 1


async def test_a_grpc_caller_that_leaves_is_told_from_one_whose_time_ran_out(
    shop: Shop, stub: Any, lines: Lines
) -> None:
    request = pb.SearchRequest(query=[pb.Part(text="red")])
    with held(shop.inference):
        leaving = stub.Search(request)
        await shop.inference.arrived.acquire()
        leaving.cancel()
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Search(request, timeout=0.2)
    for outcome in ("gone", "late"):
        await until_counted(shop, SEARCH, outcome)
    assert {line["grpc_code"] for line in lines.of_requests()} == {"CANCELLED", "DEADLINE_EXCEEDED"}


async def until_counted(shop: Shop, route: str, outcome: str) -> None:
    async with asyncio.timeout(5):
        while not counted(shop, route, outcome):  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.005)


async def test_each_search_of_a_stream_is_a_request(shop: Shop, stub: Any, lines: Lines) -> None:
    async def searches() -> AsyncIterator[pb.StreamedSearch]:
        for name in ("a", "b"):
            part = pb.Part(text=f"red {name}")
            yield pb.StreamedSearch(id=name, request=pb.SearchRequest(query=[part]))
        yield pb.StreamedSearch(id="bad", request=pb.SearchRequest())

    stream = stub.SearchStream(searches(), metadata=(("x-request-id", "feed"),))
    assert len([answer async for answer in stream]) == 3
    found = {line["request_id"]: line["outcome"] for line in lines.of_requests()}
    assert found == {"feed/a": "ok", "feed/b": "ok", "feed/bad": "refused"}


async def test_calls_that_are_refused_at_the_door_are_seen_too(shop: Shop, lines: Lines) -> None:
    access = Access((Key.of("k" * 20, Scope.SEARCH),))
    server = GrpcServer(shop.gateway, LIMITS.max_bytes, access)
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # by protoc
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetItem(pb.GetItemRequest(id="red-shoe"))
    await server.stop(0)
    assert dict(caught.value.trailing_metadata())["x-request-id"]
    [line] = lines.of_requests()
    assert (line["status"], line["grpc_code"]) == (401, "UNAUTHENTICATED")
    assert counted(shop, "lookalike.v1.Lookalike/GetItem", "refused") == 1


async def test_a_model_that_is_away_is_unavailable_not_failed(shop: Shop, lines: Lines) -> None:
    shop.inference.failing = ModelUnavailable("Triton is away.")
    await shop.http.get("/v1/search?q=red")
    [line] = lines.of_requests()
    assert (line["level"], line["outcome"]) == ("warning", "unavailable")


def test_text_from_outside_cannot_begin_a_line_of_its_own() -> None:
    record = logging.makeLogRecord({"msg": "item %s", "args": ("a\nERROR forged\r",)})
    assert "\n" not in TextLines().format(record)
    assert json.loads(JsonLines().format(record))["message"] == "item a\nERROR forged\r"
