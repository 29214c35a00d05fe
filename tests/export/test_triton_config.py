"""`config.pbtxt`, compared with files that somebody has read.

After a wanted change run it with UPDATE_GOLDEN=1 in the environment, and read the diff.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path, PurePosixPath

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export.formats import Device, Hardware, Target
from export.serving_profiles import HARDWARE, ServingProfile, image_profile, text_profile
from export.tensor_names import OUTPUT_NAME
from export.triton_config import (
    ServingChoice,
    TowerConfig,
    config_text,
    image_tower_config,
    text_tower_config,
)
from gateway.domain.release import (
    ImageTower,
    Interpolation,
    Precision,
    ResizeMode,
    TextClean,
    TextTower,
)

GOLDEN = Path(__file__).with_name("golden")


def text_tower(*buckets: int) -> TowerConfig:
    return text_tower_config(TextTower("v1-text", buckets, 0, 2, TextClean.LOWER), 512)


IMAGE = image_tower_config(
    ImageTower("v1-image", 224, 224, ResizeMode.SHORTEST, Interpolation.BICUBIC), 512
)
TEXT, FULL_TEXT = text_tower(8, 16, 32, 77), text_tower(64)

FP16 = Precision.FP16
CASES = {
    "onnx-cpu-image": (IMAGE, Hardware.CPU, ServingChoice(Target.ONNX_CPU)),
    "onnx-cpu-text": (TEXT, Hardware.CPU, ServingChoice(Target.ONNX_CPU)),
    "onnx-cpu-image-fp16": (IMAGE, Hardware.CPU, ServingChoice(Target.ONNX_CPU, precision=FP16)),
    "onnx-image": (IMAGE, Hardware.L4, ServingChoice(Target.ONNX)),
    "onnx-image-fp16": (IMAGE, Hardware.L4, ServingChoice(Target.ONNX, precision=FP16)),
    "onnx-image-gpu": (IMAGE, Hardware.T4, ServingChoice(Target.ONNX, Device.GPU, FP16)),
    "onnx-text-cpu": (TEXT, Hardware.CPU, ServingChoice(Target.ONNX, Device.CPU)),
    "onnx-text-full-length": (FULL_TEXT, Hardware.A10, ServingChoice(Target.ONNX)),
    "onnx-tensorrt-image": (IMAGE, Hardware.L4, ServingChoice(Target.ONNX_TENSORRT)),
    "onnx-tensorrt-text": (
        TEXT,
        Hardware.H100,
        ServingChoice(Target.ONNX_TENSORRT, engine_cache=PurePosixPath("/engines")),
    ),
    "tensorrt-image": (IMAGE, Hardware.A100, ServingChoice(Target.TENSORRT)),
    "tensorrt-text": (TEXT, Hardware.L4, ServingChoice(Target.TENSORRT)),
    "tensorrt-text-full-length": (FULL_TEXT, Hardware.L4, ServingChoice(Target.TENSORRT)),
}
BACKENDS = {
    Target.ONNX_CPU: "python",
    Target.ONNX: "onnxruntime",
    Target.ONNX_TENSORRT: "onnxruntime",
    Target.TENSORRT: "tensorrt",
}


def profile_of(tower: TowerConfig, hardware: Hardware) -> ServingProfile:
    return image_profile(hardware) if tower is IMAGE else text_profile(hardware)


def written(name: str) -> str:
    tower, hardware, choice = CASES[name]
    return config_text(tower, profile_of(tower, hardware), choice)


def parsed(name: str) -> pb.ModelConfig:
    return text_format.Parse(written(name), pb.ModelConfig())


@pytest.mark.parametrize("name", CASES)
def test_the_config_is_the_one_that_was_read(name: str) -> None:
    path = GOLDEN / f"{name}.pbtxt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(written(name), encoding="utf-8")
    assert written(name) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_the_config_says_what_the_tower_is(name: str) -> None:
    tower, _, choice = CASES[name]
    config = parsed(name)
    assert config.name == tower.model
    assert config.backend == BACKENDS[choice.target]
    assert [(i.name, tuple(i.dims)) for i in config.input] == [(tower.input_name, tower.input_dims)]
    assert [(o.name, list(o.dims)) for o in config.output] == [(OUTPUT_NAME, [tower.output_dim])]
    assert config.version_policy.latest.num_versions == 1


@pytest.mark.parametrize("name", CASES)
def test_no_queue_is_without_limits(name: str) -> None:
    """Triton's own defaults are an endless queue and endless patience."""
    batching = parsed(name).dynamic_batching
    assert batching.priority_levels == 2
    assert batching.default_priority_level == 1
    assert sorted(batching.priority_queue_policy) == [1, 2]
    for policy in (batching.default_queue_policy, *batching.priority_queue_policy.values()):
        assert policy.timeout_action == pb.ModelQueuePolicy.REJECT
        assert policy.allow_timeout_override
        assert policy.max_queue_size > 0
        assert policy.default_timeout_microseconds > batching.max_queue_delay_microseconds


