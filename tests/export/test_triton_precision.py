"""Releases of lower precision on NVIDIA Triton itself: what `lookalike verify` finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.adapters.release_files import load_release
from gateway.adapters.triton import TritonInference
from gateway.domain.deadline import Deadline
from gateway.domain.release import PARITY_FLOOR, Precision
from gateway.local.triton_server import TritonOptions, TritonServer
from gateway.services.verification import verify
from gateway.telemetry.metrics import Metrics
from tests.export.conftest import Lowered

pytestmark = pytest.mark.triton


@pytest.fixture(scope="module", name="endpoint")
def a_running_server(lowered: Lowered, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = [model for result in lowered.results.values() for model in result.release.models]
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    with TritonServer(TritonOptions(lowered.repository, models, log)) as server:
        yield server.endpoint


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
async def test_a_running_tower_is_judged_by_its_precision(
    endpoint: str, lowered: Lowered, precision: Precision
) -> None:
    loaded = load_release(lowered.repository, f"tiny-{precision}")
    inference = TritonInference(endpoint, Metrics())
    try:
        parity = await verify(inference, loaded, Deadline.after(60.0))
    finally:
        await inference.close()
    assert parity.passed
    assert parity.image.floor == parity.text.floor == PARITY_FLOOR[precision]
    # The server computes what the exporter measured: the same graphs, by the same library.
    result = lowered.results[precision]
    assert parity.image.least == pytest.approx(result.image_parity.least_cosine, abs=2e-3)
    assert parity.text.least == pytest.approx(result.text_parity.least_cosine, abs=2e-3)
