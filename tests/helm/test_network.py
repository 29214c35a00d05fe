"""Who finds whom: selectors, ports, policies, and what scales."""

from __future__ import annotations

from typing import Any

from tests.helm.chart import Rendered, render


def test_selectors_match_pods_and_only_their_own(all_cases: dict[str, Rendered]) -> None:
    for case, rendered in all_cases.items():
        pods = {workload.name: workload.labels for workload in rendered.workloads()}
        for one in rendered.objects:
            spec = one.get("spec", {})
            selector = spec.get("podSelector", spec.get("selector"))
            if selector is None or one["kind"] == "ServiceMonitor":
                continue
            wanted = selector.get("matchLabels", selector)
            matching = [name for name, labels in pods.items() if wanted.items() <= labels.items()]
            if one["kind"] == "NetworkPolicy" and one["metadata"]["name"].endswith("-job"):
                continue  # there may be no job
            assert matching, f"{case}: {one['kind']} {one['metadata']['name']}"
            if one["kind"] in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
                assert len(matching) == 1, case


def test_services_and_routes_lead_to_ports_that_are_there(all_cases: dict[str, Rendered]) -> None:
    for rendered in all_cases.values():
        pods = list(rendered.workloads())
        for service in rendered.of("Service"):
            selector = service["spec"]["selector"]
            [pod] = [p for p in pods if selector.items() <= p.labels.items()]
            names = {port["name"] for port in pod.spec["containers"][0]["ports"]}
            assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
        for ingress in rendered.of("Ingress"):
            backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
            ports = rendered.get("Service", "")["spec"]["ports"]
            assert backend["port"]["name"] in {port["name"] for port in ports}


def _ports(rules: list[dict[str, Any]]) -> set[int]:
    return {port["port"] for rule in rules for port in rule.get("ports", [])}


def test_the_network_lets_through_exactly_what_is_needed(all_cases: dict[str, Rendered]) -> None:
    rendered = render({"networkPolicy": {"clients": [{"podSelector": {}}]}})
    gateway = rendered.get("NetworkPolicy", "gateway")["spec"]
    triton = rendered.get("NetworkPolicy", "triton")["spec"]
    assert gateway["policyTypes"] == triton["policyTypes"] == ["Ingress", "Egress"]
    assert _ports(gateway["ingress"]) == {8080, 8081}
    assert all(rule["from"] for rule in gateway["ingress"])
    assert _ports(gateway["egress"]) == {53, 8001, 6334}
    assert _ports(triton["ingress"]) == {8001, 8002}
    assert triton["egress"] == []
    inference, metrics = triton["ingress"]
    asked_by = {f["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
                for f in inference["from"]}  # fmt: skip
    assert asked_by == {"gateway", "job"}
    assert "podSelector" not in metrics["from"][0]

    outside = all_cases["everything"].get("NetworkPolicy", "gateway")["spec"]["egress"]
    blocks = [to["ipBlock"] for rule in outside for to in rule.get("to", []) if "ipBlock" in to]
    assert blocks  # it fetches pictures
    assert all("169.254.0.0/16" in block["except"] for block in blocks)
    bucket = all_cases["modelRepository.type=s3"].get("NetworkPolicy", "triton")["spec"]["egress"]
    assert 443 in _ports(bucket)


def test_every_pod_is_under_a_policy(all_cases: dict[str, Rendered]) -> None:
    rendered = all_cases["everything"]
    policies = [p["spec"]["podSelector"]["matchLabels"] for p in rendered.of("NetworkPolicy")]
    for workload in rendered.workloads():
        under = [p for p in policies if p.items() <= workload.labels.items()]
        policed = len(under) == 1
        assert policed or workload.name == "export", workload.name


def test_gateways_see_every_triton(all_cases: dict[str, Rendered]) -> None:
    service = all_cases["defaults"].get("Service", "triton")
    assert service["spec"]["clusterIP"] == "None"


def test_what_scales_is_there_and_its_number_is_not_fixed(all_cases: dict[str, Rendered]) -> None:
    for case, rendered in all_cases.items():
        for scaler in (*rendered.of("HorizontalPodAutoscaler"), *rendered.of("ScaledObject")):
            target = scaler["spec"]["scaleTargetRef"]
            [found] = [
                one for one in rendered.of(target["kind"])
                if one["metadata"]["name"] == target["name"]
            ]  # fmt: skip
            assert "replicas" not in found["spec"], case
