"""Pictures that a shopper names by URL, fetched without reaching anything that is not public."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpcore
import httpx

from gateway.adapters.public_address import ForbiddenAddress, PublicNetwork
from gateway.domain.errors import Overloaded, PictureTooLarge, UnfetchablePicture

MAX_REDIRECTS = 3
FETCH_TIMEOUT_S = 5.0
# A slow host keeps a request waiting; these may not take all the gateway's slots.
MAX_FETCHES = 32

_HEADERS = (
    ("Accept", "image/*"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", "lookalike"),
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class NoQueryPictures:
    """`PictureSource` of a gateway that fetches nothing for a query."""

    async def read(self, uri: str) -> bytes:
        """See the port."""
        raise UnfetchablePicture(
            "This gateway does not fetch pictures for queries; send the picture itself. "
            "(LOOKALIKE_FETCH_QUERY_IMAGES turns it on.)"
        )


class QueryPictures:
    """`PictureSource` of http(s) URLs on public addresses.

    `hosts` are the only ones asked, if any are given: names, or `*.shop.example` for all below
    one. `max_bytes` bounds a picture, `timeout_s` a fetch with its redirects. `allowed` are
    networks that count as public: for tests.
    """

    def __init__(
        self,
        max_bytes: int,
        hosts: Iterable[str] = (),
        timeout_s: float = FETCH_TIMEOUT_S,
        allowed: Iterable[str] = (),
    ) -> None:
        self._max_bytes = max_bytes
        self._hosts = tuple(host.lower().rstrip(".") for host in hosts)
        self._timeout_s = timeout_s
        self._running = 0
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=MAX_FETCHES,
            max_keepalive_connections=0,
            network_backend=PublicNetwork(allowed),
        )

    async def read(self, uri: str) -> bytes:
        """The bytes behind an address; decoding says whether they are a picture.

        UnfetchablePicture, saying why, or PictureTooLarge; Overloaded while too many are fetched.
        """
        if self._running >= MAX_FETCHES:
            raise Overloaded(f"{MAX_FETCHES} pictures are being fetched already.")
        self._running += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._followed(uri)
        except TimeoutError as exc:
            raise UnfetchablePicture(
                f"{uri} did not answer in full within {self._timeout_s:g} s."
            ) from exc
        finally:
            self._running -= 1

    async def close(self) -> None:
        """Lets go of connections."""
        await self._pool.aclose()

    async def _followed(self, uri: str) -> bytes:
        url = self._checked(uri)
        for _ in range(MAX_REDIRECTS + 1):
            async with self._asked(url) as response:
                if response.status not in _REDIRECTS:
                    return await self._body(url, response)
                target = _header(response, b"location")
            url = self._checked(_joined(url, target))
        raise UnfetchablePicture(f"{uri} redirects more than {MAX_REDIRECTS} times.")

    def _checked(self, uri: str) -> httpx.URL:
        """The URL, if it is one to be asked; its addresses are checked when it is connected to."""
        try:
            url = httpx.URL(uri)
            host = url.host.lower().rstrip(".")
        except (httpx.InvalidURL, UnicodeError) as exc:
            raise UnfetchablePicture(f"{uri!r} is no URL: {exc}.") from exc
        port_fits = url.port is None or 0 < url.port < 65536
        if url.scheme not in ("http", "https") or not host or not port_fits:
            raise UnfetchablePicture(f"{uri!r} is no http or https URL.")
        if url.userinfo:
            raise UnfetchablePicture("A picture's URL must not hold a user name or a password.")
        if self._hosts and not any(_matches(host, pattern) for pattern in self._hosts):
            raise UnfetchablePicture(
                f"Pictures are not fetched from {host}; only from {', '.join(self._hosts)}."
            )
        return url

    @asynccontextmanager
    async def _asked(self, url: httpx.URL) -> AsyncIterator[httpcore.Response]:
        """The response to a GET, its body not read yet; foreign errors become ours."""
        headers: list[tuple[bytes | str, bytes | str]] = [(b"Host", url.netloc), *_HEADERS]
        try:
            async with self._pool.stream(
                "GET",
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=headers,
            ) as response:
                yield response
        except ForbiddenAddress as exc:
            raise UnfetchablePicture(f"{url.host} is not on the public internet.") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as exc:
            raise UnfetchablePicture(
                f"{url} cannot be fetched: {exc or type(exc).__name__}."
            ) from exc
        except OSError as exc:  # a certificate that is not the host's
            raise UnfetchablePicture(f"{url} cannot be fetched: {exc}.") from exc

    async def _body(self, url: httpx.URL, response: httpcore.Response) -> bytes:
        if response.status != httpx.codes.OK:
            raise UnfetchablePicture(f"{url} answered {response.status}.")
        declared = _header(response, b"content-length")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large(url)
        body = bytearray()
        async for chunk in response.aiter_stream():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large(url)
        return bytes(body)

    def _too_large(self, url: httpx.URL) -> PictureTooLarge:
        return PictureTooLarge(f"{url} has more than {self._max_bytes:,} bytes.")


def _matches(host: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return host == pattern


def _header(response: httpcore.Response, name: bytes) -> str:
    """A header's value; empty if there is none."""
    values = (value for key, value in response.headers if key.lower() == name)
    return next(values, b"").decode("latin-1")


def _joined(url: httpx.URL, target: str) -> str:
    try:
        return str(url.join(target))
    except httpx.InvalidURL as exc:
        raise UnfetchablePicture(f"{url} redirects to no URL.") from exc
