"""A tower's largest batch and the length of its queue, from what the server was measured to do.

How long a request waits for company, and how many instances there are, stay as they are: to compare
those the model must be loaded anew for each, which is NVIDIA's Model Analyzer's work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from export.perf_analyzer import Measured
from export.serving_profiles import (
    QueueLimits,
    ServingProfile,
    preferred_batch_sizes,
    usual_batch_size,
)

# A larger batch must bring more than this, or it only makes shoppers wait behind indexing.
LEAST_GAIN = 1.05


def batch_sizes_up_to(most: int) -> list[int]:
    """What is measured: powers of two, and `most` itself."""
    return [*(2**n for n in range(most.bit_length()) if 2**n < most), most]


def tuned(
    profile: ServingProfile, measured: Sequence[Measured], queue_budget_s: float
) -> ServingProfile:
    """The profile with the smallest batch whose rate no larger one beats by LEAST_GAIN, and with a
    queue that is served within the budget, and holds a batch at least."""
    best = max(result.rows_per_second for result in measured)
    enough = [result for result in measured if result.rows_per_second * LEAST_GAIN >= best]
    largest = min(result.batch_size for result in enough)
    rate = next(r.rows_per_second for r in enough if r.batch_size == largest)
    queue = max(largest, math.ceil(rate * queue_budget_s))
    return replace(
        profile,
        max_batch_size=largest,
        preferred_batch_sizes=preferred_batch_sizes(largest),
        warmup_batch_sizes=tuple(sorted({1, usual_batch_size(largest), largest})),
        interactive=QueueLimits(queue, profile.interactive.timeout_us),
    )
