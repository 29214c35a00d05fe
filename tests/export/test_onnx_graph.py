"""Towers as ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from export import onnx_graph
from export.errors import ExportRefused
from export.onnx_graph import OPSET, GraphInput, GraphRunner, write_graph
from export.release_export import ExportResult
from export.tensor_names import OUTPUT_NAME
from gateway.adapters.release_files import digest


class Sums(nn.Module):
    """A tower that is quick to trace: `[batch, tokens]` to `[batch, 2]`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([1.0, -2.0]), requires_grad=False)

    def forward(self, text: Tensor) -> Tensor:
        return text.sum(dim=1, keepdim=True).float() * self.scale


class Branches(nn.Module):
    """A tower whose way depends on its input, which no graph can follow."""

    def forward(self, text: Tensor) -> Tensor:
        return text * 2 if text.sum() > 0 else text


def example(tower: nn.Module) -> tuple[nn.Module, GraphInput]:
    return tower, GraphInput("text", torch.ones(2, 3, dtype=torch.int64), {0: "batch", 1: "tokens"})


def test_both_axes_of_a_graph_may_have_any_length(tmp_path: Path) -> None:
    run = GraphRunner(write_graph(*example(Sums()), tmp_path))
    for shape in ((1, 1), (1, 9), (2, 3), (17, 5)):
        rows = np.ones(shape, np.int64)
        assert run(rows).tolist() == [[shape[1], -2 * shape[1]]] * shape[0]


def test_a_graph_too_big_for_one_file_has_its_weights_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_graph, "MAX_EMBEDDED_BYTES", 1)
    tower = nn.Sequential(Sums(), nn.Linear(2, 4096))  # ONNX leaves small tensors in the graph
    path = write_graph(*example(tower), tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "model.onnx.data"}
    assert GraphRunner(path)(np.ones((3, 2), np.int64)).shape == (3, 4096)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_graph(*example(Sums()), tmp_path / name)
    assert digest(tmp_path / "first/model.onnx") == digest(tmp_path / "second/model.onnx")


def test_what_cannot_be_traced_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="Branches cannot be traced"):
        write_graph(*example(Branches()), tmp_path)


@pytest.mark.parametrize("tower", ["image", "text"])
def test_an_exported_tower_is_what_triton_expects(
    exported: ExportResult, repository: Path, tower: str
) -> None:
    path = repository / f"tiny-v1-{tower}/1/model.onnx"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (graph_input,), (output,) = session.get_inputs(), session.get_outputs()
    assert (graph_input.name, output.name) == (tower, OUTPUT_NAME)
    assert output.shape == ["batch", exported.release.dim]
    if tower == "image":
        assert (graph_input.type, graph_input.shape) == ("tensor(uint8)", ["batch", 32, 32, 3])
    else:
        assert (graph_input.type, graph_input.shape) == ("tensor(int64)", ["batch", "tokens"])
    opsets = {opset.domain: opset.version for opset in onnx.load(path).opset_import}
    assert opsets == {"": OPSET}


@pytest.mark.parametrize("tower", ["image", "text"])
def test_an_exported_tower_tells_nothing_of_the_machine_that_made_it(
    exported: ExportResult, repository: Path, tower: str
) -> None:
    content = (repository / f"{getattr(exported.release, tower).model}/1/model.onnx").read_bytes()
    for trace in (b".py", b"site-packages", str(Path(__file__).parents[2]).encode()):
        assert trace not in content
