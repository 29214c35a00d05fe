"""The command, as somebody types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from export.cli import WIDTH_COLUMNS, main
from tests.export.example_pairs import write_pairs
from tests.export.models import CONFIGS, model_folder


def test_an_export_says_what_it_made_and_fits_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    choice = model_folder(tmp_path / "model", CONFIGS["timm-eos"])
    repository = str(tmp_path / "repository")
    arguments = ["onnx", "--model", choice.name, "--release", "v1", "--repository", repository]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= WIDTH_COLUMNS
    for words in ("the model is random", "parity", "v1-image/1/model.onnx", "lookalike verify v1"):
        assert words in printed
    manifest = json.loads((tmp_path / "repository/v1.release.json").read_text())
    assert manifest["release"]["fingerprint"][:16] in printed


def test_a_precision_says_what_it_costs_and_an_engine_where_it_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    choice = model_folder(tmp_path / "model", CONFIGS["timm-eos"])
    arguments = ["onnx", "--model", choice.name, "--release", "v1", "--precision", "fp16"]
    arguments += ["--target", "tensorrt", "--gpu", "t4", "--most-recall-loss", "1"]
    arguments += ["--pairs", str(write_pairs(tmp_path / "pairs"))]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--repository", str(tmp_path / "repository")])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= WIDTH_COLUMNS
    for words in ("recall@10", "400 texts", "speed", "least cosine with fp32", "build-engine v1"):
        assert words in " ".join(printed.split())
    config = (tmp_path / "repository/v1-image/config.pbtxt").read_text()
    assert "max_batch_size: 32" in config, "the T4's"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "ViT-B32", "--release", "v1"], 1, "Did you mean ViT-B-32"),
        (["--model", "ViT-B-32", "--release", "V1"], 1, "cannot name a release"),
        (["--model", "ViT-B-32", "--release", "v1", "--precision", "int8"], 1, "give --pairs"),
        (["--model", "ViT-B-32", "--release", "v1", "--target", "coreml"], 2, "--target"),
        (["--model", "ViT-B-32"], 2, "--release"),
    ],
)
def test_a_refusal_is_a_sentence_and_an_exit_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["onnx", *arguments, "--repository", str(tmp_path / "repository")])
    printed = capsys.readouterr().err
    assert ended.value.code == code
    assert words in " ".join(printed.split())
    assert "Traceback" not in printed
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_there() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", "from export.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for command in ("onnx", "build-engine", "tune", "finetune", "sample-data", "sample-quality"):
        assert command in listed


def test_help_does_not_wait_for_pytorch() -> None:
    script = "import export.cli, sys; print([m for m in ('torch', 'onnx') if m in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
