"""The chart, rendered by Helm's own engine (`helm-python-sdk`), as Kubernetes objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python
import yaml

CHART = Path(__file__).parents[2] / "helm"
RELEASE = "shop"
NAMESPACE = "search"

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of pod that the chart makes, by the name of what makes it."""

    name: str
    kind: str
    labels: Mapping[str, str]
    spec: dict[str, Any]  # the pod's

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Its containers, those that run before among them."""
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


class Rendered:
    """What `helm install` would send to Kubernetes."""

    def __init__(self, objects: list[dict[str, Any]]) -> None:
        self.objects = objects

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The objects of a kind."""
        return [one for one in self.objects if one["kind"] == kind]

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object of that kind and name (without the release's)."""
        wanted = f"{RELEASE}-lookalike{name and '-' + name}"
        [found] = [one for one in self.of(kind) if one["metadata"]["name"] == wanted]
        return found

    def workloads(self) -> Iterator[Workload]:
        """Every pod template."""
        for one in self.objects:
            spec = one.get("spec", {})
            if one["kind"] == "CronJob":
                spec = spec["jobTemplate"]["spec"]
            if one["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob"):
                template = spec["template"]
                yield Workload(
                    name=one["metadata"]["name"].removeprefix(f"{RELEASE}-lookalike-"),
                    kind=one["kind"],
                    labels=template["metadata"]["labels"],
                    spec=template["spec"],
                )

    def workload(self, name: str) -> Workload:
        """The pod template of that name."""
        [found] = [one for one in self.workloads() if one.name == name]
        return found


def render(values: Values | None = None, chart: Path = CHART) -> Rendered:
    """Renders the chart; helm_python.HelmError for values that it refuses."""
    with helm_python.Chart.load(chart) as loaded:
        files = loaded.render(dict(values or {}), name=RELEASE, namespace=NAMESPACE)
    return Rendered([
        one
        for name, text in sorted(files.items())
        if name.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one is not None
    ])  # fmt: skip
