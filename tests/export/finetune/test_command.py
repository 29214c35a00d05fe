"""The command raises what `main` prints as one sentence, and ends with where the model is."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from export.finetune.command import finetune
from export.finetune.errors import BadPairs

ARGUMENTS = ["--steps", "2", "--batch", "4", "--vocabulary", "300", "--precision", "fp32"]


@pytest.fixture(name="app")
def an_app() -> typer.Typer:
    app = typer.Typer()
    app.command()(finetune)
    return app


def test_a_run_ends_with_where_the_model_is(
    app: typer.Typer, shop: Path, tiny_config: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    paths = ["--data", str(shop), "--out", str(out), "--config", str(tiny_config)]
    result = CliRunner().invoke(app, [*paths, *ARGUMENTS])
    assert result.exit_code == 0, result.output
    assert "local-dir:" in result.output
    assert (out / "open_clip_model.safetensors").is_file()


def test_a_mistake_is_a_sentence_and_a_failure(app: typer.Typer, tmp_path: Path) -> None:
    paths = ["--data", str(tmp_path / "none.jsonl"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*paths, "--model", "ViT-B-32"])
    assert result.exit_code == 1
    assert isinstance(result.exception, BadPairs)
    assert "none.jsonl cannot be read: No such file" in result.exception.detail


def test_restart_forgets_the_run_in_the_folder(
    app: typer.Typer, shop: Path, tiny_config: Path, tmp_path: Path
) -> None:
    paths = ["--data", str(shop), "--out", str(tmp_path / "m"), "--config", str(tiny_config)]
    runner = CliRunner()
    assert runner.invoke(app, [*paths, *ARGUMENTS]).exit_code == 0
    refused = runner.invoke(app, [*paths, *ARGUMENTS, "--seed", "5"])
    assert refused.exit_code == 1
    assert "--restart" in str(refused.exception)
    assert runner.invoke(app, [*paths, *ARGUMENTS, "--seed", "5", "--restart"]).exit_code == 0
