"""`config.pbtxt`: how Triton serves a tower, through Triton's own message type."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export.formats import Device, Target
from export.tensor_names import OUTPUT_NAME

PRIORITY_INTERACTIVE = 1  # Triton serves the lower number first; 0 would mean the default
PRIORITY_BULK = 2


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
class TowerConfig:
    """A tower as Triton sees it. `input_dims` leave out the batch; -1 is an axis that varies."""

    model: str
    input_name: str
    input_type: int  # a value of Triton's DataType
    input_dims: tuple[int, ...]
    output_dim: int
    warmup_dims: tuple[int, ...]


UINT8 = pb.TYPE_UINT8
INT64 = pb.TYPE_INT64

_CPU_BULK = QueueLimits(max_requests=512, timeout_us=30_000_000)
_GPU_BULK = QueueLimits(max_requests=512, timeout_us=5_000_000)


def image_profile(target: Target) -> ServingProfile:
    """The image tower's profile. Its answers are not cached: hashing 150 kB a request costs more
    than it saves, and the gateway knows a picture by its bytes before they are decoded."""
    if target is Target.ONNX_CPU:
        return ServingProfile(
            max_batch_size=8,
            preferred_batch_sizes=(4, 8),
            queue_delay_us=1_000,
            interactive=QueueLimits(max_requests=64, timeout_us=2_000_000),
            bulk=_CPU_BULK,
            warmup_batch_sizes=(1, 8),
        )
    return ServingProfile(
        max_batch_size=64,
        preferred_batch_sizes=(8, 16, 32, 64),
        queue_delay_us=1_000,
        interactive=QueueLimits(max_requests=128, timeout_us=500_000),
        bulk=_GPU_BULK,
        warmup_batch_sizes=(1, 32, 64),
    )


def text_profile(target: Target) -> ServingProfile:
    """The text tower's profile. A text is cheap, so it waits half as long for company; shoppers
    ask the same again and again, so answers are worth keeping."""
    if target is Target.ONNX_CPU:
        return ServingProfile(
            max_batch_size=16,
            preferred_batch_sizes=(4, 8, 16),
            queue_delay_us=500,
            interactive=QueueLimits(max_requests=128, timeout_us=2_000_000),
            bulk=_CPU_BULK,
            warmup_batch_sizes=(1, 8, 16),
            cache_answers=True,
        )
    return ServingProfile(
        max_batch_size=64,
        preferred_batch_sizes=(8, 16, 32, 64),
        queue_delay_us=500,
        interactive=QueueLimits(max_requests=256, timeout_us=500_000),
        bulk=_GPU_BULK,
        warmup_batch_sizes=(1, 32, 64),
        cache_answers=True,
    )


def config_text(tower: TowerConfig, profile: ServingProfile, target: Target, device: Device) -> str:
    """The `config.pbtxt` of a tower."""
    config = pb.ModelConfig(
        name=tower.model,
        backend="python" if target is Target.ONNX_CPU else "onnxruntime",
        max_batch_size=profile.max_batch_size,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=1)),
        input=[
            pb.ModelInput(name=tower.input_name, data_type=tower.input_type, dims=tower.input_dims)
        ],
        output=[pb.ModelOutput(name=OUTPUT_NAME, data_type=pb.TYPE_FP32, dims=[tower.output_dim])],
        instance_group=[_instances(profile, target, device)],
        dynamic_batching=_batching(profile),
        parameters={
            "intra_op_thread_count": pb.ModelParameter(string_value=str(profile.intra_op_threads)),
            "inter_op_thread_count": pb.ModelParameter(string_value="1"),
        },
        model_warmup=[_warmup(tower, size) for size in profile.warmup_batch_sizes],
        response_cache=pb.ModelResponseCache(enable=True) if profile.cache_answers else None,
    )
    text: str = text_format.MessageToString(config)
    return text


def _instances(profile: ServingProfile, target: Target, device: Device) -> pb.ModelInstanceGroup:
    kinds = {
        Device.AUTO: pb.ModelInstanceGroup.KIND_AUTO,
        Device.CPU: pb.ModelInstanceGroup.KIND_CPU,
        Device.GPU: pb.ModelInstanceGroup.KIND_GPU,
    }
    kind = kinds[Device.CPU if target is Target.ONNX_CPU else device]
    return pb.ModelInstanceGroup(kind=kind, count=profile.instances)


def _batching(profile: ServingProfile) -> pb.ModelDynamicBatching:
    return pb.ModelDynamicBatching(
        preferred_batch_size=profile.preferred_batch_sizes,
        max_queue_delay_microseconds=profile.queue_delay_us,
        priority_levels=2,
        default_priority_level=PRIORITY_INTERACTIVE,
        default_queue_policy=_policy(profile.interactive),
        priority_queue_policy={
            PRIORITY_INTERACTIVE: _policy(profile.interactive),
            PRIORITY_BULK: _policy(profile.bulk),
        },
    )


def _policy(limits: QueueLimits) -> pb.ModelQueuePolicy:
    return pb.ModelQueuePolicy(
        timeout_action=pb.ModelQueuePolicy.REJECT,
        default_timeout_microseconds=limits.timeout_us,
        allow_timeout_override=True,
        max_queue_size=limits.max_requests,
    )


def _warmup(tower: TowerConfig, batch_size: int) -> pb.ModelWarmup:
    # Zeros are valid pixels and valid tokens; random numbers would be no tokens at all.
    zeros = pb.ModelWarmup.Input(data_type=tower.input_type, dims=tower.warmup_dims, zero_data=True)
    return pb.ModelWarmup(
        name=f"batch-{batch_size}", batch_size=batch_size, inputs={tower.input_name: zeros}
    )
