"""Metrics, in base units and with labels of few values each.

What runs at every request finds its labelled child here by one look-up, not by `labels`.
"""

from __future__ import annotations

from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

import gateway

StageName = Literal["queue", "fetch", "decode", "tokenise", "infer", "lookup", "search"]

# From a cached text query to a deadline: 0.5 ms to 10 s.
_BUCKETS = (
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
# A search sends one row; the catalogue's pictures go in chunks, up to a model's largest batch.
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """All that a gateway process counts. One instance per process or test, no globals."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._define_requests()
        self._define_stages()
        self._define_overload()
        self._define_backends()
        self._define_releases()
        self._define_quality()
        self._define_shadow()
        ProcessCollector(registry=self.registry)
        self._gauge("lookalike_build_info", "1, for the version that runs.", "version").labels(
            gateway.__version__
        ).set(1)

    def answered(self, route: str, outcome: str, seconds: float) -> None:
        """Counts a request. Both names are of few values."""
        key = route, outcome
        known = self._answered.get(key)
        if known is None:
            known = self._requests.labels(route, outcome), self._request_seconds.labels(route)
            self._answered[key] = known
        known[0].inc()
        known[1].observe(seconds)

    def _define_requests(self) -> None:
        self._requests = self._counter(
            "lookalike_requests", "Requests answered, by route and outcome.", "route", "outcome"
        )
        self._request_seconds = Histogram(
            "lookalike_request_seconds",
            "Time from the request's arrival to its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._answered: dict[tuple[str, str], tuple[Counter, Histogram]] = {}

    def _define_stages(self) -> None:
        seconds = Histogram(
            "lookalike_stage_seconds",
            "Time that a stage of a request took.",
            ["stage"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        names: tuple[StageName, ...] = get_args(StageName)
        self.stages = {name: seconds.labels(name) for name in names}
        self.inference_rows = Histogram(
            "lookalike_inference_rows",
            "Rows in a request to Triton, which makes its batches of several requests.",
            buckets=_ROWS,
            registry=self.registry,
        )
        texts = self._counter(
            "lookalike_text_cache", "Look-ups of a text's vector, by outcome.", "outcome"
        )
        self.text_cache_hits, self.text_cache_misses = texts.labels("hit"), texts.labels("miss")

    def _define_overload(self) -> None:
        self.in_flight = self._gauge("lookalike_in_flight", "Requests being worked on.")
        self.in_flight_limit = self._gauge(
            "lookalike_in_flight_limit", "Requests that are worked on at once at the moment."
        )
        self.shed = self._counter(
            "lookalike_shed", "Requests refused because all slots of this gateway were taken."
        )
        self.degraded = self._counter(
            "lookalike_degraded",
            "Searches answered by full text alone, because the model was away.",
        )

    def _define_backends(self) -> None:
        self.backend_up = self._gauge(
            "lookalike_backend_up", "1 unless the server is known to be away.", "backend"
        )
        self.ready = self._gauge(
            "lookalike_ready", "1 if the latest look found that searches are answered rightly."
        )
        self.space_mismatch = self._gauge(
            "lookalike_space_mismatch",
            "1 if that look found the active collection to be of another model than its release.",
        )

    def _define_releases(self) -> None:
        self.active_release = self._gauge(
            "lookalike_active_release", "1 for the release that answers.", "release"
        )
        self.searches = self._counter(
            "lookalike_searches", "Searches answered, by the release that answered.", "release"
        )
        self.out_of_step = self._counter(
            "lookalike_out_of_step",
            "Items whose change did not reach a collection that is kept in step, by its release.",
            "release",
        )
        self.index_pictures = self._gauge(
            "lookalike_index_pictures", "Pictures in a release's collection.", "release"
        )
        self.index_drift = self._gauge(
            "lookalike_index_drift_pictures",
            "Pictures that a collection has more or fewer than the active one.",
            "release",
        )
        self.build_running = self._gauge(
            "lookalike_build_running", "1 while this process builds the release.", "release"
        )

    def _define_quality(self) -> None:
        matches = self._counter(
            "lookalike_best_match",
            "Searches of a calibrated release, by whether the best match reached its cut-off.",
            "confident",
        )
        self.best_match = {True: matches.labels("true"), False: matches.labels("false")}
        self.empty_searches = self._counter(
            "lookalike_empty_searches", "Searches whose first page had no hit."
        )

    def _define_shadow(self) -> None:
        self.shadow = self._counter(
            "lookalike_shadow",
            "Copies of searches for a candidate, by outcome: compared, failed or left out.",
            "outcome",
        )
        for outcome in ("compared", "failed", "left out"):
            self.shadow.labels(outcome)  # there from the start, at 0
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

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(name, help_text, labels, registry=self.registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(name, help_text, labels, registry=self.registry)
