"""What the dashboard and the alert rules ask Prometheus, taken apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml

HELM = Path(__file__).parents[1] / "helm"
DASHBOARD = HELM / "dashboards" / "lookalike.json"
ALERTS = HELM / "alerts" / "lookalike.yaml"

# What Prometheus adds to whatever it reads from a target.
OF_TARGETS = frozenset({"job", "instance"})

# Grafana's, with something of the same kind in its place.
_VARIABLES = {"$__rate_interval": "5m", "$job": ".*", "$route": ".*", "$model": ".*"}
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? \S+$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+), (?P<label>\w+)\)")


@dataclass(frozen=True)
class Asked:
    """One expression: the metrics it reads, each with the matchers put to it, and the labels that
    its result has, None where it has all of what it reads."""

    where: str
    text: str
    metrics: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)
    grouped: frozenset[str] = frozenset()
    shown: frozenset[str] = frozenset()


def asked(where: str, text: str, shown: Iterable[str] = ()) -> Asked:
    """Takes an expression apart; ValueError if it is not PromQL."""
    for variable, value in _VARIABLES.items():
        text = text.replace(variable, value)
    metrics: dict[str, list[tuple[str, str]]] = {}
    grouped: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql.VectorSelector):
            assert node.name is not None, f"{where}: a selector without a metric"
            found = metrics.setdefault(node.name, [])
            found += [(m.name, m.value) for m in node.matchers.matchers]
        modifier = getattr(node, "modifier", None)
        if isinstance(node, promql.AggregateExpr) and modifier is not None:
            grouped.update(modifier.labels)
        if isinstance(node, promql.BinaryExpr) and modifier is not None and modifier.matching:
            grouped.update(modifier.matching.labels)

    promql.walk(promql.parse(text), visit)
    return Asked(where, text, metrics, frozenset(grouped), frozenset(shown))


def dashboard() -> Iterator[Asked]:
    """Every query of the dashboard, its variables' and annotations' too."""
    document = json.loads(DASHBOARD.read_text())
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
            yield asked(f"panel {panel['title']!r}", target["expr"], shown)
    for note in document["annotations"]["list"]:
        yield asked(f"annotation {note['name']!r}", note["expr"], ())
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            found = _LABEL_VALUES.fullmatch(variable["definition"])
            assert found, variable["definition"]
            yield asked(f"variable {variable['name']!r}", found["selector"], [found["label"]])


def rules() -> list[dict[str, Any]]:
    """Every rule, recorded or alerting."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> Iterator[Asked]:
    """Every expression of the rules, with the labels that an alert's words name."""
    for rule in rules():
        words = " ".join(rule.get("annotations", {}).values())
        shown = re.findall(r"\$labels\.(\w+)", words)
        yield asked(rule.get("alert") or rule["record"], rule["expr"], shown)


def recorded() -> dict[str, set[str]]:
    """The metrics that the rules make of others. None of them has labels."""
    return {rule["record"]: set() for rule in rules() if "record" in rule}


def exposed(text: str) -> dict[str, dict[str, set[str]]]:
    """Prometheus's text format as metric → label → values. Not by its client's parser, which gives
    counters names of its own where they do not end in `_total`, as Triton's do not."""
    found: dict[str, dict[str, set[str]]] = {}
    for metric, inside in _SAMPLE.findall(text):
        labels = found.setdefault(metric, {})
        for name, value in _LABEL.findall(inside):
            labels.setdefault(name, set()).add(value)
    return found


def faults(question: Asked, known: Mapping[str, Iterable[str]]) -> list[str]:
    """What `question` asks for that is not among the `known` metrics and their labels."""
    said = []
    labels = set(OF_TARGETS)
    for metric, matchers in question.metrics.items():
        if metric not in known:
            said.append(f"{question.where}: there is no metric {metric}")
            continue
        own = {*known[metric], *OF_TARGETS}
        labels |= own
        said += [
            f"{question.where}: {metric} has no label {label}"
            for label, _ in matchers
            if label not in own
        ]
    unknown = (question.grouped | question.shown) - labels
    if question.grouped and not question.shown <= question.grouped:
        unknown |= question.shown - question.grouped
    return said + [f"{question.where}: no label {label} is left" for label in sorted(unknown)]
