"""Where the catalogue's own pictures come from: files below one folder, or https addresses.

These addresses are the shop's, given when it fills its catalogue. What a shopper sends is never
fetched from here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from gateway.domain.errors import PictureTooLarge, UnfetchablePicture

FETCH_TIMEOUT_S = 10.0


class PictureFiles:
    """Pictures by path below `root` and by http(s) address through `client`; None closes a way."""

    def __init__(self, root: Path | None, client: httpx.AsyncClient | None, max_bytes: int) -> None:
        self._root = None if root is None else root.resolve()
        self._client = client
        self._max_bytes = max_bytes

    async def read(self, uri: str) -> bytes:
        """The encoded picture; UnfetchablePicture or PictureTooLarge when there is none to use."""
        if uri.startswith(("http://", "https://")):
            if self._client is None:
                raise UnfetchablePicture(
                    "Pictures are not fetched from addresses here; see LOOKALIKE_FETCH_PICTURES."
                )
            return await self._fetch(self._client, uri)
        if self._root is None:
            raise UnfetchablePicture(
                "Pictures are not read from files here; see LOOKALIKE_PICTURES_FOLDER."
            )
        return await asyncio.to_thread(self._read_file, self._root, uri)

    def _read_file(self, root: Path, uri: str) -> bytes:
        try:
            path = (root / uri).resolve()
            if not path.is_relative_to(root):
                raise UnfetchablePicture(f"{uri} lies outside the pictures' folder.")
            if not path.is_file():  # a pipe or a device would never end
                raise UnfetchablePicture(f"{uri} is not a file.")
            if path.stat().st_size > self._max_bytes:
                raise PictureTooLarge(f"{uri} has more than {self._max_bytes:,} bytes.")
            return path.read_bytes()
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise UnfetchablePicture(f"{uri} cannot be read: {reason}.") from exc

    async def _fetch(self, client: httpx.AsyncClient, uri: str) -> bytes:
        body = bytearray()
        try:
            async with client.stream("GET", uri, timeout=FETCH_TIMEOUT_S) as response:
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
