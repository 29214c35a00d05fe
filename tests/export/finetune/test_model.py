"""Models open from any source, and cutting off padding changes no vector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from export.finetune.errors import BadModel
from export.finetune.model import (
    WEIGHTS_FILE,
    Network,
    lock_towers,
    open_model,
    opened_folder,
    text_vectors,
)
from export.finetune.options import ModelSource, Options, Tower
from tests.export.finetune.conftest import TINY_CONFIG


def tiny_network(**text_cfg: str | int | bool) -> Network:
    torch.manual_seed(0)
    described: dict[str, Any] = json.loads(json.dumps(TINY_CONFIG["model_cfg"]))
    described["text_cfg"] |= {"vocab_size": 300, **text_cfg}
    return open_clip.CLIP(**described).eval()


TOKENS = torch.tensor([[1, 40, 50, 2] + [0] * 8, [1, 40, 2] + [0] * 9, [1, 9, 9, 9, 2] + [0] * 7])


def test_text_vectors_are_those_of_the_full_length() -> None:
    network = tiny_network()
    full = torch.nn.functional.normalize(network.encode_text(TOKENS), dim=-1)
    assert torch.allclose(text_vectors(network, TOKENS), full, atol=1e-6)


def test_argmax_pooling_is_cut_at_its_highest_token() -> None:
    network = tiny_network(pool_type="argmax")
    tokens = torch.where(TOKENS == 2, 299, TOKENS)
    full = torch.nn.functional.normalize(network.encode_text(tokens), dim=-1)
    assert torch.allclose(text_vectors(network, tokens), full, atol=1e-6)


def test_gradients_reach_the_positions_that_are_used_and_no_others() -> None:
    network = tiny_network()
    text_vectors(network, TOKENS).sum().backward()  # type: ignore[no-untyped-call]  # torch
    moved = network.positional_embedding.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [True] * 5 + [False] * 7


def test_a_tower_that_sees_everything_is_not_cut() -> None:
    network = tiny_network(no_causal_mask=True)
    full = torch.nn.functional.normalize(network.encode_text(TOKENS), dim=-1)
    assert torch.allclose(text_vectors(network, TOKENS), full, atol=1e-6)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (ModelSource(), "either --model"),
        (ModelSource(name="ViT-B-32", config=Path("x.json")), "either --model"),
        (ModelSource(name="ViT-B-33"), "not found"),
        (ModelSource(config=Path("none.json")), "not a model configuration"),
    ],
)
def test_a_model_that_cannot_be_opened_is_a_sentence(
    source: ModelSource, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(BadModel, match=complaint):
        open_model(source, ["a text"], tmp_path)


def test_weights_that_are_not_there_are_a_sentence(tiny_config: Path, tmp_path: Path) -> None:
    source = ModelSource(config=tiny_config, checkpoint=tmp_path / "none.safetensors")
    with pytest.raises(BadModel, match="cannot be opened"):
        open_model(source, ["a text"], tmp_path)


def test_a_model_goes_on_with_larger_pictures(tiny_config: Path, tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    clip = open_model(ModelSource(config=tiny_config), ["a text"], small)
    weights = {name: tensor.contiguous() for name, tensor in clip.network.state_dict().items()}
    save_file(weights, small / WEIGHTS_FILE)
    grown = open_model(ModelSource(name=f"local-dir:{small}", image_px=64), [], large)
    assert grown.size_px == 64
    assert grown.network.encode_image(torch.zeros(1, 3, 64, 64)).shape == (1, 16)
    save_file(
        {name: tensor.contiguous() for name, tensor in grown.network.state_dict().items()},
        large / WEIGHTS_FILE,
    )
    assert opened_folder(large).size_px == 64


def test_a_config_without_a_text_tower_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"model_cfg": {"embed_dim": 4}}')
    with pytest.raises(BadModel, match="text_cfg"):
        open_model(ModelSource(config=tmp_path / "model.json"), ["a"], tmp_path)


@pytest.mark.parametrize(
    ("tower", "learning"), [(Tower.TEXT, "transformer."), (Tower.IMAGE, "visual.")]
)
def test_a_locked_tower_does_not_learn(options: Options, tower: Tower, learning: str) -> None:
    network = tiny_network()
    source = Options(options.data, options.out_dir, options.source, towers=tower)
    lock_towers(network, source)
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert any(name.startswith(learning) for name in names)
    other = "visual." if tower is Tower.TEXT else "transformer."
    assert not any(name.startswith(other) for name in names)
