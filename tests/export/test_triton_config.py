"""`config.pbtxt`, compared with files that somebody has read.

After a wanted change run it with UPDATE_GOLDEN=1 in the environment, and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export.formats import Device, Target
from export.tensor_names import IMAGE_INPUT, OUTPUT_NAME, TEXT_INPUT
from export.triton_config import (
    INT64,
    UINT8,
    ServingProfile,
    TowerConfig,
    config_text,
    image_profile,
    text_profile,
)

GOLDEN = Path(__file__).with_name("golden")

IMAGE = TowerConfig("v1-image", IMAGE_INPUT, UINT8, (224, 224, 3), 512, (224, 224, 3))
TEXT = TowerConfig("v1-text", TEXT_INPUT, INT64, (-1,), 512, (8,))
FULL_TEXT = TowerConfig("v1-text", TEXT_INPUT, INT64, (64,), 512, (64,))

CASES = {
    "onnx-cpu-image": (IMAGE, Target.ONNX_CPU, Device.AUTO),
    "onnx-cpu-text": (TEXT, Target.ONNX_CPU, Device.AUTO),
    "onnx-image": (IMAGE, Target.ONNX, Device.AUTO),
    "onnx-image-gpu": (IMAGE, Target.ONNX, Device.GPU),
    "onnx-text-cpu": (TEXT, Target.ONNX, Device.CPU),
    "onnx-text-full-length": (FULL_TEXT, Target.ONNX, Device.AUTO),
}


def profile_of(tower: TowerConfig, target: Target) -> ServingProfile:
    return image_profile(target) if tower is IMAGE else text_profile(target)


def written(name: str) -> str:
    tower, target, device = CASES[name]
    return config_text(tower, profile_of(tower, target), target, device)


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
    tower, target, _ = CASES[name]
    config = parsed(name)
    assert config.name == tower.model
    assert config.backend == {"onnx-cpu": "python", "onnx": "onnxruntime"}[target]
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
