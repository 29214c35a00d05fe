"""NVIDIA Triton under the flags of the Helm chart: what they promise holds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

import grpc.aio
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.adapters.triton import TritonInference
from gateway.adapters.triton_control import TritonModels
from gateway.domain.deadline import Deadline
from gateway.domain.errors import BackendUnavailable
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.ports import Priority
from gateway.local.triton_server import TritonOptions, TritonServer
from tests.helm.chart import render
from tests.integration.conftest import RELEASE, REPOSITORY

pytestmark = pytest.mark.triton

KEY = "open-sesame"
AGE_MS = 500

# Of the chart's flags: where things are, which this machine decides, and HTTP, which is off here.
_ELSEWHERE = (
    "--model-repository", "--model-control-mode", "--load-model", "--disable-auto-complete-config",
    "--cache-config", "--http-restricted-api", "--grpc-http2-min-recv-ping-interval-without-data",
    "--grpc-keepalive-permit-without-calls", "--exit-timeout-secs", "--grpc-max-connection-age",
)  # fmt: skip

_SLOW = """
import time

class TritonPythonModel:
    def initialize(self, args):
        time.sleep(3)

    def execute(self, requests):
        return []
"""
_SLOW_CONFIG = """
name: "slow"
backend: "python"
max_batch_size: 1
input { name: "a" data_type: TYPE_FP32 dims: 1 }
output { name: "b" data_type: TYPE_FP32 dims: 1 }
instance_group { kind: KIND_CPU }
"""


def flags_of_the_chart() -> list[str]:
    """Triton's flags as the chart renders them, with a connection's age shortened."""
    [container] = render({"triton": {"gpus": 0}}).workload("triton").spec["containers"]
    kept = [a for a in container["args"] if a.partition("=")[0] not in _ELSEWHERE]
    return [
        *(a.replace("$(ADMIN_KEY)", KEY) for a in kept),
        f"--grpc-max-connection-age={AGE_MS}",
    ]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """With the sample loaded, and a model beside it that takes three seconds to load."""
    folder = tmp_path_factory.mktemp("chart")
    repository = folder / "models"
    shutil.copytree(REPOSITORY, repository)
    (repository / "slow" / "1").mkdir(parents=True)
    (repository / "slow" / "config.pbtxt").write_text(_SLOW_CONFIG)
    (repository / "slow" / "1" / "model.py").write_text(_SLOW)
    options = TritonOptions(
        repository=repository,
        models=[f"{RELEASE}-image", f"{RELEASE}-text"],
        log_file=folder / "triton.log",
        arguments=flags_of_the_chart(),
    )
    with TritonServer(options) as running:
        yield running


def test_the_flags_are_most_of_the_chart_s() -> None:
    """What is left out above is set by the server's own class, and must not swallow the rest."""
    names = {flag.partition("=")[0] for flag in flags_of_the_chart()}
    assert {"--strict-readiness", "--exit-on-error", "--grpc-restricted-protocol"} <= names
    assert "--grpc-max-connection-age-grace" in names


async def test_who_has_no_key_loads_nothing(triton: TritonServer) -> None:
    with pytest.raises(BackendUnavailable, match="set LOOKALIKE_TRITON_KEY"):
        await TritonModels(triton.endpoint).load(["slow"])
    with pytest.raises(BackendUnavailable, match="cannot load slow"):
        await TritonModels(triton.endpoint, "wrong").load(["slow"])


async def test_a_gateway_with_the_key_loads_and_meanwhile_the_server_stays_ready(
    triton: TritonServer,
) -> None:
    """With `--strict-readiness=true` every Triton would be out of service while it loads."""
    models = TritonModels(triton.endpoint, KEY)
    async with grpc.aio.insecure_channel(triton.endpoint) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        loading = asyncio.create_task(models.load(["slow"]))
        asked = 0
        while not loading.done():
            answer = await stub.ServerReady(service_pb2.ServerReadyRequest())
            assert answer.ready
            asked += 1
            await asyncio.wait([loading], timeout=0.1)
        await loading
        assert asked > 5
    await models.unload(["slow"])


async def test_no_search_notices_that_connections_end(
    inference: TritonInference, sample: LoadedRelease
) -> None:
    """Their age is what makes gateways look for new pods and leave the leaving ones."""
    image = sample.golden.images[:1]
    end = asyncio.get_running_loop().time() + 6 * AGE_MS / 1000
    answered = 0
    while asyncio.get_running_loop().time() < end:
        deadline = Deadline.after(10)
        asked = (f"{RELEASE}-image", "image", image, deadline, Priority.INTERACTIVE)
        await asyncio.gather(*(inference.infer(*asked) for _ in range(4)))
        answered += 4
    assert answered > 20
