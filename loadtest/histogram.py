"""Latencies counted in buckets of equal ratio: small to send, exact to add up."""

from __future__ import annotations

import math
from collections.abc import Mapping

# A bucket is 2 % wide, so a percentile is at most 1 % off: locust's own rounding is up to 5 %.
GROWTH = 1.02
FLOOR_MS = 0.1


class Histogram:
    """How many latencies fell into which bucket. The longest is kept as it was."""

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        """Counts one latency."""
        bucket = _bucket(ms)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1
        self.max_ms = max(self.max_ms, ms)

    def merge(self, other: Histogram) -> None:
        """Adds another's counts to this one."""
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count
        self.count += other.count
        self.max_ms = max(self.max_ms, other.max_ms)

    def percentile_ms(self, percent: float) -> float:
        """The least latency that at least `percent` of 100 do not exceed (nearest rank), to 1 %;
        NaN if nothing was counted."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(percent / 100 * self.count))
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                break
        return min(_middle_ms(bucket), self.max_ms)

    def to_json(self) -> dict[str, float]:
        """The counts, with keys that JSON and msgpack take."""
        return {**{str(b): n for b, n in self.buckets.items()}, "max_ms": self.max_ms}

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> Histogram:
        """The histogram that `to_json` gave."""
        made = cls()
        made.max_ms = data["max_ms"]
        made.buckets = {int(b): int(n) for b, n in data.items() if b != "max_ms"}
        made.count = sum(made.buckets.values())
        return made


def _bucket(ms: float) -> int:
    return math.floor(math.log(max(ms, FLOOR_MS) / FLOOR_MS) / math.log(GROWTH))


def _middle_ms(bucket: int) -> float:
    return FLOOR_MS * math.pow(GROWTH, bucket + 0.5)
