"""`compose.yaml`, as far as that can be told without a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from gateway.settings import PREFIX, Settings
from tests.deploy.images import ROOT, pinned, stages
from tests.deploy.triton_flags import triton_flags

REPOSITORY = ROOT / "model_repository"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as an engine reads it: defaults of variables filled in, anchors merged."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "compose.yaml").read_text())
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = compose["services"]
    return named


def test_it_is_a_compose_file(compose: dict[str, Any]) -> None:
    PyCompose.from_yaml(yaml.safe_dump(compose))  # raises ValueError for what Compose does not know


def test_every_service_is_pinned_hardened_and_watched(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert pinned(service["image"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if service["restart"] == "no":  # it gives a folder to another's user, and ends
            assert service["cap_add"] == ["CHOWN"]
            assert service["network_mode"] == "none"
            continue
        assert "cap_add" not in service, name
        watched = "healthcheck" in service or "build" in service  # the image has its own
        assert watched, name
        not_root = (
            not service.get("user", "0:").startswith("0:")
            or "build" in service
            or "unprivileged" in service["image"]
        )
        assert not_root, name


def test_only_this_machine_can_reach_it(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def compose_secret(services: dict[str, Any], variable: str) -> Path:
    """The file that a variable's secret comes from."""
    [name] = services["gateway"]["secrets"]
    assert services["gateway"]["environment"][variable] == f"/run/secrets/{name}"
    file: str = yaml.safe_load((ROOT / "compose.yaml").read_text())["secrets"][name]["file"]
    return ROOT / file


def test_the_gateway_s_settings_are_settings(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["gateway"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    key = compose_secret(services, "LOOKALIKE_ADMIN_KEY_FILE")
    monkeypatch.setenv("LOOKALIKE_ADMIN_KEY_FILE", str(key))
    settings = Settings()
    assert settings.store == "cluster"
    assert settings.admin_key is not None
    assert all(name.startswith(PREFIX) for name in services["gateway"]["environment"])


def test_ports_and_folders_are_those_of_the_image(services: dict[str, Any]) -> None:
    gateway, image = services["gateway"], stages("Dockerfile")[-1]
    published = {port.rpartition(":")[2] for port in gateway["ports"]}
    assert published == set(image.last("EXPOSE").split())
    assert published == {str(Settings().port), str(Settings().grpc_port)}
    [models] = gateway["volumes"]
    assert f"LOOKALIKE_MODEL_REPOSITORY={models['target']}" in image.last("ENV")


def test_the_gateway_may_finish_what_it_accepted(services: dict[str, Any]) -> None:
    grace_s = float(services["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > Settings().drain_s + Settings().max_timeout_s


def test_every_folder_and_file_that_is_mounted_is_there(services: dict[str, Any]) -> None:
    made_elsewhere = {"./helm/alerts", "./helm/dashboards"}
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert volume["read_only"] is True, name
                there = (ROOT / volume["source"]).exists()
                assert there or volume["source"] in made_elsewhere, volume["source"]


@pytest.mark.triton
def test_triton_s_flags_are_triton_s(services: dict[str, Any]) -> None:
    for name in ("triton-cpu", "triton-gpu"):
        _, *arguments = services[name]["command"]
        assert {argument.partition("=")[0] for argument in arguments} <= triton_flags()


def test_what_prometheus_asks_is_there(services: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "compose" / "prometheus.yaml").read_text())
    asked = set()
    for job in config["scrape_configs"]:
        for target in job.get("static_configs", []):
            asked.update(target["targets"])
        for target in job.get("dns_sd_configs", []):
            asked.update(f"{name}:{target['port']}" for name in target["names"])
    exposed = {
        f"{known}:{port}"
        for name, service in services.items()
        for known in (name, *service.get("networks", {}).get("default", {}).get("aliases", []))
        for port in (
            *service.get("expose", []),
            *(published.rpartition(":")[2] for published in service.get("ports", [])),
        )
    }
    assert asked <= exposed


@pytest.mark.parametrize("tower", ["image", "text"])
def test_without_a_gpu_the_sample_is_served_as_it_was_exported(tower: str) -> None:
    """By Triton's ONNX Runtime backend, which stock images have, in place of the Python backend
    with a Python environment of its own; otherwise under the same config."""
    exported, composed = model_config_pb2.ModelConfig(), model_config_pb2.ModelConfig()
    text_format.Parse((REPOSITORY / f"sample-v1-{tower}" / "config.pbtxt").read_text(), exported)
    text_format.Parse((ROOT / "compose" / f"sample-v1-{tower}.pbtxt").read_text(), composed)
    assert (REPOSITORY / exported.name / "1" / "model.onnx").exists()
    exported.backend = "onnxruntime"
    assert composed == exported