@pytest.mark.parametrize("name", CASES)
def test_indexing_may_wait_longer_than_a_shopper(name: str) -> None:
    policies = parsed(name).dynamic_batching.priority_queue_policy
    interactive, bulk = policies[1], policies[2]
    assert bulk.max_queue_size > interactive.max_queue_size
    assert bulk.default_timeout_microseconds > interactive.default_timeout_microseconds


@pytest.mark.parametrize("name", CASES)
def test_batches_that_are_preferred_and_warmed_up_are_possible(name: str) -> None:
    config = parsed(name)
    preferred = config.dynamic_batching.preferred_batch_size
    warmed = [warmup.batch_size for warmup in config.model_warmup]
    assert max(preferred) == max(warmed) == config.max_batch_size
    assert min(warmed) == 1
    assert all(-1 not in warmup.inputs[config.input[0].name].dims for warmup in config.model_warmup)


@pytest.mark.parametrize("name", CASES)
def test_no_tower_has_a_single_instance(name: str) -> None:
    """With one, Triton 2.51 lets requests lie for 500 ms; see ServingProfile.instances."""
    assert parsed(name).instance_group[0].count >= 2


def test_only_texts_are_cached_by_the_server() -> None:
    assert parsed("onnx-text-cpu").response_cache.enable
    assert not parsed("onnx-image").HasField("response_cache")


@pytest.mark.parametrize("hardware", Hardware)
@pytest.mark.parametrize("profile", [image_profile, text_profile])
def test_every_hardware_has_a_profile_that_batches_can_fill(
    hardware: Hardware, profile: Callable[[Hardware], ServingProfile]
) -> None:
    found = profile(hardware)
    assert list(found.preferred_batch_sizes) == sorted(set(found.preferred_batch_sizes))
    assert found.preferred_batch_sizes[-1] == found.max_batch_size
    assert found.warmup_batch_sizes == (1, found.max_batch_size // 2, found.max_batch_size)
    assert found.interactive.max_requests >= found.max_batch_size
    assert found.instances >= 2


@pytest.mark.parametrize("hardware", Hardware)
def test_every_value_of_the_table_has_its_reason(hardware: Hardware) -> None:
    settings = HARDWARE[hardware]
    for field in fields(settings):
        setting = getattr(settings, field.name)
        assert setting.value > 0
        assert len(setting.reason) > 10, field.name


@pytest.mark.parametrize("name", ["onnx-tensorrt-image", "onnx-tensorrt-text"])
def test_no_request_that_triton_lets_through_changes_an_engines_shapes(name: str) -> None:
    """ONNX Runtime would build the engine again, for minutes, under traffic."""
    config = parsed(name)
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    parameters = dict(accelerator.parameters)
    (least, usual, most) = (
        [int(size) for size in parameters[f"trt_profile_{which}_shapes"].split(":")[1].split("x")]
        for which in ("min", "opt", "max")
    )
    assert (least[0], most[0]) == (1, config.max_batch_size)
    for low, dim, middle, high in zip(
        least[1:], config.input[0].dims, usual[1:], most[1:], strict=True
    ):
        assert low <= middle <= high
        assert dim == -1 or low == dim == high
    assert "precision_mode" not in parameters, "the graph's own types decide"
