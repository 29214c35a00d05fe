"""Models that are exported once and looked at by many tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from export.formats import Target
from export.model_source import SourceModel, load_model
from export.release_export import ExportOrder, ExportResult, export_release
from export.release_writer import Destination
from gateway.domain.release import Precision
from tests.export.example_pairs import write_pairs
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


# Never trained, it finds a picture by words one time in forty: chance, which any change moves.
MOST_LOST = 0.05


@dataclass(frozen=True)
class Lowered:
    """The model of `tiny-v1` in lower precisions, as `tiny-fp16` and `tiny-int8`."""

    repository: Path
    results: Mapping[Precision, ExportResult]


@pytest.fixture(scope="session", name="lowered")
def releases_of_lower_precision(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    folder = tmp_path_factory.mktemp("lowered")
    (folder / "model").mkdir()
    choice = model_folder(folder / "model", CONFIGS["timm-eos"])
    repository, pairs = folder / "repository", write_pairs(folder / "pairs")
    results = {
        precision: export_release(
            ExportOrder(
                choice,
                Destination(repository, f"tiny-{precision}"),
                Target.ONNX_CPU,
                precision=precision,
                pairs=pairs,
                most_recall_loss=MOST_LOST,
            ),
            lambda _step: None,
        )
        for precision in (Precision.FP16, Precision.INT8)
    }
    return Lowered(repository, results)
