"""gRPC gives the same answers as HTTP, field by field, and the same errors."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from gateway.api.grpc_api import SERVICE
from gateway.api.grpc_messages import plain
from gateway.api.v1 import lookalike_pb2 as pb
from gateway.domain.errors import Overloaded
from gateway.domain.query import Fusion, Mode, Strategy
from tests.fakes import held, picture
from tests.shop import Shop

GENERATED = Path(__file__).parents[2] / "gateway" / "api" / "v1"


def as_boost(boost: dict[str, Any]) -> dict[str, Any]:
    """What only one kind of boost has stands in a message of its own."""
    common = {name: boost[name] for name in ("field", "weight")}
    own = {name: boost[name] for name in boost.keys() - common.keys() - {"kind"}}
    return common | ({boost["kind"]: own} if boost["kind"] in BOOST_KINDS else {})


BOOST_KINDS = ("flag", "popularity", "freshness", "proximity")


def as_grpc(body: dict[str, Any]) -> pb.SearchRequest:
    """The HTTP body as a message."""
    message = dict(body)
    for choice in ("mode", "fusion", "strategy"):
        if choice in message:
            message[choice] = f"{choice.upper()}_{message[choice].upper()}"
    if "boosts" in message:
        message["boosts"] = [as_boost(boost) for boost in message["boosts"]]
    message["query"] = [
        {
            **part,
            **({"vector": {"values": part["vector"]}} if "vector" in part else {}),
            **(
                {"crop": dict(zip(("left", "top", "right", "bottom"), part["crop"], strict=True))}
                if "crop" in part
                else {}
            ),
        }
        for part in message["query"]
    ]
    return json_format.ParseDict(message, pb.SearchRequest())


RED = base64.b64encode(picture("red")).decode()
SAME = [
    {"query": [{"text": "shoe"}]},
    {"query": [{"text": "shoe"}], "mode": "text"},
    {"query": [{"text": "green"}], "mode": "vector", "limit": 2},
    {"query": [{"image": RED}]},
    {"query": [{"image": RED, "crop": [0, 0, 0.5, 1]}], "min_score": 0.9},
    {"query": [{"item": "blue-hat"}], "offset": 1, "limit": 3},
    {"query": [{"vector": [0, 0, 1, 0]}], "fields": ["title", "price"]},
    {"query": [{"image": RED}, {"text": "hat", "weight": 0.5}], "mode": "hybrid"},
    {"query": [{"image": RED}, {"text": "blue", "weight": -0.5}], "mode": "vector"},
    {"query": [{"text": "a"}], "filter": {"must": [{"key": "price", "range": {"lt": 40}}]}},
    {"query": [{"text": "a"}], "filter": {"must": [{"key": "attributes.size",
      "match": {"value": 41}}]}},
    {"query": [{"text": "a"}], "filter": {"should": [
        {"must": [{"key": "category", "match": {"any": ["hats", "shirts"]}}]}]}},
    {"query": [{"text": "a"}], "filter": {"must": [{"key": "attributes.added",
      "range": {"gt": "2020-01-01T10:00:00Z"}}]}},
    {"query": [{"text": "red shoe"}], "fusion": "dbsf"},
    {"query": [{"text": "blue shoe"}], "weights": {"text": 0.1}},
    {"query": [{"image": RED}, {"item": "blue-hat", "weight": -1}], "strategy": "best_score"},
    {"query": [{"image": RED}, {"item": "blue-hat"}], "strategy": "average_vector"},
    {"query": [{"text": "red shoe"}], "rescore": True},
    {"query": [{"vector": [0.9, 0.4, 0.1, 0.3]}], "diversity": 0.7},
    {"query": [{"text": "blue"}], "boosts": [
        {"kind": "flag", "field": "attributes.new", "weight": 0.5},
        {"kind": "popularity", "field": "attributes.sold", "weight": 2, "scale": 10},
        {"kind": "freshness", "field": "attributes.added", "weight": 1, "half_life_days": 90},
        {"kind": "proximity", "field": "price", "weight": 1, "target": 30, "scale": 5}]},
    {"query": [{"image": RED}], "group_by": "category"},
    {"query": [{"image": RED}], "facets": ["category", "attributes.new", "attributes.size"]},
    {"query": [{"image": RED}], "group_by": "attributes.new"},
]  # fmt: skip


@pytest.mark.parametrize("body", SAME, ids=lambda body: str(body)[:60])
async def test_the_same_query_has_the_same_answer(
    shop: Shop, stub: Any, body: dict[str, Any]
) -> None:
    http = (await shop.http.post("/v1/search", json=body)).json()
    rpc = await stub.Search(as_grpc(body))
    assert [hit.id for hit in rpc.hits] == [hit["id"] for hit in http["hits"]]
    assert http["hits"]
    for ours, theirs in zip(rpc.hits, http["hits"], strict=True):
        assert ours.score == pytest.approx(theirs["score"], abs=1e-6)
        assert ours.picture == theirs["picture"]
        assert plain(ours.item) == theirs["item"]
        group = json_format.MessageToDict(ours.group) if ours.HasField("group") else None
        assert group == theirs.get("group")
        assert list(ours.others) == theirs.get("others", [])
    facets = {
        facet.field: [
            {"value": json_format.MessageToDict(each.value), "count": each.count}
            for each in facet.counts
        ]
        for facet in rpc.facets
    }
    assert facets == http.get("facets", {})
    assert rpc.release == http["release"]
    assert rpc.degraded is http["degraded"] is False
    assert (rpc.confident if rpc.HasField("confident") else None) == http["confident"]
    assert pb.Mode.Name(rpc.mode).removeprefix("MODE_").lower() == http["mode"]
    assert set(rpc.timings) >= {"search"}


WRONG = [
    {"query": []},
    {"query": [{"text": " "}]},
    {"query": [{"item": "nope"}]},
    {"query": [{"text": "a", "weight": 0}]},
    {"query": [{"image": base64.b64encode(b"hello").decode()}]},
    {"query": [{"image": RED, "crop": [0, 1, 1, 0]}]},
    {"query": [{"vector": [1, 2]}]},
    {"query": [{"text": "a"}], "limit": 0},
    {"query": [{"text": "a"}], "limit": 10_000},
    {"query": [{"text": "a"}], "offset": -1},
    {"query": [{"image": RED}], "mode": "text"},
    {"query": [{"text": "a"}], "fields": ["colour"]},
    {"query": [{"text": "a"}], "filter": {"must": [{"key": "colour", "match": {"value": "x"}}]}},
    {"query": [{"text": "a"}], "filter": {"must": [{"key": "price"}]}},
    {"query": [{"text": "a"}], "filter": {"all": []}},
    {
        "query": [{"text": "a"}],
        "filter": {"must": [{"key": "attributes.added", "range": {"gt": "yesterday"}}]},
    },
    {"query": [{"text": "a"}], "fusion": "dbsf", "weights": {}},
    {"query": [{"text": "a"}], "weights": {"vector": 0, "text": 0}},
    {"query": [{"text": "a", "weight": 0.5}], "strategy": "average_vector"},
    {"query": [{"text": "a"}], "strategy": "best_score", "min_score": 0.1},
    {"query": [{"text": "a"}], "diversity": 1.5},
    {"query": [{"text": "a"}], "diversity": 0.5, "rescore": True},
    {"query": [{"text": "a"}], "boosts": [{"kind": "luck", "field": "price", "weight": 1}]},
    {"query": [{"text": "a"}], "boosts": [{"kind": "flag", "field": "price", "weight": 1}]},
    {
        "query": [{"text": "a"}],
        "boosts": [{"kind": "popularity", "field": "price", "weight": 1, "scale": 0}],
    },
    {"query": [{"text": "a"}], "group_by": "colour"},
    {"query": [{"text": "a"}], "facets": ["colour"]},
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: str(body)[:60])
async def test_the_same_mistake_has_the_same_name_and_field(
    shop: Shop, stub: Any, body: dict[str, Any]
) -> None:
    http = (await shop.http.post("/v1/search", json=body)).json()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Search(as_grpc(body))
    error = caught.value
    not_found = http["status"] == 404
    expected = grpc.StatusCode.NOT_FOUND if not_found else grpc.StatusCode.INVALID_ARGUMENT
    assert error.code() is expected
    info = error_info(error)
    assert info.metadata["field"] == http["field"]
    assert error.details()


def error_info(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


async def test_being_full_says_when_to_come_back(shop: Shop, stub: Any) -> None:
    shop.inference.failing = Overloaded("full", retry_after_s=1.5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Search(as_grpc({"query": [{"text": "red"}]}))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(caught.value)
    assert status is not None
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500


async def test_a_stream_answers_every_search_and_survives_a_bad_one(stub: Any) -> None:
    async def searches() -> AsyncIterator[pb.StreamedSearch]:
        for number in range(40):
            body = {"query": [{"text": f"red {number}"}], "limit": 1}
            yield pb.StreamedSearch(id=str(number), request=as_grpc(body))
        yield pb.StreamedSearch(id="bad", request=as_grpc({"query": [{"item": "nope"}]}))

    answers = {answer.id: answer async for answer in stub.SearchStream(searches())}
    assert set(answers) == {*map(str, range(40)), "bad"}
    assert answers["bad"].error.reason == "not-found"
    assert answers["bad"].error.field == "query[0].item"
    assert all(a.response.hits for name, a in answers.items() if name != "bad")


async def test_embeddings_are_those_that_search_uses(stub: Any) -> None:
    inputs = [pb.Part(text="red"), pb.Part(image=picture("red"))]
    answer = await stub.Embed(pb.EmbedRequest(inputs=inputs))
    [words, seen] = [list(vector.values) for vector in answer.vectors]
    assert words == pytest.approx(seen, abs=1e-6)
    assert answer.release == "colours-v1"


async def test_items_are_written_read_and_deleted(shop: Shop, stub: Any) -> None:
    async def items() -> AsyncIterator[pb.Item]:
        new = pb.Item(id="boot", title="Black boot", pictures=["black.png"], price=9.5)
        new.attributes.update({"size": [43, 44], "warm": True})
        new.location.lat, new.location.lon = 1.5, -2.25
        yield new
        yield pb.Item(id="untitled", pictures=["black.png"])
        yield pb.Item(id="lost", title="Lost", pictures=["nowhere.png"])

    outcomes = pb.ItemStatus.Outcome
    written = (await stub.UpsertItems(items())).results
    assert [(r.id, outcomes.Name(r.outcome), r.error.field) for r in written] == [
        ("boot", "OUTCOME_INDEXED", ""),
        ("untitled", "OUTCOME_FAILED", "title"),
        ("lost", "OUTCOME_FAILED", "pictures"),
    ]
    read = await stub.GetItem(pb.GetItemRequest(id="boot"))
    http = (await shop.http.get("/v1/items/boot")).json()
    again = json_format.MessageToDict(read, preserving_proto_field_name=True)
    assert {**again, "attributes": plain(read.attributes)} == http
    deleted = (await stub.DeleteItems(pb.DeleteItemsRequest(ids=["boot", "never"]))).results
    assert [outcomes.Name(r.outcome) for r in deleted] == ["OUTCOME_DELETED", "OUTCOME_ABSENT"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetItem(pb.GetItemRequest(id="boot"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_cancelled_call_frees_its_slot(shop: Shop, stub: Any) -> None:
    with held(shop.inference):
        call = stub.Search(as_grpc({"query": [{"text": "red"}]}))
        task = asyncio.ensure_future(call)
        await shop.inference.arrived.acquire()
        gauge = shop.gateway.metrics.registry.get_sample_value
        assert gauge("lookalike_in_flight") == 1
        task.cancel()
        async with asyncio.timeout(5):
            while gauge("lookalike_in_flight") != 0:  # noqa: ASYNC110 - the gauge has no event
                await asyncio.sleep(0.005)


async def test_a_deadline_is_kept(shop: Shop, stub: Any) -> None:
    with held(shop.inference), pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Search(as_grpc({"query": [{"text": "red"}]}), timeout=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_health_and_reflection_are_the_standard_ones(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    async with asyncio.timeout(10):
        async for state in watch:
            if state.status == health_pb2.HealthCheckResponse.SERVING:
                break
    watch.cancel()
    reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    answers = reflection.ServerReflectionInfo(iter([asked]))
    names = [s.name async for a in answers for s in a.list_services_response.service]
    assert SERVICE == "lookalike.v1.Lookalike"
    assert SERVICE in names


@pytest.mark.parametrize(
    ("message", "domain"),
    [(pb.Mode, Mode), (pb.Fusion, Fusion), (pb.Strategy, Strategy)],
    ids=["mode", "fusion", "strategy"],
)
def test_every_choice_has_a_number(message: Any, domain: type[StrEnum]) -> None:
    prefix = f"{domain.__name__.upper()}_"
    names = {name.removeprefix(prefix).lower() for name in message.keys()}  # noqa: SIM118 - no dict
    assert names - {"unspecified"} == {choice.value for choice in domain} - {"auto"}


def test_the_generated_code_is_that_of_the_proto(tmp_path: Path) -> None:
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    root = str(GENERATED.parents[2])
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}"]
    subprocess.run([*protoc, *out, "gateway/api/v1/lookalike.proto"], cwd=root, check=True)
    for path in (tmp_path / "gateway" / "api" / "v1").iterdir():
        assert path.read_text() == (GENERATED / path.name).read_text()
