"""Which servers a gRPC target stands for."""

from __future__ import annotations

import pytest

from gateway.adapters.triton_control import TritonModels, addresses
from gateway.domain.errors import BackendUnavailable


@pytest.mark.parametrize(
    ("target", "servers"),
    [
        ("127.0.0.1:8001", ["ipv4:127.0.0.1:8001"]),
        ("dns:///127.0.0.1:8001", ["ipv4:127.0.0.1:8001"]),
        ("[::1]:8001", ["ipv6:[::1]:8001"]),
        ("ipv4:10.0.0.1:8001,10.0.0.2:8001", ["ipv4:10.0.0.1:8001", "ipv4:10.0.0.2:8001"]),
        ("unix:///run/triton.sock", ["unix:///run/triton.sock"]),
    ],
)
async def test_a_target_is_every_server_behind_it(target: str, servers: list[str]) -> None:
    assert await addresses(target) == servers


async def test_a_name_that_is_not_known_is_told() -> None:
    with pytest.raises(BackendUnavailable, match=r"triton\.invalid"):
        await addresses("triton.invalid:8001")


async def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:1 cannot load tower"):
        await TritonModels("127.0.0.1:1").load(["tower"])
