"""Pictures by URL: what is fetched, and all that is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from gateway.adapters.public_address import PublicNetwork, is_public
from gateway.adapters.query_pictures import MAX_FETCHES, NoQueryPictures, QueryPictures
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.domain.errors import LookalikeError, Overloaded, PictureTooLarge, UnfetchablePicture
from tests.fakes import picture
from tests.shop import LIMITS, Shop
from tests.unit.test_http_search import ids, search

LOOPBACK = ("127.0.0.1/32",)


@dataclass
class Web:
    """A server of raw answers by path; None never answers."""

    port: int = 0
    answers: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            self.asked.append(path)
            self.heads.append(head)
            answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """A web server on this machine."""
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    yield web
    server.close()


@pytest.fixture
async def pictures() -> AsyncIterator[QueryPictures]:
    """A fetcher to which this machine counts as public."""
    fetcher = QueryPictures(LIMITS.max_bytes, timeout_s=2.0, allowed=LOOPBACK)
    yield fetcher
    await fetcher.close()


def ok(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def redirect(target: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode()


async def test_a_picture_is_fetched_without_credentials_or_cookies(
    web: Web, pictures: QueryPictures
) -> None:
    web.answers["/a?b=1"] = ok(b"bytes", "set-cookie: a=b")
    for _ in range(2):
        assert await pictures.read(web.url("/a?b=1")) == b"bytes"
    assert all("cookie" not in head.lower() for head in web.heads)
    assert all(f"Host: 127.0.0.1:{web.port}\r\n" in head for head in web.heads)


async def test_three_redirects_are_followed_and_no_more(web: Web, pictures: QueryPictures) -> None:
    web.answers |= {"/1": redirect("/2"), "/2": redirect(web.url("/3")), "/3": redirect("4"),
                    "/4": ok(b"end"), "/0": redirect("/1")}  # fmt: skip
    assert await pictures.read(web.url("/1")) == b"end"
    with pytest.raises(UnfetchablePicture, match="more than 3 times"):
        await pictures.read(web.url("/0"))


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.2/x", "http://[::1]/x", "http://169.254.169.254/latest/meta-data/",
     "file:///etc/passwd", "//10.0.0.1/", "http://a:b@127.0.0.1/", "http://[", ""],
)  # fmt: skip
async def test_a_redirect_is_checked_like_a_url(
    web: Web, pictures: QueryPictures, target: str
) -> None:
    web.answers["/x"] = redirect(target) if target else redirect("").replace(b"location", b"x")
    with pytest.raises(UnfetchablePicture):
        await pictures.read(web.url("/x"))


@pytest.mark.parametrize(
    ("path", "answer", "error"),
    [
        ("/404", ok(b"").replace(b"200 OK", b"404 Not Found"), UnfetchablePicture),
        ("/500", ok(b"").replace(b"200 OK", b"500 Oops"), UnfetchablePicture),
        ("/declared", b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", PictureTooLarge),
        ("/endless", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_001, PictureTooLarge),
        ("/short", b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nx", UnfetchablePicture),
        ("/garbage", b"what is this\r\n\r\n", UnfetchablePicture),
        ("/silent", None, UnfetchablePicture),
        ("/closed", b"", UnfetchablePicture),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_gives_no_picture_is_told(
    web: Web, path: str, answer: bytes | None, error: type[LookalikeError]
) -> None:
    pictures = QueryPictures(LIMITS.max_bytes, timeout_s=0.3, allowed=LOOPBACK)
    web.answers[path] = answer
    with pytest.raises(error):
        await pictures.read(web.url(path))
    await pictures.close()


async def test_nobody_listens(pictures: QueryPictures) -> None:
    with pytest.raises(UnfetchablePicture):
        await pictures.read("http://127.0.0.1:9/x")


async def test_slow_hosts_do_not_take_all_slots(web: Web, pictures: QueryPictures) -> None:
    web.answers["/silent"] = None
    waiting = [asyncio.create_task(pictures.read(web.url("/silent"))) for _ in range(MAX_FETCHES)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await pictures.read(web.url("/silent"))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    web.answers["/a"] = ok(b"bytes")
    assert await pictures.read(web.url("/a")) == b"bytes"


PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0",  # noqa: S104 - nothing is bound
    "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "2002:7f00:1::", "2001:0:1::", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "3fff::1",
    "2001:10::1", "5f00::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_everybodys_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_everybodys_is_public(address: str) -> None:
    assert is_public(address)


# Forms of 127.0.0.1 and of others that the resolver understands.
FORMS = [
    "http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/",
    "http://127.1/", "http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/", "http://localhost/", "http://LOCALHOST./", "https://10.0.0.1:8443/",
    "http://[fe80::1]/", "http://169.254.169.254/latest/", "http://[fd00:ec2::254]/",
]  # fmt: skip
NO_URLS = [
    "", "x", "/etc/passwd", "file:///etc/passwd", "ftp://1.1.1.1/", "gopher://1.1.1.1/", "http://",
    "http:///x", "http://user@1.1.1.1/", "http://user:pass@1.1.1.1/", "http://[", "http://a b/",
    "http://1.1.1.1:99999/", "javascript:alert(1)", "data:image/png;base64,AAAA", "http://\x00/",
    "http://é\ud800/",
]  # fmt: skip


@pytest.mark.parametrize("url", [*FORMS, *NO_URLS], ids=ascii)
async def test_nothing_that_is_not_public_is_connected_to(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, connected = QueryPictures(1000), list[str]()
    monkeypatch.setattr(anyio, "connect_tcp", refusing(connected))
    with pytest.raises(UnfetchablePicture):
        await pictures.read(url)
    assert connected == []
    await pictures.close()


def refusing(connected: list[str]) -> Any:
    """A way to connect that only notes where to."""

    async def connect(remote_host: str, **_: Any) -> None:
        connected.append(remote_host)
        raise OSError("refused")

    return connect


async def test_a_name_is_resolved_once_and_what_was_checked_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name server that answers otherwise the second time changes nothing."""
    answers = [["93.184.216.34", "93.184.216.35"], ["127.0.0.1"]]
    connected: list[str] = []

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(anyio, "getaddrinfo", resolve)
    monkeypatch.setattr(anyio, "connect_tcp", refusing(connected))
    pictures = QueryPictures(1000)
    with pytest.raises(UnfetchablePicture):
        await pictures.read("http://rebinding.example/x")
    assert connected == ["93.184.216.34", "93.184.216.35"]
    with pytest.raises(UnfetchablePicture, match="public"):
        await pictures.read("http://rebinding.example/x")
    assert len(connected) == 2


