"""The page's files as they are served. What the page does is in tests/page."""

from __future__ import annotations

import gzip
import re

import pytest

from gateway.api.http_storefront import assets
from tests.shop import Shop

MOST_BYTES = 100_000


async def test_the_page_is_at_the_root(shop: Shop) -> None:
    response = await shop.http.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>Lookalike</title>" in response.text


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/style.css"])
async def test_nothing_but_the_shops_own_is_allowed(shop: Shop, path: str) -> None:
    headers = (await shop.http.get(path)).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_names_no_other_host_and_has_nothing_inline() -> None:
    for name, asset in assets().items():
        text = asset.plain.decode()
        hosts = re.findall(r"(?:https?:)?//([\w.-]+\.\w+)", text)
        assert set(hosts) <= {"www.w3.org"}, name  # SVG's namespace
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", text), name
    page = assets()["index.html"].plain.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)
    assert re.findall(r"<script(.*?)>(.*?)</script>", page) == [
        (' type="module" src="static/app.js"', "")
    ]


def test_the_page_is_light() -> None:
    assert sum(len(asset.plain) for asset in assets().values()) < MOST_BYTES


async def test_who_has_a_file_is_not_sent_it_again(shop: Shop) -> None:
    first = await shop.http.get("/static/app.js")
    assert first.headers["cache-control"] == "no-cache"
    again = await shop.http.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


async def test_files_are_gzipped_for_who_can_read_it(shop: Shop) -> None:
    plain = await shop.http.get("/static/app.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    async with shop.http.stream("GET", "/static/app.js") as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join([chunk async for chunk in packed.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2


@pytest.mark.parametrize(
    "name", ["nothing.js", "../http_api.py", "..%2Fhttp_api.py", "__init__.py"]
)
async def test_nothing_else_is_served(shop: Shop, name: str) -> None:
    response = await shop.http.get(f"/static/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_what_the_page_loads_is_there() -> None:
    page = assets()["index.html"].plain.decode()
    named = re.findall(r'static/([\w.-]+)"', page)
    for asset in assets().values():
        named += re.findall(r'from "\./([\w.-]+)"', asset.plain.decode())
    assert set(named) <= assets().keys()
    assert {"app.js", "style.css"} <= set(named)
