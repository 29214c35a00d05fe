"""Nobody gets in who should not: keys, scopes and rates, over both edges."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.adapters.remote_gateway import RemoteGateway
from gateway.api.auth import METHODS, ROUTES
from gateway.api.grpc_api import SERVICE, GrpcServer
from gateway.api.http_api import create_app
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from gateway.domain.access import Key, Scope, parse_keys
from gateway.domain.errors import BackendUnavailable, Forbidden, Overloaded, Unauthorized
from gateway.services.access import Access, Rate, TokenBucket
from tests.shop import LIMITS, Shop

SECRETS = {scope: f"the secret of scope {scope}" for scope in Scope}
EACH = Access([Key.of(secret, scope) for scope, secret in SECRETS.items()])
OPEN_PATHS = {"/", "/health/live", "/health/ready", "/metrics"}
EXAMPLE = {"item_id": "red-shoe", "release_id": "colours-v1"}


def client(shop: Shop, access: Access, *origins: str) -> httpx.AsyncClient:
    app = create_app(shop.gateway, LIMITS.max_bytes, access, origins)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")


def showing(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"Authorization": f"Bearer {secret}"}


def operations(shop: Shop) -> list[tuple[str, str]]:
    """Every call that the API describes."""
    app = create_app(shop.gateway, LIMITS.max_bytes)
    return [
        (verb.upper(), path)
        for path, verbs in app.openapi()["paths"].items()
        for verb in verbs
        if path not in OPEN_PATHS
    ]


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)[^}]*\}", lambda name: EXAMPLE[name[1]], path)


def template(path: str) -> str:
    """The route's own spelling, of which the description drops the converter."""
    return path.replace("{item_id}", "{item_id:path}")


async def test_every_call_that_the_api_describes_needs_its_scope_and_no_other(shop: Shop) -> None:
    calls = operations(shop)
    assert {(verb, template(path)) for verb, path in calls} == set(ROUTES)
    async with client(shop, EACH) as http:
        for verb, path in calls:
            needed = ROUTES[verb, template(path)]
            for shown in (None, "a secret of nobody", *SECRETS.values()):
                response = await http.request(verb, filled(path), headers=showing(shown))
                if shown in (SECRETS[needed], SECRETS[Scope.ADMIN]):
                    assert response.status_code not in (401, 403), (verb, path, shown)
                elif shown in SECRETS.values():
                    assert response.status_code == 403, (verb, path, shown)
                else:
                    assert response.status_code == 401, (verb, path, shown)
                    assert response.headers["www-authenticate"] == "Bearer"


async def test_the_description_says_which_calls_take_a_key(shop: Shop) -> None:
    document = (await shop.http.get("/openapi.json")).json()
    [name] = document["components"]["securitySchemes"]
    for path, verbs in document["paths"].items():
        for operation in verbs.values():
            keyed = operation.get("security") == [{name: []}]
            assert keyed == (path not in OPEN_PATHS), path


async def test_what_balancers_need_needs_no_key(shop: Shop) -> None:
    async with client(shop, EACH) as http:
        for path in ("/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"):
            assert (await http.get(path)).status_code == 200, path
        assert (await http.get("/v2/none")).status_code == 404


async def test_a_call_without_a_key_is_refused_before_its_body_is_read(shop: Shop) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield b"{"

    async with client(shop, EACH) as http:
        response = await http.post("/v1/search", content=body())
    assert response.status_code == 401
    assert sent == 0


async def test_without_keys_all_is_open_but_admin(shop: Shop) -> None:
    async with client(shop, Access()) as http:
        assert (await http.get("/v1/search", params={"q": "red"})).status_code == 200
        assert (await http.delete("/v1/items/nope")).status_code == 404
        refused = await http.get("/v1/releases")
    assert refused.status_code == 401
    assert "LOOKALIKE_ADMIN_KEY" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("scopes", "opened"),
    [
        ([], {Scope.SEARCH, Scope.WRITE}),
        ([Scope.ADMIN], {Scope.SEARCH, Scope.WRITE}),
        ([Scope.WRITE], {Scope.SEARCH}),
        ([Scope.SEARCH], set()),
        ([Scope.SEARCH, Scope.WRITE], set()),
    ],
    ids=lambda value: "+".join(sorted(value)) or "none",
)
def test_a_scope_is_open_until_a_key_closes_it(scopes: list[Scope], opened: set[Scope]) -> None:
    access = Access([Key.of("a secret of some length", scope) for scope in scopes])

    def lets_in(scope: Scope) -> bool:
        try:
            access.require(scope, None)
        except Unauthorized:
            return False
        return True

    assert {scope for scope in Scope if lets_in(scope)} == opened