async def test_one_private_address_among_public_ones_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected: list[str] = []

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(0, 0, 0, "", (address, port)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(anyio, "getaddrinfo", resolve)
    monkeypatch.setattr(anyio, "connect_tcp", refusing(connected))
    with pytest.raises(UnfetchablePicture, match="public"):
        await QueryPictures(1000).read("http://two.example/x")
    assert connected == []


async def test_only_the_listed_hosts_are_asked(web: Web) -> None:
    web.answers["/a"] = ok(b"bytes")
    here = QueryPictures(1000, ("127.0.0.1", "*.shop.example"), allowed=LOOPBACK)
    assert await here.read(web.url("/a")) == b"bytes"
    other = QueryPictures(1000, ("*.shop.example",), allowed=LOOPBACK)
    for url in (web.url("/a"), "http://shop.example/", "http://evilshop.example/"):
        with pytest.raises(UnfetchablePicture, match=r"only from \*\.shop\.example"):
            await other.read(url)
    await here.close()
    await other.close()


def test_no_other_networks_count_as_public_by_default() -> None:
    network = PublicNetwork()
    assert not network.allows("127.0.0.1")
    assert PublicNetwork(LOOPBACK).allows("127.0.0.1")
    assert not PublicNetwork(LOOPBACK).allows("127.0.0.2")


async def test_it_is_off_unless_it_is_turned_on() -> None:
    with pytest.raises(UnfetchablePicture, match="LOOKALIKE_FETCH_QUERY_IMAGES"):
        await NoQueryPictures().read("http://1.1.1.1/")


async def test_a_picture_by_url_finds_itself(shop: Shop, web: Web) -> None:
    web.answers["/blue"] = ok(picture("blue"))
    answer = await search(shop, {"image_url": web.url("/blue"), "crop": [0, 0, 0.5, 1]})
    assert ids(answer)[0] == "blue-hat"
    assert "fetch" in answer["timings"]


async def test_grpc_fetches_too(shop: Shop, web: Web, stub: Any) -> None:
    web.answers["/blue"] = ok(picture("blue"))
    request = pb.SearchRequest(query=[pb.Part(image_url=web.url("/blue"))])
    assert (await stub.Search(request)).hits[0].id == "blue-hat"


@pytest.mark.parametrize(
    ("answer", "status"),
    [(ok(b"<html>"), 422), (ok(b"x" * 200_001), 413), (redirect("http://10.0.0.1/"), 422)],
    ids=["no picture", "too large", "elsewhere"],
)
async def test_what_a_url_gave_is_named_by_its_part(
    shop: Shop, web: Web, answer: bytes, status: int
) -> None:
    web.answers["/x"] = answer
    query = {"query": [{"text": "red"}, {"image_url": web.url("/x")}]}
    response = await shop.http.post("/v1/search", json=query)
    assert response.status_code == status
    assert response.json()["field"] == "query[1].image_url"


async def test_a_slow_host_ends_with_the_requests_time(shop: Shop, web: Web) -> None:
    web.answers["/silent"] = None
    response = await shop.http.post(
        "/v1/search", json={"query": [{"image_url": web.url("/silent")}]},
        headers={"X-Timeout-Ms": "100"},
    )  # fmt: skip
    assert response.status_code == 504
