"""One request is one trace, below the caller's, and tells nothing of what was asked."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc.aio
import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.adapters.otlp_traces import OtlpTraces
from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_cluster_client import ClusterOptions
from gateway.api.grpc_api import GrpcServer
from gateway.api.http_api import create_app
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from gateway.bootstrap import assemble
from gateway.domain.errors import ModelUnavailable, StartupProblem
from gateway.domain.trial import Trial
from gateway.services.gateway import Gateway
from gateway.settings import Settings
from tests.fakes import picture
from tests.otlp_receiver import Received, grpc_receiver
from tests.qdrant_wire.server import serving
from tests.qdrant_wire.statuses import Heard
from tests.releases import built
from tests.shop import ITEMS, LIMITS, Shop, shop_on

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@dataclass
class Traced:
    """A gateway whose traces go to a collector. `sent` ends them, and is what came there."""

    gateway: Gateway
    http: httpx.AsyncClient
    traces: OtlpTraces
    received: Received

    async def sent(self) -> dict[str, Span]:
        await asyncio.to_thread(self.traces.close)
        return {span.name: span for span in self.received.of("lookalike")}


@pytest.fixture
def collector() -> Iterator[tuple[str, Received]]:
    with grpc_receiver() as opened:
        yield opened


@pytest.fixture
async def traced(shop: Shop, collector: tuple[str, Received]) -> AsyncIterator[Traced]:
    async with traced_gateway(shop.gateway, *collector) as opened:
        yield opened


class traced_gateway:  # noqa: N801 - used as a function
    """The gateway behind HTTP, with traces."""

    def __init__(self, gateway: Gateway, address: str, received: Received) -> None:
        traces = OtlpTraces(address)
        gateway = replace(gateway, tracer=traces)
        transport = httpx.ASGITransport(create_app(gateway, LIMITS.max_bytes), False)
        http = httpx.AsyncClient(transport=transport, base_url="http://shop")
        self.opened = Traced(gateway, http, traces, received)

    async def __aenter__(self) -> Traced:
        return self.opened

    async def __aexit__(self, *_: object) -> None:
        await self.opened.http.aclose()
        await asyncio.to_thread(self.opened.traces.close)


def attributes(span: Span) -> dict[str, str | int]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


async def test_a_search_is_one_trace_below_the_callers(traced: Traced) -> None:
    await traced.http.get("/v1/search?q=red", headers={"traceparent": TRACEPARENT})
    spans = await traced.sent()
    request = spans.pop("GET /v1/search")
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == PARENT
    assert request.kind == Span.SPAN_KIND_SERVER
    assert set(spans) == {"tokenise", "infer", "search"}
    for stage in spans.values():
        assert stage.trace_id == request.trace_id
        assert stage.parent_span_id == request.span_id
        assert request.start_time_unix_nano <= stage.start_time_unix_nano
        assert stage.end_time_unix_nano <= request.end_time_unix_nano
    about = attributes(request)
    assert about["http.route"] == "/v1/search"
    assert about["http.response.status_code"] == 200
    assert (about["lookalike.release"], about["lookalike.mode"]) == ("colours-v1", "hybrid")


async def test_over_grpc_as_well(traced: Traced) -> None:
    server = GrpcServer(traced.gateway, LIMITS.max_bytes)
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # by protoc
        asked = pb.SearchRequest(query=[pb.Part(text="red")])
        await stub.Search(asked, metadata=(("traceparent", TRACEPARENT),))
    await server.stop(0)
    spans = await traced.sent()
    request = spans["lookalike.v1.Lookalike/Search"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(request)["rpc.grpc.status_name"] == "OK"
    assert spans["infer"].parent_span_id == request.span_id


async def test_a_trace_of_our_own_is_begun_where_the_caller_has_none(traced: Traced) -> None:
    for _ in range(2):
        await traced.http.get("/v1/search?q=red", headers={"traceparent": "nonsense"})
    await traced.sent()
    first, second = traced.received.named("GET /v1/search")
    assert first.trace_id != second.trace_id
    assert not first.parent_span_id


async def test_waiting_for_a_thread_is_not_decoding(traced: Traced) -> None:
    await traced.http.post("/v1/search/image", files={"image": picture("red")})
    spans = await traced.sent()
    # Both are told from one reading, each by its own look at the wall's clock.
    gap_ns = spans["decode"].start_time_unix_nano - spans["queue"].end_time_unix_nano
    assert abs(gap_ns) < 100e6
    assert spans["decode"].parent_span_id == spans["POST /v1/search/image"].span_id


async def test_a_failure_is_marked_where_it_was_and_tells_no_words(
    traced: Traced, shop: Shop
) -> None:
    shop.inference.failing = ModelUnavailable("shibboleth")
    await traced.http.get("/v1/search?q=shibboleth")
    spans = await traced.sent()
    assert spans["infer"].status.code == Status.STATUS_CODE_ERROR
    assert spans["infer"].status.message == "ModelUnavailable"
    assert spans["GET /v1/search"].status.code == Status.STATUS_CODE_ERROR
    assert b"shibboleth" not in b"".join(s.SerializeToString() for s in spans.values())


async def test_probes_are_not_traced_nor_are_copies_for_a_candidate(
    traced: Traced, shop: Shop
) -> None:
    await built(shop)
    await shop.gateway.lifecycle.set_trial(Trial("colours-v2", shadow=1.0))
    for path in ("/health/ready", "/metrics", "/v1/search?q=red&mode=vector"):
        await traced.http.get(path)
    await shop.gateway.shadow.settled()
    await traced.sent()
    names = sorted(span.name for span in traced.received.of("lookalike"))
    assert names == ["GET /v1/search", "infer", "search", "tokenise"]


async def test_the_index_servers_part_is_a_span_below_the_search(
    collector: tuple[str, Received],
) -> None:
    heard: Heard = []
    async with serving(heard=heard) as port:
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        async with shop_on(index, ITEMS) as shop, traced_gateway(shop.gateway, *collector) as own:
            await own.http.get("/v1/search?q=red")
            spans = await own.sent()
        await index.close()
    asked = spans["qdrant: searching the index"]
    assert asked.kind == Span.SPAN_KIND_CLIENT
    assert asked.parent_span_id == spans["search"].span_id
    assert attributes(asked)["server.port"] == port
    sent = [headers.get("traceparent", "") for method, headers in heard if method == "Query"]
    assert sent[-1].split("-")[1:3] == [asked.trace_id.hex(), asked.span_id.hex()]


def test_without_an_address_the_sdk_is_not_even_imported() -> None:
    program = "import sys, gateway.cli, gateway.bootstrap; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert "gateway.telemetry.tracing" in done.stdout
    # FastAPI brings the API, which does nothing by itself.
    assert not re.search(r"opentelemetry\.(sdk|exporter|proto)", done.stdout)


async def test_an_address_without_the_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "gateway.adapters.otlp_traces", None)
    settings = Settings(edge_folder=tmp_path, otlp_endpoint="http://127.0.0.1:4317")
    with pytest.raises(StartupProblem, match=r"lookalike\[otel\]"):
        async with assemble(settings):
            raise AssertionError("it must not start")
