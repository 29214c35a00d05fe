"""What NVIDIA Triton itself tells: its metrics, and its spans of our requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from gateway.local.triton_server import TritonOptions, TritonServer
from tests import monitoring
from tests.faults.scene import draw_pictures, drawing, fill, running, settings_for
from tests.integration.conftest import RELEASE, REPOSITORY
from tests.otlp_receiver import Received, grpc_receiver, http_receiver

AT_ONCE = 8
SPANS = 3  # that Triton makes of a request
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

pytestmark = pytest.mark.triton

# There is no GPU here, so that Triton exposes none of these.
OF_GPUS = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"}


@dataclass(frozen=True)
class Observed:
    """A server that tells of itself."""

    endpoint: str
    metrics_url: str
    received: Received


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """Triton with metrics and traces on, as docs/observability.md has it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with http_receiver() as (collector, received):
        options = TritonOptions(
            repository=REPOSITORY,
            models=[f"{RELEASE}-image", f"{RELEASE}-text"],
            log_file=tmp_path_factory.mktemp("triton") / "triton.log",
            arguments=[
                "--allow-metrics=true",
                "--metrics-address=127.0.0.1",
                f"--metrics-port={port}",
                "--trace-config=mode=opentelemetry",
                f"--trace-config=opentelemetry,url={collector}",
                "--trace-config=opentelemetry,resource=service.name=triton",
                "--trace-config=opentelemetry,bsp_schedule_delay=100",
                "--trace-config=level=TIMESTAMPS",
                "--trace-config=rate=1000000",
            ],
        )
        with TritonServer(options) as server:
            yield Observed(server.endpoint, f"http://127.0.0.1:{port}/metrics", received)


async def test_one_search_is_one_trace_from_the_caller_to_triton(
    observed: Observed, tmp_path: Path
) -> None:
    draw_pictures(tmp_path / "pictures")
    with grpc_receiver() as (collector, ours):
        settings = settings_for(tmp_path, triton=observed.endpoint, otlp_endpoint=collector)
        async with running(settings) as shop:
            await fill(shop.assembly)
            answer = await shop.http.post(
                "/v1/search/image",
                files={"image": drawing(1)},
                headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
            )
            assert answer.status_code == 200
            rows = shop.assembly.gateway.metrics.registry.get_sample_value
            assert (rows("lookalike_inference_rows_sum") or 0) > 1  # the catalogue, and this
            # Triton ends a request's spans when a later one takes its place, and has several.
            async with asyncio.timeout(60):
                while len(theirs := observed.received.of_trace("triton", TRACE)) < SPANS:
                    later = (
                        shop.http.post("/v1/search/image", files={"image": drawing(n)})
                        for n in range(AT_ONCE)
                    )
                    await asyncio.gather(*later)
        own = ours.of_trace("lookalike", TRACE)
    request, infer = own["POST /v1/search/image"], own["infer"]
    call = own["inference.GRPCInferenceService/ModelInfer"]
    assert request.parent_span_id.hex() == PARENT
    assert infer.parent_span_id == request.span_id
    assert call.parent_span_id == infer.span_id
    assert call.kind == Span.SPAN_KIND_CLIENT
    outer, inner = theirs["InferRequest"], theirs[f"{RELEASE}-image"]
    assert outer.parent_span_id == call.span_id
    assert inner.parent_span_id == outer.span_id
    assert theirs["compute"].parent_span_id == inner.span_id


async def test_every_query_of_tritons_metrics_finds_what_it_asks_for(observed: Observed) -> None:
    async with httpx.AsyncClient() as client:
        known = monitoring.exposed((await client.get(observed.metrics_url)).text)
    questions = [q for q in monitoring.dashboard() if any(m.startswith("nv_") for m in q.metrics)]
    assert len(questions) >= 6
    faults = [
        fault
        for question in questions
        if not OF_GPUS & question.metrics.keys()
        for fault in monitoring.faults(question, known)
    ]
    assert faults == []
    left = {metric for question in questions for metric in question.metrics} - known.keys()
    assert left == OF_GPUS
