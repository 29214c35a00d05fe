"""The chart as a whole: Helm and Kubernetes take it, and it refuses mistakes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.deploy.images import ROOT
from tests.helm.cases import CASES, FULL, merged
from tests.helm.chart import CHART, Rendered, render
from tests.helm.generated import README, SCHEMA, settings_schema, with_table

# The oldest that has what the chart uses (image volumes are behind a gate there), and the newest.
KUBERNETES = ("1.31", "1.37")
FOREIGN = ("monitoring.coreos.com/", "keda.sh/", "gateway.networking.k8s.io/")


@pytest.mark.parametrize("case", ["defaults", "everything"])
def test_helm_s_own_linter_has_no_complaint(case: str) -> None:
    report = helm_python.lint(CHART, CASES[case], strict=True)
    complaints = [m for m in report["messages"] if "icon" not in m["error"]]
    assert not complaints
    assert not report["errors"]


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_takes_every_object(all_cases: dict[str, Rendered], version: str) -> None:
    distinct = {
        json.dumps(one, sort_keys=True): one
        for rendered in all_cases.values()
        for one in rendered.objects
        if not one["apiVersion"].startswith(FOREIGN)
    }
    assert len(distinct) > 40
    for one in distinct.values():
        kubernetes_validate.validate(one, version, strict=True)


def test_what_kubernetes_has_no_schema_for_is_of_three_projects(
    all_cases: dict[str, Rendered],
) -> None:
    everything = all_cases["everything"].objects
    kinds = {one["kind"] for one in everything if one["apiVersion"].startswith(FOREIGN)}
    assert {"ServiceMonitor", "ScaledObject", "HTTPRoute", "GRPCRoute"} <= kinds


def test_names_are_taken_once(all_cases: dict[str, Rendered]) -> None:
    for case, rendered in all_cases.items():
        names = [(one["kind"], one["metadata"]["name"]) for one in rendered.objects]
        assert len(names) == len(set(names)), case


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"gateway": {"replica": 2}}, "at '/gateway': additional properties 'replica' not allowed"),
    ({"gateway": {"settings": {"drain": 1}}}, "'/gateway/settings': additional properties 'drain'"),
    ({"gateway": {"settings": {"drain_s": "10"}}}, "drain_s': got string, want number"),
    ({"gateway": {"settings": {"triton": "x:1"}}}, "additional properties 'triton' not allowed"),
    ({"modelRepository": {"type": "nfs"}}, "'/modelRepository/type': value must be one of 'pvc'"),
    ({"image": {"tag": "latest"}}, "'/image/tag': 'latest' does not match pattern"),
    ({"triton": {"drainSeconds": 5}}, "'/triton/drainSeconds': minimum: got 5, want 95"),
    ({"triton": {"gpus": -1}}, "'/triton/gpus': minimum"),
    ({"releases": "clip-b32"}, "'/releases': got string, want array"),
    ({"modelRepository": {"type": "s3"}}, "modelRepository.s3.bucket is needed for type s3"),
    ({"gateway": {"ingress": {"enabled": True}}}, "gateway.ingress.host is needed"),
    ({"qdrant": {"replicas": 1, "writeConsistency": 2}}, "qdrant.writeConsistency is more than"),
    ({"gateway": {"settings": {"max_timeout_s": 1}}}, "max_timeout_s is less than default_timeout"),
    ({"gateway": {"settings": {"rate_limit": 9}}}, "there is none: set gateway.keys.secret"),
    ({"jobs": {"build": {"run": "hook"}}}, "jobs.build.release is needed"),
    ({"jobs": {"activate": {"run": "hook", "release": "a"}}}, "set gateway.adminKey.secret"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "words"), MISTAKES, ids=[words for _, words in MISTAKES])
def test_a_mistake_is_told_by_its_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(helm_python.HelmError) as caught:
        render(values)
    assert words in str(caught.value)


def test_the_schema_describes_every_value_and_every_setting() -> None:
    schema = json.loads(SCHEMA.read_text())

    def walk(below: dict[str, Any], path: str) -> None:
        if "properties" in below:
            assert below["additionalProperties"] is False, path
            for key, one in below["properties"].items():
                walk(one, f"{path}.{key}")
        else:
            assert below.get("description"), path

    del schema["properties"]["global"]  # Helm's own
    walk(schema, "")
    settings = schema["properties"]["gateway"]["properties"]["settings"]
    assert settings == settings_schema(), "run python -m tests.helm.generated"


def test_the_readme_s_table_is_the_schema_s_and_the_defaults() -> None:
    assert README.read_text() == with_table(README.read_text()), "python -m tests.helm.generated"


def test_the_readme_s_values_are_values() -> None:
    [text] = re.findall(r"```yaml\n(# my-values.yaml\n.*?)```", README.read_text(), re.DOTALL)
    rendered = render(yaml.safe_load(text))
    assert (
        "--load-model=clip-b32-image" in rendered.workload("triton").spec["containers"][0]["args"]
    )


def test_the_chart_s_version_is_the_product_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert f'version = "{chart["appVersion"]}"' in (ROOT / "pyproject.toml").read_text()
    assert chart["kubeVersion"] == f">={KUBERNETES[0]}.0-0"  # the oldest that is checked


def test_dashboard_and_alerts_come_from_their_files_and_may_be_missing(tmp_path: Path) -> None:
    chart = tmp_path / "lookalike"
    shutil.copytree(CHART, chart)
    for folder in ("dashboards", "alerts"):
        shutil.rmtree(chart / folder, ignore_errors=True)
    on = {"monitoring": {"dashboard": {"enabled": True}, "alerts": {"enabled": True}}}
    without = render(on, chart)
    assert not without.of("PrometheusRule")
    rule = {"alert": "Down", "expr": 'up == 0 and "{{ $labels.job }}" != ""'}
    (chart / "dashboards").mkdir()
    (chart / "dashboards" / "lookalike.json").write_text('{"title": "{{instance}} \\" %"}')
    (chart / "alerts").mkdir()
    (chart / "alerts" / "lookalike.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]})
    )
    written = render(on, chart)
    [alerts] = written.of("PrometheusRule")
    assert alerts["spec"]["groups"] == [{"name": "one", "rules": [rule]}]
    dashboard = written.get("ConfigMap", "dashboard")["data"]["lookalike.json"]
    assert json.loads(dashboard) == {"title": '{{instance}} " %'}


def test_a_job_by_hand_waits_and_by_hook_runs() -> None:
    jobs = {"build": {"run": "manual", "release": "clip-l14"}}
    waiting = render(merged(FULL, {"jobs": jobs})).get("CronJob", "build")
    assert waiting["spec"]["suspend"] is True
    hooked = render(FULL).get("Job", "build")
    assert hooked["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"
