"""Metrics in base units, and the time that each stage of a request took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a cached text query to a deadline: 0.5 ms to 10 s.
_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip


class Metrics:
    """All that a gateway process counts. One instance per process or test, no globals."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "lookalike_requests",
            "Requests answered, by route and outcome.",
            ["route", "outcome"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "lookalike_request_seconds",
            "Time from the request's arrival to its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "lookalike_stage_seconds",
            "Time that a stage of a request took.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "lookalike_in_flight", "Requests being worked on.", registry=self.registry
        )
        self.shed = Counter(
            "lookalike_shed", "Requests refused because there was no room.", registry=self.registry
        )
        self.degraded = Counter(
            "lookalike_degraded",
            "Searches answered by full text alone, because the model was away.",
            registry=self.registry,
        )
        self.text_cache = Counter(
            "lookalike_text_cache",
            "Look-ups of a text's vector, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self.active_release = Gauge(
            "lookalike_active_release",
            "1 for the release that answers.",
            ["release"],
            registry=self.registry,
        )
        self.searches = Counter(
            "lookalike_searches",
            "Searches answered, by the release that answered.",
            ["release"],
            registry=self.registry,
        )
        self.out_of_step = Counter(
            "lookalike_out_of_step",
            "Items whose change did not reach a collection that is kept in step, by its release.",
            ["release"],
            registry=self.registry,
        )
        self.shadow = Counter(
            "lookalike_shadow",
            "Copies of searches for a candidate, by outcome: compared, failed or left out.",
            ["outcome"],
            registry=self.registry,
        )
        self.shadow_overlap = Histogram(
            "lookalike_shadow_overlap",
            "Share of the first ten items that candidate and active release have in common.",
            buckets=[n / 10 for n in range(11)],
            registry=self.registry,
        )
        self.shadow_rank_correlation = Histogram(
            "lookalike_shadow_rank_correlation",
            "Spearman's correlation of the ranks of the items in common.",
            buckets=[n / 5 for n in range(-5, 6)],
            registry=self.registry,
        )
        self.shadow_difference_seconds = Histogram(
            "lookalike_shadow_difference_seconds",
            "The candidate's time less the active release's, for the same search.",
            buckets=[-0.1, -0.05, -0.02, -0.01, -0.005, 0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0],
            registry=self.registry,
        )


class Timings:
    """Seconds by stage of one request; each stage also goes into the metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self.seconds: dict[str, float] = {}
        self._metrics = metrics

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block. Stages that run side by side or again add up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self._metrics.stage_seconds.labels(name).observe(spent)
