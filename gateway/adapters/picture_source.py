"""Where the catalogue's own pictures come from: files below one folder, or https addresses.

These addresses are the shop's, given when it fills its catalogue. What a shopper sends is never
fetched from here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from gateway.domain.errors import PictureTooLarge, UnfetchablePicture

FETCH_TIMEOUT_S = 10.0


class PictureFiles:
    """Pictures by path, relative to `root` or absolute below it; by `http(s)` address if allowed.

    `root` None means that any readable file may be named: for a command run by the shop itself.
    """

    def __init__(self, root: Path | None, max_bytes: int, client: httpx.AsyncClient) -> None:
        self._root = None if root is None else root.resolve()
        self._max_bytes = max_bytes
        self._client = client

    async def read(self, uri: str) -> bytes:
        """The encoded picture; UnfetchablePicture or PictureTooLarge when there is none to use."""
        if urlsplit(uri).scheme in ("http", "https"):
            return await self._fetch(uri)
        return await asyncio.to_thread(self._read_file, uri)

    def _read_file(self, uri: str) -> bytes:
        path = Path(uri.removeprefix("file://"))
        if self._root is not None:
            path = (self._root / path).resolve()
            if not path.is_relative_to(self._root):
                raise UnfetchablePicture(f"{uri} lies outside the pictures' folder.")
        try:
            if path.stat().st_size > self._max_bytes:
                raise PictureTooLarge(f"{uri} has more than {self._max_bytes:,} bytes.")
            return path.read_bytes()
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise UnfetchablePicture(f"{uri} cannot be read: {reason}.") from exc

    async def _fetch(self, uri: str) -> bytes:
        body = bytearray()
        try:
            async with self._client.stream("GET", uri, timeout=FETCH_TIMEOUT_S) as response:
                response.raise_for_status()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > self._max_bytes:
                        raise PictureTooLarge(f"{uri} has more than {self._max_bytes:,} bytes.")
        except httpx.HTTPStatusError as exc:
            raise UnfetchablePicture(f"{uri} answered {exc.response.status_code}.") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise UnfetchablePicture(f"{uri} cannot be fetched: {exc}.") from exc
        return bytes(body)
