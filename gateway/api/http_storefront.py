"""`/`: a storefront's page over this gateway, and the files that it is made of.

All of them are read once, at the start. Nothing comes from anywhere else, and the page's policy
says so to the browser.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.api.http_pictures import names

router = APIRouter(include_in_schema=False)

PAGE = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# blob: and data: are the shopper's own picture, before it is sent.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    # A fleet that is being updated serves two versions of the page: a browser that asked each time
    # never mixes their files for longer than a load.
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is and gzipped."""

    media_type: str
    plain: bytes
    gzipped: bytes
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """The page's files by name."""
    folder = files("gateway.api") / "storefront"
    found = {}
    for file in folder.iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in MEDIA_TYPES:
            found[file.name] = _asset(file.read_bytes(), MEDIA_TYPES[suffix])
    return found


def _asset(data: bytes, media_type: str) -> Asset:
    # Weak: the gzipped answer is another sequence of bytes with the same meaning.
    etag = f'W/"{hashlib.sha256(data).hexdigest()[:32]}"'
    return Asset(media_type, data, gzip.compress(data, mtime=0), etag)


Encodings = Annotated[str, Header(alias="Accept-Encoding")]
Held = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/")
async def page(accept_encoding: Encodings = "", if_none_match: Held = None) -> Response:
    """The page itself."""
    return _answer(assets()[PAGE], accept_encoding, if_none_match)


@router.get("/static/{name}")
async def asset(name: str, accept_encoding: Encodings = "", if_none_match: Held = None) -> Response:
    """One of its scripts, styles or drawings."""
    found = assets().get(name)
    if found is None:
        raise HTTPException(404, "Not Found")
    return _answer(found, accept_encoding, if_none_match)


def _answer(found: Asset, accept_encoding: str, if_none_match: str | None) -> Response:
    headers = {**HEADERS, "ETag": found.etag}
    if if_none_match is not None and names(if_none_match, found.etag):
        return Response(status_code=304, headers=headers)
    if "gzip" in accept_encoding:
        gzipped = {**headers, "Content-Encoding": "gzip"}
        return Response(found.gzipped, headers=gzipped, media_type=found.media_type)
    return Response(found.plain, headers=headers, media_type=found.media_type)
