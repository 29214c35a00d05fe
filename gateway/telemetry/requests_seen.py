"""Every request of both edges: counted, timed, traced, and one line in the log."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.request_record import RequestRecord, reset_current, set_current
from gateway.telemetry.tracing import NO_TRACES, Tracer

log = logging.getLogger("gateway.request")

REQUEST_ID = "x-request-id"
# A caller's own id is kept if it is harmless in a log line.
_SANE_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
# nginx's: the client closed the connection. Only counted, since nobody is there to read it.
CLIENT_GONE = 499

_OUTCOMES = {429: "shed", CLIENT_GONE: "gone", 503: "unavailable", 504: "late"}
_LEVELS = {"failed": logging.ERROR, "unavailable": logging.WARNING, "late": logging.WARNING}


def sane_id(asked: str | None) -> str:
    """The caller's request id, or a new one if it gave none that is fit to be logged."""
    if asked and _SANE_ID.fullmatch(asked):
        return asked
    # Not uuid4, which asks the kernel for randomness: 6 times as long, for a name in a log.
    return f"{random.getrandbits(128):032x}"


def outcome_of(status: int) -> str:
    """What became of a request, from the HTTP status that it has over either edge.

    ok, refused (the request's fault), shed, gone (the client), late, unavailable, failed (ours).
    """
    known = _OUTCOMES.get(status)
    if known is not None:
        return known
    if status < 400:
        return "ok"
    return "refused" if status < 500 else "failed"


class RequestsSeen:
    """What one edge tells of its requests."""

    def __init__(self, metrics: Metrics, tracer: Tracer = NO_TRACES) -> None:
        self._metrics = metrics
        self._tracer = tracer

    @contextmanager
    def request(
        self, headers: Mapping[str, str], request_id: str, probe: bool = False
    ) -> Iterator[RequestRecord]:
        """For the time of the block, the request that everything in this task works for. Route and
        status are to be filled in by its end.

        `headers` have names in lower case. A `probe` comes every few seconds and means nothing: it
        is not traced, and logged only as detail.
        """
        record = RequestRecord(request_id)
        tracer = NO_TRACES if probe else self._tracer
        start_s = time.perf_counter()
        with tracer.request(headers) as span:
            record.tracer, record.trace_id = tracer, span.trace_id
            token = set_current(record)
            try:
                yield record
            finally:
                seconds = time.perf_counter() - start_s
                outcome = outcome_of(record.status)
                if tracer is not NO_TRACES:
                    span.answered(record.route, record.status >= 500, _attributes(record, outcome))
                self._metrics.answered(record.route, outcome, seconds)
                _log(record, outcome, seconds, probe)
                reset_current(token)


def _attributes(record: RequestRecord, outcome: str) -> dict[str, str | int]:
    said: dict[str, str | int] = {"lookalike.request_id": record.request_id}
    said["lookalike.outcome"] = outcome
    if record.release is not None:
        said["lookalike.release"] = record.release
    if record.mode is not None:
        said["lookalike.mode"] = record.mode
    if record.grpc_code is not None:
        said |= {"rpc.system": "grpc", "rpc.grpc.status_name": record.grpc_code}
    else:
        method, _, route = record.route.rpartition(" ")
        said |= {"http.route": route, "http.response.status_code": record.status}
        if method:
            said["http.request.method"] = method
    return said


def _log(record: RequestRecord, outcome: str, seconds: float, probe: bool) -> None:
    """Never a key, a picture or the words of a query: only what the record has."""
    level = logging.DEBUG if probe else _LEVELS.get(outcome, logging.INFO)
    if not log.isEnabledFor(level):
        return
    fields = {
        "route": record.route,
        "status": record.status,
        "grpc_code": record.grpc_code,
        "outcome": outcome,
        "duration_ms": _ms(seconds),
        "stages_ms": {name: _ms(spent) for name, spent in record.stages_s.items()} or None,
        "release": record.release,
        "mode": record.mode,
    }
    log.log(level, "answered", extra={"fields": fields})


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
