"""Which internet addresses belong to everybody, and connections to no others.

A shopper's URL must not make the gateway call what only the gateway can reach: itself, its
neighbours, a cloud's metadata service. Checking a URL is not enough, since a name may resolve to
anything, and to something else a moment later. So the check is where the connection is made: a
name is resolved once, all its addresses are checked, and the connection goes to one of those.

(`httpx-secure` 2.0 connects to an address first and checks it then. Hence these lines, on
httpcore's public interface.)
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import anyio
import httpcore

Network = IPv4Network | IPv6Network

# The special-purpose registries of IANA (RFC 6890 and its updates), and multicast and reserved
# space. Not `is_global`: it was wrong about some of these before Python 3.11.10.
_FORBIDDEN_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_V6 = IPv6Network("2000::/3")  # all that is given out; the rest is local or reserved
_FORBIDDEN_V6 = tuple(
    IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_NAT64 = IPv6Network("64:ff9b::/96")  # IPv4 in its last 32 bits


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet's, also where IPv6 wraps IPv4."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        wrapped = _wrapped(address)
        if wrapped is None:
            return address in _GLOBAL_V6 and not any(address in n for n in _FORBIDDEN_V6)
        address = wrapped
    return not any(address in network for network in _FORBIDDEN_V4)


def _wrapped(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped


class ForbiddenAddress(Exception):
    """The host has an address that is not public."""


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connections to public addresses, and to those in `allowed`; ForbiddenAddress for others."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: Sequence[Network] = tuple(ip_network(network) for network in allowed)
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects to the first of the host's addresses that answers."""
        problem: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in await self._resolved(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                problem = exc
        raise problem or httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._inner.sleep(seconds)

    async def _resolved(self, host: str, port: int) -> list[str]:
        """All addresses of a host, in the order of the resolver; refused if one is not public."""
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"{host} is not known") from exc
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not all(self.allows(address) for address in addresses):
            raise ForbiddenAddress(host)
        return addresses

    def allows(self, text: str) -> bool:
        """Whether an address may be connected to."""
        address = ip_address(text.partition("%")[0])
        return is_public(text) or any(
            address in network for network in self._allowed if network.version == address.version
        )
