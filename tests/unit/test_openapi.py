"""The OpenAPI document: complete, and kept by what the gateway answers to anything at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.config import (
    CoveragePhaseConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.api.http_api import create_app
from gateway.domain.access import Key, Scope
from gateway.services.access import Access
from gateway.services.gateway import Gateway
from gateway.telemetry import Metrics
from gateway.telemetry.tracing import NO_TRACES
from tests.shop import ADMIN_KEY, ITEMS, LIMITS, open_shop

# Keys for everything: nothing is answered to a caller who shows none.
ACCESS = Access((Key.of(ADMIN_KEY, Scope.ADMIN), Key.of("of another shop", Scope.SEARCH)))
WITH_KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
EXAMPLES = 25  # an operation; with the document's own examples and every boundary besides
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    ignored_auth,
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shop behind a real HTTP server, in a thread of its own."""
    folder = tmp_path_factory.mktemp("openapi") / "index"
    ready, port, stopping = threading.Event(), [0], asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with open_shop(folder, ITEMS) as shop:
            app = create_app(shop.gateway, LIMITS.max_bytes, ACCESS)
            server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
            serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            port[0] = server.servers[0].sockets[0].getsockname()[1]
            ready.set()
            await stopping.wait()
            server.should_exit = True
            await serving

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(60)
    yield f"http://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(stopping.set)
    thread.join()
    loop.close()


def documented() -> dict[str, Any]:
    """The document; it needs no gateway behind it."""
    gateway = cast(Gateway, SimpleNamespace(metrics=Metrics(), tracer=NO_TRACES))
    return create_app(gateway, LIMITS.max_bytes, ACCESS).openapi()


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document."""
    return documented()


def configured() -> SchemathesisConfig:
    """All phases but the stateful one; other methods than the documented ones are not asked for."""
    coverage = CoveragePhaseConfig(unexpected_methods=set())
    project = ProjectConfig(phases=PhasesConfig(coverage=coverage))
    return SchemathesisConfig(projects=ProjectsConfig(default=project))


schema = schemathesis.openapi.from_dict(documented(), config=configured())


@pytest.mark.slow
@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_every_answer_is_a_documented_one(case: schemathesis.Case[Any], url: str) -> None:
    if case.operation.label != "GET /v1/search":
        case.headers.pop("X-Release", None)  # an unknown one would answer for everything else
    response = case.call(base_url=url, headers=WITH_KEY)
    assert response.status_code != 500, response.text
    case.validate_response(response, checks=CHECKS)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_errors_are_problems_with_an_example(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for status, response in operation["responses"].items():
            if status < "400" or name.endswith("/health/ready"):
                continue
            [(media_type, content)] = response["content"].items()
            openai = name.endswith("/embeddings")
            assert media_type == ("application/json" if openai else "application/problem+json")
            assert content["example"], name
            reference = content["schema"]["$ref"].rpartition("/")[2]
            assert reference in document["components"]["schemas"]


def test_every_request_has_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        asked = content["schema"]
        reference = asked.get("$ref") or asked["anyOf"][0]["$ref"]
        assert schemas[reference.rpartition("/")[2]]["examples"], name


def test_every_operation_and_parameter_says_what_it_is(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["description"], name
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header":
                assert parameter["description"], (name, parameter["name"])


def test_the_document_is_served(document: dict[str, Any], url: str) -> None:
    assert httpx.get(f"{url}/openapi.json").json() == document


def test_the_examples_are_answered(document: dict[str, Any], url: str) -> None:
    for example in document["components"]["schemas"]["SearchIn"]["examples"]:
        response = httpx.post(f"{url}/v1/search", json=example, headers=WITH_KEY)
        assert response.status_code == 200, (example, response.text)
