"""NVIDIA Triton itself, on the committed model repository."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.adapters.release_files import load_release
from gateway.adapters.triton import TritonInference
from gateway.domain.loaded_release import LoadedRelease
from gateway.local.triton_server import TritonOptions, TritonServer
from gateway.telemetry import Metrics

REPOSITORY = Path(__file__).parents[2] / "model_repository"
RELEASE = "sample-v1"


@pytest.fixture(scope="session")
def sample() -> LoadedRelease:
    """The committed release."""
    return load_release(REPOSITORY, RELEASE)


@pytest.fixture(scope="session")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with the committed release loaded."""
    options = TritonOptions(
        repository=REPOSITORY,
        models=[f"{RELEASE}-image", f"{RELEASE}-text"],
        log_file=tmp_path_factory.mktemp("triton") / "triton.log",
    )
    with TritonServer(options) as server:
        yield server


@pytest.fixture
async def inference(triton: TritonServer) -> AsyncIterator[TritonInference]:
    """The adapter, connected."""
    adapter = TritonInference(triton.endpoint, Metrics())
    yield adapter
    await adapter.close()
