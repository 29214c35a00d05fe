"""A query's token: the same query again, or a clear refusal."""

from __future__ import annotations

import base64
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.api.v1 import lookalike_pb2 as pb
from gateway.domain import query_token
from gateway.domain.errors import InvalidQuery, StaleToken
from gateway.domain.vectors import Vector
from tests.fakes import DIM, picture
from tests.shop import Shop
from tests.unit.test_http_search import b64, ids, search

KEY = b"12345678"


def unit(values: list[float]) -> Vector:
    vector = np.array([*values, 1.0], dtype=np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@given(
    st.lists(st.floats(-10, 10, width=32), max_size=600),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=100),
    st.booleans(),
)
def test_what_is_put_in_comes_out_to_the_last_bit(
    values: list[float], words: str, looks: bool
) -> None:
    vector = unit(values)
    token = query_token.made("print-1", KEY, looks, vector, words)
    assert token.isascii()
    assert not set(token) & set("+/=")
    read = query_token.read(token, "x")
    assert read.vector.tobytes() == vector.tobytes()
    assert (read.key, read.words, read.looks) == (KEY, words, looks)
    assert read.of("print-1")
    assert not read.of("print-2")


TOKEN = query_token.made("print-1", KEY, True, unit([1.0, 2.0, 3.0]), "red shoe")


@given(st.integers(0, len(TOKEN) - 2), st.sampled_from("ABab01-_ é="))
def test_a_token_with_one_letter_changed_is_refused(at: int, letter: str) -> None:
    """The last letter may have bits to spare."""
    assume(TOKEN[at] != letter)
    with pytest.raises((InvalidQuery, StaleToken)):
        query_token.read(TOKEN[:at] + letter + TOKEN[at + 1 :], "x")


@given(st.text(max_size=80) | st.binary(max_size=80).map(b64))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuery, match="query_token"):
        query_token.read(text, "x")


def forged(change: Any) -> str:
    """A token with another body, and the checksum of that."""
    body = query_token._undamaged(query_token.made("p", KEY, True, unit([1.0]), "é"), "x")
    body = change(body)
    return base64.urlsafe_b64encode(body + query_token._checksum(body)).decode().rstrip("=")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda body: b"\x02" + body[1:], StaleToken),
        (lambda body: body[:-1], InvalidQuery),
        (lambda body: body[:24], InvalidQuery),
        (lambda body: body[:18] + b"\x00\x09" + body[20:], InvalidQuery),
        (lambda body: body[:20] + b"\x00\x00\xc0\x7f" + body[24:], InvalidQuery),
        (lambda body: body[:20] + b"\x00\x00\x00\x42" + body[24:], InvalidQuery),
        (lambda body: b"", InvalidQuery),
    ],
    ids=["version", "half a letter", "half a number", "too few", "NaN", "too long", "nothing"],
)
def test_a_checksum_does_not_make_nonsense_true(change: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        query_token.read(forged(change), "x")


async def again(shop: Shop, *parts: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The second page by the first one's token."""
    first = await search(shop, *parts, return_query=True, limit=2, **options)
    token = {"token": first["query_token"]}
    return await search(shop, token, limit=3, offset=2, **options)


QUERIES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([{"image": b64(picture("red"))}], {}),
    ([{"text": "red shoe"}], {}),
    ([{"text": "red shoe"}], {"mode": "text"}),
    ([{"text": "red shoe"}], {"mode": "vector"}),
    ([{"image": b64(picture("blue"))}, {"text": "shoe"}, {"item": "blue-hat", "weight": -0.4}], {}),
    ([{"text": "red"}], {"fusion": "dbsf", "facets": ["brand"], "rescore": True}),
    ([{"image": b64(picture("blue"))}, {"item": "red-shoe"}], {"strategy": "average_vector"}),
]


@pytest.mark.parametrize(("parts", "options"), QUERIES, ids=lambda x: str(x)[:40])
async def test_a_token_is_the_same_query_again(
    either_shop: Shop, parts: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    whole = await search(either_shop, *parts, **options)
    assert "query_token" not in whole
    either_shop.inference.calls.clear()
    page = await again(either_shop, *parts, **options)
    assert ids(page) == ids(whole)[2:]
    assert page["mode"] == whole["mode"]
    assert [h["score"] for h in page["hits"]] == [h["score"] for h in whole["hits"]][2:]


async def test_a_token_needs_no_model(shop: Shop) -> None:
    first = await search(shop, {"image": b64(picture("green"))}, return_query=True)
    shop.inference.calls.clear()
    assert ids(await search(shop, {"token": first["query_token"]})) == ids(first)
    assert shop.inference.calls == []


async def test_a_token_is_a_part_among_others(shop: Shop) -> None:
    token = (await search(shop, {"image": b64(picture("red"))}, return_query=True))["query_token"]
    green = {"image": b64(picture("green"))}
    both = await search(shop, {"token": token, "weight": 0.5}, green)
    assert ids(both)[0] == ids(await search(shop, {"item": "red-shoe", "weight": 0.5}, green))[0]
    away = await search(shop, green, {"token": token, "weight": -1}, strategy="best_score")
    assert {hit["id"] for hit in away["hits"] if hit["score"] < 0} >= {"red-shoe"}
    chained = await search(shop, {"token": token}, return_query=True)
    assert chained["query_token"] == token


async def test_a_token_of_another_release_is_a_conflict(shop: Shop, stub: Any) -> None:
    vector = unit([1.0] * (DIM - 1))
    for token in (
        query_token.made("other", KEY, True, vector, ""),
        query_token.made("f1", KEY, True, unit([1.0] * 9), ""),
    ):
        query = {"query": [{"text": "red"}, {"token": token}]}
        response = await shop.http.post("/v1/search", json=query)
        assert response.status_code == 409
        problem = response.json()
        assert problem["type"] == "urn:lookalike:stale-token"
        assert problem["field"] == "query[1].token"
        assert "another release than colours-v1" in problem["detail"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Search(pb.SearchRequest(query=[pb.Part(token=token)]))
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_grpc_gives_and_takes_the_same_tokens(shop: Shop, stub: Any) -> None:
    http = await search(shop, {"text": "red shoe"}, return_query=True)
    asked = pb.SearchRequest(query=[pb.Part(text="red shoe")], return_query=True)
    assert (await stub.Search(asked)).query_token == http["query_token"]
    page = await stub.Search(pb.SearchRequest(query=[pb.Part(token=http["query_token"])]))
    assert [hit.id for hit in page.hits] == ids(http)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Embed(pb.EmbedRequest(inputs=[pb.Part(token="x")]))  # noqa: S106 - no password
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_form_gives_a_token_too(shop: Shop) -> None:
    form = {"return_query": "true"}
    response = await shop.http.post("/v1/search/image", files={"image": picture("red")}, data=form)
    assert ids(await search(shop, {"token": response.json()["query_token"]})) == ids(
        response.json()
    )


@pytest.mark.parametrize("token", ["", "x", "%%%", "A" * 100_000], ids=lambda t: t[:3] or "empty")
async def test_a_damaged_token_is_named(shop: Shop, token: str) -> None:
    response = await shop.http.post("/v1/search", json={"query": [{"token": token}]})
    assert response.status_code == 422
    assert response.json()["field"] == "query[0].token"
