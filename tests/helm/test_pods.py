"""What every pod of the chart is, whatever the values."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings import PREFIX, Settings
from tests.deploy.images import pinned
from tests.deploy.triton_flags import triton_flags
from tests.helm.chart import Rendered, Workload, render

SERVING = ("gateway", "triton")


def _workloads(all_cases: dict[str, Rendered]) -> Iterator[tuple[str, Workload]]:
    for case, rendered in all_cases.items():
        for workload in rendered.workloads():
            yield f"{case}: {workload.name}", workload


def test_every_image_is_pinned(all_cases: dict[str, Rendered]) -> None:
    for case, workload in _workloads(all_cases):
        for container in workload.containers:
            assert pinned(container["image"]), case


def test_every_pod_may_do_no_more_than_it_must(all_cases: dict[str, Rendered]) -> None:
    for case, workload in _workloads(all_cases):
        spec = workload.spec
        assert spec["automountServiceAccountToken"] is False, case
        assert spec["enableServiceLinks"] is False, case  # LOOKALIKE_… of them would be no settings
        assert spec["securityContext"]["runAsNonRoot"] is True, case
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, case
        assert not spec.get("hostNetwork")
        for container in workload.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, case


def test_every_container_says_what_it_needs(all_cases: dict[str, Rendered]) -> None:
    for case, workload in _workloads(all_cases):
        for container in workload.containers:
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), case
            assert "memory" in resources["limits"], case


def test_everything_that_serves_has_its_three_probes(all_cases: dict[str, Rendered]) -> None:
    for case, rendered in all_cases.items():
        for name in SERVING:
            [container] = rendered.workload(name).spec["containers"]
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                assert container[probe]["httpGet"]["port"] in ports, case
            # A gateway without Triton is not ready, and alive: to start it anew would help nobody.
            assert container["livenessProbe"]["httpGet"]["path"].endswith("/live"), case
            assert container["readinessProbe"]["httpGet"]["path"].endswith("/ready"), case


def test_a_volume_that_is_mounted_is_there(all_cases: dict[str, Rendered]) -> None:
    for case, rendered in all_cases.items():
        for one in rendered.of("StatefulSet"):
            claimed = {c["metadata"]["name"] for c in one["spec"].get("volumeClaimTemplates", [])}
        for workload in rendered.workloads():
            volumes = {volume["name"] for volume in workload.spec["volumes"]}
            if workload.kind == "StatefulSet":
                volumes |= claimed
            mounted = {m["name"] for c in workload.containers for m in c["volumeMounts"]}
            assert mounted <= volumes, f"{case}: {workload.name}"


def test_the_gateway_s_environment_is_settings(
    all_cases: dict[str, Rendered], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "key"
    secret.write_text("search:a-secret-of-a-shop")
    for case, workload in _workloads(all_cases):
        for container in workload.containers:
            given = {e["name"]: e.get("value") for e in container.get("env", [])}
            if container["name"] not in ("gateway", "lookalike"):
                assert not [name for name in given if name.startswith(PREFIX)], case
                continue
            mounts = tuple(mount["mountPath"] for mount in container["volumeMounts"])
            with monkeypatch.context() as patch:
                for name, value in given.items():
                    if name.endswith("_FILE"):
                        assert value.startswith(mounts), case
                        patch.setenv(name, str(secret))
                    else:  # what has no value here gets the number of cores requested
                        patch.setenv(name, value or "2")
                settings = Settings()
            assert settings.store == "cluster"
            assert settings.triton == "dns:///shop-lookalike-triton.search.svc:8001"
            assert all(name.startswith(PREFIX) for name in given)


def test_numbers_and_lists_reach_the_gateway_as_they_were(all_cases: dict[str, Rendered]) -> None:
    [container] = all_cases["everything"].workload("gateway").spec["containers"]
    given = {e["name"]: e.get("value") for e in container["env"]}
    assert given["LOOKALIKE_MAX_PICTURE_PIXELS"] == "25000000"
    assert given["LOOKALIKE_MAX_TIMEOUT_S"] == "2.5"
    assert given["LOOKALIKE_CORS_ORIGINS"] == "https://a.example,https://b.example"
    assert given["LOOKALIKE_DEGRADE"] == "true"


@pytest.mark.parametrize("drain_s", [0, 5, 60.5])
@pytest.mark.parametrize("max_timeout_s", [2, 29.5])
def test_a_gateway_may_drain_and_finish_its_longest_request(
    drain_s: float, max_timeout_s: float
) -> None:
    settings = {"drain_s": drain_s, "max_timeout_s": max_timeout_s}
    pod = render({"gateway": {"settings": settings}}).workload("gateway").spec
    assert pod["terminationGracePeriodSeconds"] > drain_s + max_timeout_s


def test_a_leaving_triton_serves_until_no_gateway_asks_it(all_cases: dict[str, Rendered]) -> None:
    for rendered in all_cases.values():
        pod = rendered.workload("triton").spec
        [container] = pod["containers"]
        flags = dict(a.partition("=")[::2] for a in container["args"])
        _, slept = container["lifecycle"]["preStop"]["exec"]["command"]
        # A connection's age and its tenth (gRPC's jitter), the pause that gRPC makes between two
        # look-ups, and what DNS servers keep an answer.
        age_s = int(flags["--grpc-max-connection-age"]) / 1000
        assert int(slept) >= 1.1 * age_s + 30 + 30
        finish_s = int(flags["--exit-timeout-secs"])
        assert pod["terminationGracePeriodSeconds"] > int(slept) + finish_s


@pytest.mark.triton
def test_triton_knows_every_flag(all_cases: dict[str, Rendered]) -> None:
    for case, rendered in all_cases.items():
        [container] = rendered.workload("triton").spec["containers"]
        given = {argument.partition("=")[0] for argument in container["args"]}
        assert given <= triton_flags(), case


def test_triton_loads_both_towers_of_every_release(all_cases: dict[str, Rendered]) -> None:
    pod = all_cases["everything"].workload("triton").spec
    loaded = [a.partition("=")[2] for a in pod["containers"][0]["args"] if "--load-model" in a]
    assert loaded == ["clip-b32-image", "clip-b32-text", "clip-l14-image", "clip-l14-text"]
    checked = [c["args"] for c in pod["initContainers"] if c["name"].startswith("verify")]
    assert checked == [["verify", release, "--files"] for release in ("clip-b32", "clip-l14")]


def test_another_release_rolls_triton_and_the_gateways() -> None:
    before, after = (render({"releases": names}) for names in (["a"], ["a", "b"]))
    for name in SERVING:
        [old] = [one for one in before.of("Deployment") if one["metadata"]["name"].endswith(name)]
        [new] = [one for one in after.of("Deployment") if one["metadata"]["name"].endswith(name)]
        assert old["spec"]["template"] != new["spec"]["template"]
        assert old["spec"]["selector"] == new["spec"]["selector"]  # it cannot be changed


def test_the_repository_is_written_by_none_that_serves(all_cases: dict[str, Rendered]) -> None:
    for case, workload in _workloads(all_cases):
        for container in workload.containers:
            for mount in container["volumeMounts"]:
                if mount["name"] == "models" and container["name"] not in ("fetch", "export"):
                    assert mount["readOnly"] is True, case
