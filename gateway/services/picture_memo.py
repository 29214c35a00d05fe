"""Pictures read once, however many releases ask for them."""

from __future__ import annotations

from gateway.domain.errors import LookalikeError
from gateway.domain.ports import PictureSource


class PictureMemo:
    """A picture source that asks `source` once for each picture; for one write, then forgotten."""

    def __init__(self, source: PictureSource) -> None:
        self._source = source
        self._known: dict[str, bytes | LookalikeError] = {}

    async def read(self, uri: str) -> bytes:
        """See `PictureSource`."""
        if uri not in self._known:
            try:
                self._known[uri] = await self._source.read(uri)
            except LookalikeError as exc:
                self._known[uri] = exc
        known = self._known[uri]
        if isinstance(known, LookalikeError):
            raise known
        return known
