"""Dashboard and alert rules ask for nothing that a gateway does not expose."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import grpc.aio
import pytest

from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from gateway.services.index_drift import IndexDrift
from gateway.telemetry import Metrics
from gateway.telemetry.requests_seen import outcome_of
from tests import monitoring
from tests.faults.scene import DIM, GOLDEN, Running, draw_pictures, fill, running, settings_for
from tests.faults.triton_stub import triton_stub

DOCUMENT = Path(__file__).parents[2] / "docs" / "observability.md"
RUNBOOK = "docs/runbook.md#"


async def some_traffic(shop: Running) -> str:
    """A little of everything, and then what /metrics says."""
    await shop.http.get("/v1/search?q=red")
    await shop.http.get("/v1/items/item-1/similar")
    await shop.http.get("/v1/items/nowhere")
    await shop.http.get("/health/ready")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{shop.grpc_port}") as channel:
        stub = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # by protoc
        await stub.Search(pb.SearchRequest(query=[pb.Part(text="green")]))
    gateway = shop.assembly.gateway
    drift = IndexDrift(shop.assembly.index, gateway.releases, gateway.lifecycle, gateway.metrics)
    await drift.look()
    return (await shop.http.get("/metrics")).text


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, set[str]]]:
    """What a gateway exposes, as it is composed and served."""
    folder = tmp_path_factory.mktemp("shop")

    async def read() -> str:
        draw_pictures(folder / "pictures")
        async with (
            triton_stub(DIM, GOLDEN) as stub,
            running(settings_for(folder, triton=stub.endpoint)) as shop,
        ):
            await fill(shop.assembly)
            return await some_traffic(shop)

    return monitoring.exposed(asyncio.run(read()))


Known = dict[str, dict[str, set[str]]]


def of_gateways(question: monitoring.Asked) -> bool:
    """The rest is of Triton: see tests/integration/test_triton_monitoring.py."""
    return not any(metric.startswith("nv_") for metric in question.metrics)


def test_every_query_of_the_dashboard_finds_what_it_asks_for(known: Known) -> None:
    questions = [q for q in monitoring.dashboard() if of_gateways(q)]
    assert len(questions) > 40
    assert [fault for q in questions for fault in monitoring.faults(q, known)] == []


def test_every_rule_finds_what_it_asks_for(known: Known) -> None:
    everything = {**known, **monitoring.recorded()}
    questions = list(monitoring.alerts())
    assert [fault for q in questions for fault in monitoring.faults(q, everything)] == []


def test_every_value_that_is_asked_for_exists(known: Known) -> None:
    outcomes = {outcome_of(status) for status in range(200, 600)}
    for question in (*monitoring.dashboard(), *monitoring.alerts()):
        for metric, matchers in question.metrics.items():
            for label, wanted in matchers:
                if label == "outcome" and metric == "lookalike_requests_total":
                    assert set(wanted.split("|")) <= outcomes, question.where
                elif label == "route":
                    routes = known["lookalike_requests_total"]["route"]
                    assert any(re.fullmatch(wanted, route) for route in routes), question.where
                elif label not in monitoring.OF_TARGETS and wanted != ".*":
                    assert wanted in known[metric][label], question.where


def test_the_routes_of_the_objective_are_the_apis(known: Known) -> None:
    asked = {
        wanted
        for question in monitoring.alerts()
        for matchers in question.metrics.values()
        for label, wanted in matchers
        if label == "route"
    }
    [pattern] = asked
    counted = {r for r in known["lookalike_requests_total"]["route"] if re.fullmatch(pattern, r)}
    assert counted == {
        "GET /v1/search",
        "GET /v1/items/{item_id:path}",
        "GET /v1/items/{item_id:path}/similar",
        "lookalike.v1.Lookalike/Search",
    }


def test_a_query_for_what_is_not_there_is_found_out(known: Known) -> None:
    wrong = {
        "no metric": 'rate(lookalike_requests{outcome="ok"}[5m])',
        "no label": 'lookalike_in_flight{route="x"}',
        "is left": "sum by (route) (lookalike_in_flight)",
    }
    for words, text in wrong.items():
        [fault] = monitoring.faults(monitoring.asked("test", text), known)
        assert words in fault
    with pytest.raises(ValueError, match="unclosed"):
        monitoring.asked("test", "sum by (route (lookalike_in_flight)")


@pytest.mark.parametrize(
    "rule", [r for r in monitoring.rules() if "alert" in r], ids=lambda rule: rule["alert"]
)
def test_every_alert_says_what_it_means_and_where_to_read_on(rule: dict[str, object]) -> None:
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    assert annotations["runbook_url"] == f"{RUNBOOK}{str(rule['alert']).lower()}"
    assert len(annotations["summary"]) <= 100
    assert annotations["description"].endswith(".")
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert rule["for"]


def test_the_documented_table_is_the_metrics(known: Known) -> None:
    described = {
        line.split("`")[1]: line
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("| `lookalike_")
    }
    expected = {}
    for family in Metrics().registry.collect():
        if not family.name.startswith("lookalike_"):
            continue
        counter = family.type == "counter"
        name = f"{family.name}_total" if counter else family.name
        sample = f"{name}_count" if family.type == "histogram" else name
        labels = ", ".join(f"`{label}`" for label in sorted(known[sample]))
        expected[name] = f"| `{name}` | {family.type} | {labels} | {family.documentation} |"
    assert described == expected
