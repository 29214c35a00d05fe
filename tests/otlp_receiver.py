"""A collector of traces that keeps what it is sent: OTLP over gRPC, and as JSON, which is what
Triton 2.51 sends."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Received:
    """Spans as they came, each with the name of the service that sent it."""

    spans: list[tuple[str, Span]] = field(default_factory=list)

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keeps what an export brings."""
        for of_one in request.resource_spans:
            about = {a.key: a.value.string_value for a in of_one.resource.attributes}
            for scope in of_one.scope_spans:
                self.spans += [(about.get("service.name", ""), span) for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        """The spans of one name."""
        return [span for _, span in self.spans if span.name == name]

    def of(self, service: str) -> list[Span]:
        """The spans of one service."""
        return [span for sender, span in self.spans if sender == service]

    def of_trace(self, service: str, trace_id: str) -> dict[str, Span]:
        """A service's spans of one trace, by name."""
        return {span.name: span for span in self.of(service) if span.trace_id.hex() == trace_id}


@contextmanager
def grpc_receiver() -> Iterator[tuple[str, Received]]:
    """The address to send to by gRPC, `http://host:port`, and what has come."""
    received = Received()

    class Servicer(TraceServiceServicer):
        def Export(  # noqa: N802 - the protocol's name
            self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
        ) -> ExportTraceServiceResponse:
            received.take(request)
            return ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(Servicer(), server)  # type: ignore[no-untyped-call] # by protoc
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", received
    finally:
        server.stop(0).wait()


@contextmanager
def http_receiver() -> Iterator[tuple[str, Received]]:
    """The same for JSON over HTTP, at `http://host:port/v1/traces`."""
    received = Received()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.take(_of_json(json.loads(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """It has nothing to say."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _of_json(body: Any) -> ExportTraceServiceRequest:
    """OTLP's JSON has ids as hexadecimal digits where protobuf's own has base64."""
    for of_one in body.get("resourceSpans", ()):
        for scope in of_one.get("scopeSpans", ()):
            for span in scope["spans"]:
                for key in ("traceId", "spanId", "parentSpanId"):
                    digits = bytes.fromhex(span.get(key, ""))
                    span[key] = base64.b64encode(digits).decode()
    return json_format.ParseDict(body, ExportTraceServiceRequest(), ignore_unknown_fields=True)
