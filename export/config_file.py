"""A tower's `config.pbtxt` on disk, which is the operator's: read, and changed in places."""

from __future__ import annotations

import os
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export.errors import ExportRefused
from export.serving_profiles import QueueLimits, ServingProfile
from export.triton_config import (
    PRIORITY_BULK,
    PRIORITY_INTERACTIVE,
    TowerConfig,
    batching,
    profile_shapes,
    warmup,
)


def read_config(path: Path) -> pb.ModelConfig:
    """A `config.pbtxt`. Raises ExportRefused for one that cannot be read."""
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
    except (OSError, text_format.ParseError) as exc:
        raise ExportRefused(f"{path} cannot be read: {exc}") from exc


def write_config(path: Path, config: pb.ModelConfig) -> None:
    """Writes a `config.pbtxt`, wholly or not at all: Triton may be reading."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text_format.MessageToString(config), encoding="utf-8")
    os.replace(temporary, path)


def read_profile(config: pb.ModelConfig) -> ServingProfile:
    """The profile that a config stands for."""
    batches = config.dynamic_batching
    threads = config.parameters.get("intra_op_thread_count")
    return ServingProfile(
        max_batch_size=config.max_batch_size,
        preferred_batch_sizes=tuple(batches.preferred_batch_size),
        queue_delay_us=batches.max_queue_delay_microseconds,
        interactive=_limits(batches.priority_queue_policy[PRIORITY_INTERACTIVE]),
        bulk=_limits(batches.priority_queue_policy[PRIORITY_BULK]),
        warmup_batch_sizes=tuple(warmed.batch_size for warmed in config.model_warmup),
        instances=config.instance_group[0].count,
        intra_op_threads=int(threads.string_value) if threads else 0,
        cache_answers=config.response_cache.enable,
    )


def write_profile(config: pb.ModelConfig, tower: TowerConfig, profile: ServingProfile) -> None:
    """Changes batches, queues, warm-up and an accelerator's shapes; the rest stays. Engines that
    were built for other shapes are not entered any more."""
    if config.max_batch_size != profile.max_batch_size:
        config.cc_model_filenames.clear()
    config.max_batch_size = profile.max_batch_size
    config.dynamic_batching.CopyFrom(batching(profile))
    del config.model_warmup[:]
    config.model_warmup.extend(warmup(tower, size) for size in profile.warmup_batch_sizes)
    for accelerator in config.optimization.execution_accelerators.gpu_execution_accelerator:
        accelerator.parameters.update(profile_shapes(tower, profile.max_batch_size))


def _limits(policy: pb.ModelQueuePolicy) -> QueueLimits:
    return QueueLimits(policy.max_queue_size, policy.default_timeout_microseconds)
