"""`config.pbtxt`: how Triton serves a tower, through Triton's own message type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export.formats import Device, Target
from export.serving_profiles import QueueLimits, ServingProfile, usual_batch_size
from export.tensor_names import IMAGE_INPUT, OUTPUT_NAME, TEXT_INPUT
from gateway.domain.release import ImageTower, Precision, Release, TextTower

PRIORITY_INTERACTIVE = 1  # Triton serves the lower number first; 0 would mean the default
PRIORITY_BULK = 2

DEFAULT_ENGINE_CACHE = PurePosixPath("/var/cache/lookalike/tensorrt")

UINT8 = pb.TYPE_UINT8
INT64 = pb.TYPE_INT64

_BACKENDS = {
    Target.ONNX_CPU: "python",
    Target.ONNX: "onnxruntime",
    Target.ONNX_TENSORRT: "onnxruntime",
    Target.TENSORRT: "tensorrt",
}


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """The shapes, batch included, that a TensorRT engine takes, and the one it is made for."""

    least: tuple[int, ...]
    usual: tuple[int, ...]
    most: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """A tower as Triton sees it. Dims leave out the batch; in `input_dims` -1 is an axis that
    varies, from `rows.least` to `rows.most`."""

    model: str
    input_name: str
    input_type: int  # a value of Triton's DataType
    input_dims: tuple[int, ...]
    output_dim: int
    rows: ShapeRange

    def shapes(self, max_batch_size: int) -> ShapeRange:
        """What an engine must take so that no request that Triton lets through is outside."""
        return ShapeRange(
            (1, *self.rows.least),
            (usual_batch_size(max_batch_size), *self.rows.usual),
            (max_batch_size, *self.rows.most),
        )


@dataclass(frozen=True, slots=True)
class ServingChoice:
    """What serves the tower. `engine_cache` is a folder that Triton may write to: the target
    `onnx-tensorrt` keeps engines and the timings of kernels there."""

    target: Target
    device: Device = Device.AUTO
    precision: Precision = Precision.FP32
    engine_cache: PurePosixPath = DEFAULT_ENGINE_CACHE


def image_tower_config(tower: ImageTower, dim: int) -> TowerConfig:
    """The image tower: all its inputs have one shape."""
    dims = (tower.height_px, tower.width_px, 3)
    return TowerConfig(tower.model, IMAGE_INPUT, UINT8, dims, dim, ShapeRange(dims, dims, dims))


def text_tower_config(tower: TextTower, dim: int) -> TowerConfig:
    """The text tower. Its engine is made for the second bucket: most queries fit into the first
    two (4 to 10 tokens), and kernels for 16 tokens are no slower for 8."""
    least, most = tower.buckets[0], tower.buckets[-1]
    usual = tower.buckets[min(1, len(tower.buckets) - 1)]
    tokens = -1 if least < most else most
    rows = ShapeRange((least,), (usual,), (most,))
    return TowerConfig(tower.model, TEXT_INPUT, INT64, (tokens,), dim, rows)


def release_towers(release: Release) -> tuple[TowerConfig, TowerConfig]:
    """A release's image and text tower."""
    return (
        image_tower_config(release.image, release.dim),
        text_tower_config(release.text, release.dim),
    )


def config_text(tower: TowerConfig, profile: ServingProfile, choice: ServingChoice) -> str:
    """The `config.pbtxt` of a tower."""
    config = pb.ModelConfig(
        name=tower.model,
        backend=_BACKENDS[choice.target],
        platform="tensorrt_plan" if choice.target is Target.TENSORRT else "",
        max_batch_size=profile.max_batch_size,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=1)),
        input=[
            pb.ModelInput(name=tower.input_name, data_type=tower.input_type, dims=tower.input_dims)
        ],
        output=[pb.ModelOutput(name=OUTPUT_NAME, data_type=pb.TYPE_FP32, dims=[tower.output_dim])],
        instance_group=[_instances(profile, choice)],
        dynamic_batching=batching(profile),
        optimization=_optimization(tower, profile, choice),
        parameters={
            name: pb.ModelParameter(string_value=value)
            for name, value in _parameters(profile, choice).items()
        },
        model_warmup=[warmup(tower, size) for size in profile.warmup_batch_sizes],
        response_cache=pb.ModelResponseCache(enable=True) if profile.cache_answers else None,
    )
    text: str = text_format.MessageToString(config)
    return text