def test_two_keys_open_the_same_scope_while_one_replaces_the_other() -> None:
    access = Access([Key.of("old secret of ours", Scope.SEARCH),
                     Key.of("new secret of ours", Scope.SEARCH)])  # fmt: skip
    access.require(Scope.SEARCH, "old secret of ours")
    access.require(Scope.SEARCH, "new secret of ours")
    with pytest.raises(Forbidden):
        access.require(Scope.WRITE, "new secret of ours")
    with pytest.raises(Unauthorized):
        access.require(Scope.SEARCH, "new secret of theirs")


def test_keys_are_read_as_secrets_and_as_digests() -> None:
    digest = hashlib.sha256(b"a secret of some length").hexdigest()
    text = f"# the backend\nsearch+write:another secret?\n, admin:sha256:{digest}\n"
    with pytest.raises(ValueError, match="key 1 has a secret shorter than 16"):
        parse_keys(text)
    keys = parse_keys(text.replace(" secret?", "-secret-of-ours"))
    assert keys == (
        Key.of("another-secret-of-ours", Scope.SEARCH, Scope.WRITE),
        Key.of("a secret of some length", Scope.ADMIN),
    )


@pytest.mark.parametrize(
    "text", ["hunter2hunter2hunter2", "read:hunter2hunter2", "search:hunter2", "write:sha256:12"]
)
def test_a_key_that_cannot_be_read_is_told_by_its_number_alone(text: str) -> None:
    with pytest.raises(ValueError, match="key 1 ") as caught:
        parse_keys(text)
    assert "hunter2" not in str(caught.value)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(Rate(per_s=10.0, burst=5), clock)

    def taken_of(calls: int) -> int:
        return sum(takes(bucket) for _ in range(calls))

    assert taken_of(50) == 5
    clock.now_s = 0.1
    assert taken_of(50) == 1
    for step in range(1000):  # ten times the rate, for ten seconds
        clock.now_s = 0.1 + step / 100
        taken_of(1)
    clock.now_s = 100.0
    assert taken_of(50) == 5


def takes(bucket: TokenBucket) -> bool:
    try:
        bucket.take()
    except Overloaded as refusal:
        return not 0 < refusal.retry_after_s <= 0.1  # a wrong time counts as taken, and fails
    return True


