"""How a tower is batched and queued, by hardware: where tuning starts.

None of these values was measured on the GPU that it is for: `lookalike-export tune` does that.
Where a reason speaks of a rate, it is pictures a second of ViT-B-32: 2,500 on an A100 and 1,400 on
an RTX 3080 (clip-retrieval's README; resizing was the limit), and for the others those two scaled
by NVIDIA's dense fp16 figures (T4 65, A10 125, L4 121, A100 312, H100 990 TFLOPS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from export.formats import Hardware


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How long the queue of one priority may get. Triton's own defaults are no limits at all.

    `timeout_us` counts from the request's arrival; a request may ask for less, never for more.
    """

    max_requests: int
    timeout_us: int


@dataclass(frozen=True, slots=True)
class ServingProfile:
    """What a tower's config says beyond its shapes.

    - `max_batch_size`: the batch beyond which no more rows are done per second. An interactive
      request that finds indexing at work waits for as many rows as this, so no larger.
    - `preferred_batch_sizes`: a queue that holds as many is sent at once.
    - `queue_delay_us`: how long a lone request waits for company; what it adds to every search of
      a quiet shop.
    - `interactive`, `bulk`: `max_requests` is the queue's time budget times the rate of serving.
      Indexing may wait long and must not be refused for it; a shopper has gone after a second.
    - `warmup_batch_sizes`: run before the server says that it is ready, so that no shopper pays
      for the first allocation.
    - `instances`: copies of the tower; two, never one. With queue limits Triton's batcher (2.51,
      and later ones until mid 2026) does not notice a request that comes while its only instance
      is between an answer and its next wait, and looks again after 500 ms: of a lone client's
      requests about one in twenty took half a second. With two, none of 12,000 did, nor was
      anything slower after 90,000 with up to 64 at once. Texts of different lengths, which cannot
      share a batch, are then computed side by side as well.
    - `intra_op_threads`: cores per instance on a CPU; 0 shares the machine's among the instances.
    - `cache_answers`: let the server keep answers by input, if it was started with a cache.
    """

    max_batch_size: int
    preferred_batch_sizes: tuple[int, ...]
    queue_delay_us: int
    interactive: QueueLimits
    bulk: QueueLimits
    warmup_batch_sizes: tuple[int, ...]
    instances: int = 2
    intra_op_threads: int = 0
    cache_answers: bool = False


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and why it is the one to start with."""

    value: int
    reason: str


@dataclass(frozen=True, slots=True)
class HardwareSettings:
    """One column of the table; the fields are ServingProfile's, by tower where they differ."""

    image_max_batch: Setting
    text_max_batch: Setting
    image_delay_us: Setting
    text_delay_us: Setting
    image_queue: Setting
    text_queue: Setting
    bulk_queue: Setting
    timeout_us: Setting
    bulk_timeout_us: Setting
    instances: Setting


_TWO = Setting(
    2, "with one, Triton's batcher overlooks requests for 500 ms; two also overlap copies"
)
_TEXT_DELAY = Setting(500, "a text is cheap, so it waits half as long for company")
_SLOW_DELAY = Setting(1_000, "under a tenth of what one picture takes; Triton's guide begins there")
_FAST_DELAY = Setting(500, "a picture takes about a millisecond: a longer wait would double it")
_BULK_QUEUE = Setting(512, "indexing sends batches and is not refused while it waits")
_GPU_TIMEOUT = Setting(500_000, "a shopper's whole search has a second")
_GPU_BULK_TIMEOUT = Setting(5_000_000, "indexing waits behind a rush instead of failing")


def _gpu(
    image_max_batch: Setting, image_delay_us: Setting, image_queue: Setting, text_queue: Setting
) -> HardwareSettings:
    """A GPU's column: what differs between GPUs, and what does not."""
    return HardwareSettings(
        image_max_batch=image_max_batch,
        text_max_batch=Setting(64, "a row of 8 tokens is a tenth of a picture's work"),
        image_delay_us=image_delay_us,
        text_delay_us=_TEXT_DELAY,
        image_queue=image_queue,
        text_queue=text_queue,
        bulk_queue=_BULK_QUEUE,
        timeout_us=_GPU_TIMEOUT,
        bulk_timeout_us=_GPU_BULK_TIMEOUT,
        instances=_TWO,
    )


