"""What a gateway process tells of itself: metrics, one log line a request, traces.

Nothing here knows a backend or an edge. The edges open a `RequestRecord` (`requests_seen`), what
works on the request adds to it, and `Timings` feeds metrics, answers, logs and traces alike.
"""

from __future__ import annotations

from gateway.telemetry.metrics import Metrics
from gateway.telemetry.timings import Timings

__all__ = ["Metrics", "Timings"]