def _instances(profile: ServingProfile, choice: ServingChoice) -> pb.ModelInstanceGroup:
    kinds = {
        Device.AUTO: pb.ModelInstanceGroup.KIND_AUTO,
        Device.CPU: pb.ModelInstanceGroup.KIND_CPU,
        Device.GPU: pb.ModelInstanceGroup.KIND_GPU,
    }
    device = choice.device
    if choice.target is Target.ONNX_CPU:
        device = Device.CPU
    if choice.target.needs_gpu:
        device = Device.GPU
    return pb.ModelInstanceGroup(kind=kinds[device], count=profile.instances)


def _parameters(profile: ServingProfile, choice: ServingChoice) -> dict[str, str]:
    if choice.target is Target.TENSORRT:
        return {}
    threads = {
        "intra_op_thread_count": str(profile.intra_op_threads),
        "inter_op_thread_count": "1",
    }
    if choice.target is Target.ONNX_CPU and choice.precision is Precision.FP16:
        return threads | {"graph_optimization_level": "extended"}
    return threads


def _optimization(
    tower: TowerConfig, profile: ServingProfile, choice: ServingChoice
) -> pb.ModelOptimizationPolicy | None:
    policy = pb.ModelOptimizationPolicy
    if choice.target is Target.ONNX_TENSORRT:
        parameters = _accelerator(tower, choice.engine_cache)
        parameters |= profile_shapes(tower, profile.max_batch_size)
        tensorrt = policy.ExecutionAccelerators.Accelerator(name="tensorrt", parameters=parameters)
        accelerators = policy.ExecutionAccelerators(gpu_execution_accelerator=[tensorrt])
        return policy(execution_accelerators=accelerators)
    on_cpu = choice.target is Target.ONNX and choice.device is not Device.GPU
    if on_cpu and choice.precision is Precision.FP16:
        # "Basic and extended": the level above is where ONNX Runtime 1.32 dies over fp16 on a CPU.
        return policy(graph=policy.Graph(level=1))
    return None


def _accelerator(tower: TowerConfig, cache: PurePosixPath) -> dict[str, str]:
    """The accelerator's parameters, by the names of Triton's onnxruntime_backend (README).

    No `precision_mode`: without it ONNX Runtime (from 1.18, for TensorRT 9 and newer) builds a
    strongly typed network, so the graph's own types decide; TensorRT 11 knows nothing else.
    """
    folder = str(cache / tower.model)
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_engine_cache_prefix": tower.model,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
        # Kernels are chosen by the clock: not while another instance's are.
        "trt_force_sequential_engine_build": "1",
    }


def profile_shapes(tower: TowerConfig, max_batch_size: int) -> dict[str, str]:
    """With these no request can widen the range that the engine is built for, which is what makes
    ONNX Runtime build it again, for minutes, under traffic."""
    shapes = tower.shapes(max_batch_size)
    return {
        "trt_profile_min_shapes": _shape(tower, shapes.least),
        "trt_profile_opt_shapes": _shape(tower, shapes.usual),
        "trt_profile_max_shapes": _shape(tower, shapes.most),
    }


def _shape(tower: TowerConfig, shape: tuple[int, ...]) -> str:
    return f"{tower.input_name}:{'x'.join(str(size) for size in shape)}"


def batching(profile: ServingProfile) -> pb.ModelDynamicBatching:
    """Batches and queues, the two priorities' apart."""
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


def warmup(tower: TowerConfig, batch_size: int) -> pb.ModelWarmup:
    """A batch that is computed before the server says that it is ready."""
    # Zeros are valid pixels and valid tokens; random numbers would be no tokens at all.
    zeros = pb.ModelWarmup.Input(data_type=tower.input_type, dims=tower.rows.least, zero_data=True)
    return pb.ModelWarmup(
        name=f"batch-{batch_size}", batch_size=batch_size, inputs={tower.input_name: zeros}
    )
