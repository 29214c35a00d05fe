"""Real Triton for the tests of faults."""

from __future__ import annotations

import pytest

from gateway.local.triton_server import TritonServer
from tests.integration.conftest import triton

__all__ = ["triton"]


@pytest.fixture
def triton_port(triton: TritonServer) -> int:
    """The port of a running server."""
    return int(triton.endpoint.rpartition(":")[2])
