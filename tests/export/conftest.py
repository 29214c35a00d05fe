"""Models that are exported once and looked at by many tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from export.formats import Target
from export.model_source import SourceModel, load_model
from export.release_export import ExportOrder, ExportResult, export_release
from export.release_writer import Destination
from tests.export.models import CONFIGS, model_folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models this small wait for their threads longer than they compute."""
    torch.set_num_threads(1)


LoadModel = Callable[[str], SourceModel]


@pytest.fixture(scope="session", name="load")
def a_loader_of_small_models(tmp_path_factory: pytest.TempPathFactory) -> LoadModel:
    """Loads one of tests.export.models.CONFIGS by name; each once."""
    loaded: dict[str, SourceModel] = {}

    def load(name: str) -> SourceModel:
        if name not in loaded:
            folder = tmp_path_factory.mktemp(name)
            source = load_model(model_folder(folder, CONFIGS[name]))
            for parameter, values in source.network.named_parameters():
                # Without training, these drown the picture: a ResNet of CLIP's would give one
                # vector for all, and any graph would pass.
                if parameter.endswith(("attnpool.positional_embedding", "_proj.bias")):
                    values.zero_()
            loaded[name] = source
        return loaded[name]

    return load


@pytest.fixture(scope="session", name="repository")
def a_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `exported` is."""
    return tmp_path_factory.mktemp("exported") / "repository"


@pytest.fixture(scope="session", name="exported")
def an_exported_release(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """The small model in the class of the sample's, exported as `tiny-v1` for `onnx-cpu`."""
    choice = model_folder(tmp_path_factory.mktemp("source"), CONFIGS["timm-eos"])
    order = ExportOrder(choice, Destination(repository, "tiny-v1"), Target.ONNX_CPU)
    return export_release(order, lambda _step: None)
