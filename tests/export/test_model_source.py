"""Which model is exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from export.errors import ExportRefused
from export.model_source import ModelChoice, load_model
from gateway.domain.release import Interpolation, ResizeMode
from tests.export.models import CONFIGS, model_folder


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (ModelChoice("ViT-B32"), "no model 'ViT-B32'. Did you mean ViT-B-32"),
        (ModelChoice("zzz"), r"no model 'zzz'\.$"),
        (ModelChoice("ViT-B-32", pretrained="laion"), "no weights 'laion' for ViT-B-32. It has: o"),
        (ModelChoice("ViT-B-32", checkpoint=Path("nowhere.pt")), "no checkpoint nowhere.pt"),
        (ModelChoice("ViT-B-32", "openai", Path("x.pt")), "not both"),
        (ModelChoice("local-dir:nowhere"), "nowhere holds no open_clip_config.json"),
        (ModelChoice("local-dir:nowhere", "openai"), "brings its own weights"),
        (ModelChoice("hf-hub:a/b", "openai"), "brings its own weights"),
    ],
)
def test_a_choice_that_cannot_be_is_one_sentence(choice: ModelChoice, sentence: str) -> None:
    with pytest.raises(ExportRefused, match=sentence):
        load_model(choice)


@pytest.mark.parametrize(("name", "tag"), [("ViT-B-32", "openai"), ("ViT-H-14", "dfn5b")])
def test_weights_for_another_activation_are_refused(name: str, tag: str) -> None:
    """Their vectors would be plausible, and wrong."""
    with pytest.raises(ExportRefused, match=rf"use --model {name}-quickgelu\."):
        load_model(ModelChoice(name, pretrained=tag))


def test_weights_in_the_folder_are_loaded(tmp_path: Path) -> None:
    choice = model_folder(tmp_path, CONFIGS["timm-eos"])
    random = load_model(choice)
    assert random.random_weights
    weights = {name: values + 1 for name, values in random.network.state_dict().items()}
    save_file(weights, str(tmp_path / "open_clip_model.safetensors"))
    loaded = load_model(choice)
    assert not loaded.random_weights
    for name, values in loaded.network.state_dict().items():
        torch.testing.assert_close(values, weights[name])


def test_random_weights_are_the_same_every_time(tmp_path: Path) -> None:
    choice = model_folder(tmp_path, CONFIGS["vit-argmax"])
    first, second = (load_model(choice).network.state_dict() for _ in range(2))
    for name, values in first.items():
        torch.testing.assert_close(values, second[name], rtol=0, atol=0)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    choice = model_folder(tmp_path, CONFIGS["timm-eos"])
    save_file({"other": torch.zeros(1)}, str(tmp_path / "open_clip_model.safetensors"))
    with pytest.raises(ExportRefused, match="cannot be loaded"):
        load_model(choice)


def test_preprocessing_is_the_models_own(tmp_path: Path) -> None:
    choice = model_folder(tmp_path, CONFIGS["vit-oblong"])
    path = tmp_path / "open_clip_config.json"
    document = json.loads(path.read_text())
    document["preprocess_cfg"] = {
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.2, 0.1],
        "interpolation": "bilinear",
        "resize_mode": "longest",
        "fill_color": 255,
    }
    path.write_text(json.dumps(document))
    pixels = load_model(choice).pixels
    assert (pixels.height_px, pixels.width_px) == (32, 48)
    assert (pixels.mean, pixels.std) == ((0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    assert pixels.interpolation is Interpolation.BILINEAR
    assert pixels.resize_mode is ResizeMode.LONGEST
    assert pixels.fill == 255


def test_preprocessing_that_the_gateway_lacks_is_refused(tmp_path: Path) -> None:
    choice = model_folder(tmp_path, CONFIGS["vit-argmax"])
    path = tmp_path / "open_clip_config.json"
    document = json.loads(path.read_text()) | {"preprocess_cfg": {"interpolation": "random"}}
    path.write_text(json.dumps(document))
    with pytest.raises(ExportRefused, match="cannot prepare pictures"):
        load_model(choice)