HARDWARE: Mapping[Hardware, HardwareSettings] = {
    Hardware.CPU: HardwareSettings(
        image_max_batch=Setting(8, "a shopper waits for 8 pictures at most: 270 ms at 30 a second"),
        text_max_batch=Setting(16, "64 ms at 250 texts a second"),
        image_delay_us=_SLOW_DELAY,
        text_delay_us=_TEXT_DELAY,
        image_queue=Setting(64, "two seconds at 30 pictures a second"),
        text_queue=Setting(128, "half a second at 250 texts a second"),
        bulk_queue=_BULK_QUEUE,
        timeout_us=Setting(2_000_000, "a demo on a laptop answers late rather than not at all"),
        bulk_timeout_us=Setting(30_000_000, "512 pictures take that long at 17 a second"),
        instances=_TWO,
    ),
    Hardware.T4: _gpu(
        Setting(32, "64 pictures would block a shopper for 130 ms at about 500 a second"),
        _SLOW_DELAY,
        Setting(32, "a budget of 50 ms at about 500 a second"),
        Setting(128, "four times the pictures': texts are that much cheaper"),
    ),
    Hardware.L4: _gpu(
        Setting(64, "64 ms at about 1,000 a second"),
        _SLOW_DELAY,
        Setting(64, "a budget of 50 ms at about 1,000 a second"),
        Setting(256, "four times the pictures'"),
    ),
    Hardware.A10: _gpu(
        Setting(64, "64 ms at about 1,000 a second"),
        _SLOW_DELAY,
        Setting(64, "a budget of 50 ms at about 1,000 a second"),
        Setting(256, "four times the pictures'"),
    ),
    Hardware.A100: _gpu(
        Setting(64, "26 ms at 2,500 a second"),
        _FAST_DELAY,
        Setting(128, "a budget of 50 ms at 2,500 a second"),
        Setting(256, "26 ms at 10,000 texts a second: one gateway does not send more"),
    ),
    Hardware.H100: _gpu(
        Setting(128, "it needs larger batches to be busy; 16 ms at about 8,000 a second"),
        _FAST_DELAY,
        Setting(256, "half of a budget of 50 ms at 8,000 a second: decoding will not feed more"),
        Setting(256, "as for the A100: one gateway does not send more"),
    ),
}


def image_profile(hardware: Hardware) -> ServingProfile:
    """The image tower's profile. Its answers are not cached: hashing 150 kB a request costs more
    than it saves, and the gateway knows a picture by its bytes before they are decoded."""
    settings = HARDWARE[hardware]
    return _profile(
        settings, settings.image_max_batch, settings.image_delay_us, settings.image_queue
    )


def text_profile(hardware: Hardware) -> ServingProfile:
    """The text tower's profile. Shoppers ask the same again and again, so its answers are worth
    keeping."""
    settings = HARDWARE[hardware]
    return _profile(
        settings,
        settings.text_max_batch,
        settings.text_delay_us,
        settings.text_queue,
        cache_answers=True,
    )


def preferred_batch_sizes(max_batch_size: int) -> tuple[int, ...]:
    """Powers of two from an eighth of the largest batch to all of it, none below 4."""
    least = max(min(4, max_batch_size), max_batch_size // 8)
    sizes = (2**exponent for exponent in range(max_batch_size.bit_length()))
    powers = tuple(size for size in sizes if least <= size < max_batch_size)
    return (*powers, max_batch_size)


def usual_batch_size(max_batch_size: int) -> int:
    """The batch that an engine's kernels are chosen for: half of the largest. Under load batches
    are about that full, and one that is built for the largest alone is slow for the others."""
    return max(1, max_batch_size // 2)


def _profile(
    settings: HardwareSettings,
    max_batch: Setting,
    delay_us: Setting,
    queue: Setting,
    *,
    cache_answers: bool = False,
) -> ServingProfile:
    largest = max_batch.value
    return ServingProfile(
        max_batch_size=largest,
        preferred_batch_sizes=preferred_batch_sizes(largest),
        queue_delay_us=delay_us.value,
        interactive=QueueLimits(queue.value, settings.timeout_us.value),
        bulk=QueueLimits(settings.bulk_queue.value, settings.bulk_timeout_us.value),
        warmup_batch_sizes=(1, usual_batch_size(largest), largest),
        instances=settings.instances.value,
        cache_answers=cache_answers,
    )