async def test_a_key_that_calls_too_often_waits_and_no_other_does(shop: Shop) -> None:
    keys = [
        Key.of("first secret of two", Scope.SEARCH),
        Key.of("second secret of two", Scope.SEARCH),
    ]
    async with client(shop, Access(keys, Rate(per_s=0.5, burst=2))) as http:

        async def call(secret: str) -> httpx.Response:
            return await http.get("/v1/items/red-shoe", headers=showing(secret))

        codes = [(await call("first secret of two")).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        refused = await call("first secret of two")
        assert refused.json()["type"] == "urn:lookalike:overloaded"
        assert int(refused.headers["retry-after"]) == 2
        assert (await call("second secret of two")).status_code == 200


async def test_every_answer_is_safe_to_show_to_a_browser(shop: Shop) -> None:
    for path in ("/v1/search?q=red", "/v1/items/nope", "/v2", "/metrics", "/health/ready"):
        headers = (await shop.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert "script-src" not in headers["content-security-policy"]
    docs = (await shop.http.get("/docs")).headers["content-security-policy"]
    assert "https://cdn.jsdelivr.net" in docs


@pytest.mark.parametrize(
    ("origins", "asking", "allowed"),
    [
        ((), "https://shop.example", None),
        (("https://shop.example",), "https://shop.example", "https://shop.example"),
        (("https://shop.example",), "https://thief.example", None),
        (("*",), "https://anybody.example", "*"),
    ],
    ids=["none", "named", "another", "all"],
)
async def test_only_pages_of_named_origins_may_call(
    shop: Shop, origins: tuple[str, ...], asking: str, allowed: str | None
) -> None:
    async with client(shop, EACH, *origins) as http:
        headers = {"Origin": asking} | showing(SECRETS[Scope.SEARCH])
        response = await http.get("/v1/search?q=red", headers=headers)
        assert response.headers.get("access-control-allow-origin") == allowed
        asked = {"Origin": asking, "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
        preflight = await http.options("/v1/search", headers=asked)
    assert (preflight.status_code == 200) == (allowed is not None)


async def test_a_remote_gateway_is_evaluated_with_the_clients_key(shop: Shop) -> None:
    async with client(shop, EACH) as http:
        with pytest.raises(Unauthorized):
            await RemoteGateway("colours-v1", http).check()
        http.headers.update(showing(SECRETS[Scope.SEARCH]))
        await RemoteGateway("colours-v1", http).check()


@asynccontextmanager
async def rpc(shop: Shop, access: Access) -> AsyncIterator[grpc.aio.Channel]:
    server = GrpcServer(shop.gateway, LIMITS.max_bytes, access)
    port = await server.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


RED = pb.SearchRequest(query=[pb.Part(text="red")])


async def one_search() -> AsyncIterator[pb.StreamedSearch]:
    yield pb.StreamedSearch(id="1", request=RED)


async def no_items() -> AsyncIterator[pb.Item]:
    nothing: tuple[pb.Item, ...] = ()
    for item in nothing:
        yield item


async def drained(answers: Any) -> None:
    async for _ in answers:
        pass


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "Search": lambda stub, m: stub.Search(RED, metadata=m),
    "SearchStream": lambda stub, m: drained(stub.SearchStream(one_search(), metadata=m)),
    "Embed": lambda stub, m: stub.Embed(pb.EmbedRequest(inputs=[pb.Part(text="red")]), metadata=m),
    "GetItem": lambda stub, m: stub.GetItem(pb.GetItemRequest(id="red-shoe"), metadata=m),
    "UpsertItems": lambda stub, m: stub.UpsertItems(no_items(), metadata=m),
    "DeleteItems": lambda stub, m: stub.DeleteItems(pb.DeleteItemsRequest(ids=["x"]), metadata=m),
}


def metadata(shown: str | None) -> tuple[tuple[str, str], ...]:
    return () if shown is None else (("authorization", f"Bearer {shown}"),)


async def code_of(call: Any) -> grpc.StatusCode:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def every_method() -> Iterator[str]:
    yield from (method.name for method in pb.DESCRIPTOR.services_by_name["Lookalike"].methods)


async def test_every_grpc_method_needs_its_scope_and_no_other(shop: Shop) -> None:
    assert set(METHODS) == set(every_method()) == set(CALLS)
    async with rpc(shop, EACH) as channel:
        stub = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # protoc's
        for name, call in CALLS.items():
            needed = METHODS[name]
            for shown in (None, "a secret of nobody", *SECRETS.values()):
                code = await code_of(call(stub, metadata(shown)))
                if shown in (SECRETS[needed], SECRETS[Scope.ADMIN]):
                    assert code is grpc.StatusCode.OK, (name, shown)
                elif shown in SECRETS.values():
                    assert code is grpc.StatusCode.PERMISSION_DENIED, (name, shown)
                else:
                    assert code is grpc.StatusCode.UNAUTHENTICATED, (name, shown)
        health = health_pb2_grpc.HealthStub(channel)
        await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))


async def test_each_search_of_a_stream_counts(shop: Shop) -> None:
    async def searches() -> AsyncIterator[pb.StreamedSearch]:
        for number in range(6):
            yield pb.StreamedSearch(id=str(number), request=RED)

    access = Access([Key.of("a secret of some length", Scope.SEARCH)], Rate(per_s=0.01, burst=4))
    async with rpc(shop, access) as channel:
        stub = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # protoc's
        stream = stub.SearchStream(searches(), metadata=metadata("a secret of some length"))
        answers = [answer async for answer in stream]
    # The stream itself was the first call.
    assert sum(bool(answer.response.hits) for answer in answers) == 3
    assert {a.error.reason for a in answers if not a.response.hits} == {"overloaded"}


async def test_no_key_picture_or_query_is_in_the_log(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with client(shop, EACH) as http:
        for shown in (SECRETS[Scope.SEARCH], "a secret of nobody"):
            for query in ({"text": "a very private wish"}, {"image": "bm90IGEgcGljdHVyZQ=="}):
                body = {"query": [query]}
                await http.post("/v1/search", json=body, headers=showing(shown))
        shop.inference.failing = BackendUnavailable("Triton cannot be reached")
        body = {"query": [{"text": "another private wish"}]}
        await http.post("/v1/search", json=body, headers=showing(SECRETS[Scope.SEARCH]))
    for private in ("private wish", "bm90IGEgcGljdHVyZQ", "not a picture", *SECRETS.values()):
        assert private not in caplog.text
