"""Traces to an OpenTelemetry collector, over OTLP's gRPC.

The SDK's own instrumentations are not used: they change gRPC's and the framework's functions for
the whole process, and would trace the readiness probes that a gateway makes of itself. Sampling,
headers and the like are set by OpenTelemetry's own variables (`OTEL_…`), which the SDK reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import gateway
from gateway.telemetry.tracing import Headers

SERVICE_NAME = "lookalike"
# A collector is near by. The SDK's 10 s would hold up the end of a process that long.
EXPORT_TIMEOUT_S = 2.0

_PROPAGATOR = TraceContextTextMapPropagator()


class OtlpTraces:
    """The port `Tracer`. Spans leave in batches, on a thread of the SDK's; while the collector is
    away they are dropped, and nothing waits for it."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` is `http://host:port`, or https."""
        own = Resource({"service.name": SERVICE_NAME, "service.version": gateway.__version__})
        self._provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_TIMEOUT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("lookalike", gateway.__version__)

    @contextmanager
    def request(self, headers: Mapping[str, str]) -> Iterator[_RequestSpan]:
        """See the port."""
        with self._tracer.start_as_current_span(
            "request", _PROPAGATOR.extract(headers), SpanKind.SERVER,
            record_exception=False, set_status_on_exception=False,
        ) as span:  # fmt: skip
            yield _RequestSpan(span)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """See the port."""
        with _below(self._tracer, name, SpanKind.INTERNAL, {}):
            yield

    def past_stage(self, name: str, began_s: float, ended_s: float) -> None:
        """See the port."""
        span = self._tracer.start_span(name, start_time=_wall_ns(began_s))
        span.end(_wall_ns(ended_s))

    @contextmanager
    def call(self, method: str, server: str) -> Iterator[Headers]:
        """See the port."""
        host, _, port = server.rpartition(":")
        about: dict[str, str | int] = {"rpc.system": "grpc", "server.address": host or server}
        if port.isdecimal():
            about["server.port"] = int(port)
        with _below(self._tracer, method, SpanKind.CLIENT, about):
            headers: dict[str, str] = {}
            _PROPAGATOR.inject(headers)
            yield tuple(headers.items())

    def close(self) -> None:
        """Sends what is left, and ends the SDK's thread; takes EXPORT_TIMEOUT_S or so where the
        collector is away."""
        self._provider.shutdown()


class _RequestSpan:
    """See the port `RequestSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace_id: str | None = f"{span.get_span_context().trace_id:032x}"

    def answered(self, name: str, failed: bool, attributes: Mapping[str, str | int]) -> None:
        """See the port."""
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def _below(
    tracer: OtelTracer, name: str, kind: SpanKind, attributes: Mapping[str, str | int]
) -> Iterator[None]:
    """A span below the current one. Of an error it tells the kind and no more: an error's words
    may be a caller's."""
    with tracer.start_as_current_span(
        name, kind=kind, attributes=attributes, record_exception=False,
        set_status_on_exception=False,
    ) as span:  # fmt: skip
        try:
            yield
        except BaseException as exc:
            span.set_status(Status(StatusCode.ERROR, type(exc).__name__))
            raise


def _wall_ns(reading_s: float) -> int:
    """A reading of the clock that stages are timed by, on the clock that spans tell."""
    return time.time_ns() - int((time.perf_counter() - reading_s) * 1e9)
