"""The settings, and the table of them that users read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from gateway.cli import app
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


CONTRADICTIONS = [
    ({"PORT": "9000", "GRPC_PORT": "9000"}, "grpc_port", "port of HTTP"),
    ({"QDRANT_REPLICAS": "2", "QDRANT_WRITE_CONSISTENCY": "3"}, "qdrant_write_consistency", "more"),
    ({"RATE_LIMIT": "5"}, "rate_limit", "LOOKALIKE_KEYS"),
    ({"FUSION_VECTOR_WEIGHT": "0", "FUSION_TEXT_WEIGHT": "0"}, "fusion_text_weight", "nothing"),
    ({"MAX_TIMEOUT_S": "1"}, "max_timeout_s", "LOOKALIKE_DEFAULT_TIMEOUT_S"),
    ({"CORS_ORIGINS": "https://a.example, b.example"}, "cors_origins", "b.example"),
    ({"KEYS": "search:hunter2"}, "keys", "key 1"),
    ({"OTLP_ENDPOINT": "otel-collector:4317"}, "otlp_endpoint", "http://host:port"),
    ({"ADMIN_KEY": ""}, "admin_key", "at least 1"),
    ({"ADMIN_KEYS": "x"}, "admin_keys", "not permitted"),
]


@pytest.mark.parametrize(
    ("values", "field", "words"), CONTRADICTIONS, ids=[field for _, field, _ in CONTRADICTIONS]
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], field: str, words: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"LOOKALIKE_{name}", value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    [fault] = caught.value.errors()
    assert fault["loc"] == (field,)
    assert words in fault["msg"]
    assert "hunter2" not in str(caught.value)


def test_a_contradiction_is_told_beside_a_plain_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_STORE", "mysql")
    monkeypatch.setenv("LOOKALIKE_MAX_TIMEOUT_S", "1")
    monkeypatch.setenv("LOOKALIKE_PROT", "9000")
    with pytest.raises(ValidationError) as caught:
        Settings()
    faults = {fault["loc"][0] for fault in caught.value.errors()}
    assert faults == {"store", "max_timeout_s", "prot"}


def test_kubernetes_own_variables_are_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_GATEWAY_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("LOOKALIKE_PORT_8080_TCP", "tcp://10.0.0.1:8080")
    Settings()


SECRETS = ("admin_key", "keys", "client_key", "qdrant_api_key", "triton_key")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "secret"
    file.write_text("search:a-secret-of-the-shop\n")
    monkeypatch.setenv(f"LOOKALIKE_{name.upper()}_FILE", str(file))
    secret = getattr(Settings(), name)
    assert secret.get_secret_value() == "search:a-secret-of-the-shop"
    monkeypatch.setenv(f"LOOKALIKE_{name.upper()}", "search:another-secret-of-the-shop")
    with pytest.raises(ValidationError, match="given twice"):
        Settings()


def test_a_secrets_file_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOOKALIKE_ADMIN_KEY_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ValidationError, match="nowhere: No such file"):
        Settings()


def test_every_secret_has_a_file() -> None:
    fields = Settings.model_fields
    secrets = {name for name, field in fields.items() if "SecretStr" in str(field.annotation)}
    assert secrets == set(SECRETS)
    assert all(f"{name}_file" in fields for name in secrets)


def test_config_prints_what_is_in_effect_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_KEYS", "search+write:hunter2hunter2hunter2")
    monkeypatch.setenv("LOOKALIKE_ADMIN_KEY", "hunter2")
    monkeypatch.setenv("LOOKALIKE_EDGE_FOLDER", "/srv/" + "lookalike/" * 12 + "index")
    monkeypatch.setenv("COLUMNS", "80")
    printed = CliRunner().invoke(app, ["config"]).stdout
    assert "hunter2" not in printed
    assert max(map(len, printed.splitlines())) <= 80
    for name in Settings.model_fields:
        assert f"LOOKALIKE_{name.upper()} " in printed
    assert "search+write:****" in printed
    assert re.search(r"LOOKALIKE_PORT +8080", printed)
