"""The settings, and the table of them that users read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from gateway.settings import Settings

TABLE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_documented_table_is_the_settings() -> None:
    documented = {
        line.split("`")[1]: line for line in TABLE.read_text().splitlines() if "| `LOOK" in line
    }
    assert set(documented) == {f"LOOKALIKE_{name.upper()}" for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        assert field.description is not None
        assert field.description in documented[f"LOOKALIKE_{name.upper()}"]


def test_the_environment_sets_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOOKALIKE_PORT", "9000")
    monkeypatch.setenv("LOOKALIKE_QDRANT_API_KEY", "secret")
    settings = Settings()
    assert settings.port == 9000
    assert isinstance(settings.qdrant_api_key, SecretStr)
    assert "secret" not in repr(settings)


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_PORT", "70000")
    monkeypatch.setenv("LOOKALIKE_STORE", "mysql")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert {fault["loc"] for fault in caught.value.errors()} == {("port",), ("store",)}
