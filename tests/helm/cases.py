"""Values that together turn on everything, and take every word that an enum of the schema has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.helm.chart import Rendered, Values, render
from tests.helm.generated import SCHEMA

FULL: dict[str, Any] = {
    "imagePullSecrets": ["registry"],
    "releases": ["clip-b32", "clip-l14"],
    "modelRepository": {
        "path": "prod", "image": {"reference": "registry.example/models@sha256:" + "0" * 64},
        "s3": {"bucket": "models", "region": "eu-central-1", "endpoint": "https://minio.example"},
        "gcs": {"bucket": "models"}, "credentialsSecret": "bucket",
    },
    "qdrant": {"tls": True, "shards": 2, "writeConsistency": 2, "apiKey": {"secret": "qdrant"}},
    "gateway": {
        "settings": {
            "max_timeout_s": 2.5, "max_picture_pixels": 25000000, "decode_threads": 4,
            "cors_origins": ["https://a.example", "https://b.example"], "degrade": True,
            "fetch_pictures": True, "rate_limit": 50,
        },
        "adminKey": {"secret": "lookalike-keys"}, "keys": {"secret": "lookalike-keys"},
        "pictures": {"claim": "pictures"},
        "autoscaling": {"inFlight": {"enabled": True}},
        "service": {"annotations": {"a": "b"}},
        "ingress": {
            "enabled": True, "className": "nginx", "host": "search.example",
            "grpcHost": "grpc.search.example", "tlsSecret": "tls", "annotations": {"a": "b"},
            "grpcAnnotations": {"nginx.ingress.kubernetes.io/backend-protocol": "GRPC"},
        },
        "gatewayApi": {
            "enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["search.example"],
            "grpcHostnames": ["grpc.search.example"],
        },
        "serviceAccount": {"annotations": {"a": "b"}}, "podAnnotations": {"a": "b"},
        "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}],
    },
    "triton": {
        "extraArgs": ["--log-verbose=1"], "podAnnotations": {"a": "b"},
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "autoscaling": {"type": "keda"},
    },
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"name": "shop"}}}],
        "extraEgress": [{"ports": [{"protocol": "TCP", "port": 9000}]}],
    },
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True}, "alerts": {"enabled": True},
    },
    "jobs": {
        "export": {"run": "manual", "args": ["onnx", "--model=ViT-B-32"], "gpus": 1},
        "index": {"run": "manual", "release": "clip-b32", "claim": "catalogue"},
        "build": {"run": "hook", "release": "clip-l14"},
        "activate": {"run": "manual", "release": "clip-l14"},
    },
    "locust": {"enabled": True, "apiKey": {"secret": "lookalike-keys"}},
}  # fmt: skip


def merged(under: Values, over: Values) -> dict[str, Any]:
    """`under` with what `over` says, map by map, as Helm merges values."""
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        both[key] = (
            merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return both


def _at(path: tuple[str, ...], value: object) -> dict[str, Any]:
    head, *rest = path
    return {head: _at(tuple(rest), value) if rest else value}


def _enums(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    for word in schema.get("enum", []):
        yield _at(path, word)
    for key, below in schema.get("properties", {}).items():
        yield from _enums(below, (*path, key))


def _named(values: dict[str, Any]) -> str:
    path, value = [], values
    while isinstance(value, dict):
        [(key, value)] = value.items()
        path.append(key)
    return f"{'.'.join(path)}={value}"


def cases() -> dict[str, dict[str, Any]]:
    """Values by name: none, all, without a GPU, and all with every word of every enum."""
    found: dict[str, dict[str, Any]] = {
        "defaults": {},
        "everything": FULL,
        "without a GPU": {"triton": {"gpus": 0, "tolerations": []}},
        "no policies, no autoscaling": {
            "networkPolicy": {"enabled": False},
            "gateway": {"autoscaling": {"enabled": False}},
            "modelRepository": {"verify": False},
        },
    }
    for enum in _enums(json.loads(SCHEMA.read_text())):
        values = merged(FULL, enum)
        if values["modelRepository"].get("type", "pvc") != "pvc":
            values["jobs"] = merged(values["jobs"], {"export": {"run": "off"}})  # it writes there
        found[_named(enum)] = values
    return found


CASES = cases()


def renders() -> dict[str, Rendered]:
    """Every case rendered."""
    return {name: render(values) for name, values in CASES.items()}
