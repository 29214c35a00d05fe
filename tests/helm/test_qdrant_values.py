"""The values for Qdrant's own chart agree with what this chart and the settings say."""

from __future__ import annotations

import yaml

from tests.helm.chart import CHART

VALUES = yaml.safe_load((CHART / "qdrant-values.yaml").read_text())
OURS = yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_copies_are_those_that_the_gateway_asks_for() -> None:
    collection = VALUES["config"]["storage"]["collection"]
    assert collection["replication_factor"] == OURS["qdrant"]["replicas"]
    assert collection["write_consistency_factor"] == OURS["qdrant"]["writeConsistency"]


def test_one_node_may_go() -> None:
    assert VALUES["replicaCount"] >= 3
    assert VALUES["replicaCount"] > OURS["qdrant"]["replicas"]
    assert VALUES["podDisruptionBudget"] == {"enabled": True, "maxUnavailable": 1}
    assert VALUES["resources"]["requests"]["memory"] == VALUES["resources"]["limits"]["memory"]


def test_snapshots_have_room_and_secrets_are_references() -> None:
    assert VALUES["snapshotPersistence"]["size"] == VALUES["persistence"]["size"]
    assert set(VALUES["apiKey"]) == {"valueFrom"}
