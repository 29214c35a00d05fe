"""Requests over gRPC (`lookalike.v1`)."""

from __future__ import annotations

from typing import Any

import grpc

from gateway.api.v1 import lookalike_pb2 as pb
from gateway.api.v1 import lookalike_pb2_grpc
from loadtest.answers import ALWAYS_FINDS, EMPTY, NOT_WRITTEN, Answer
from loadtest.record import ANSWERED, REFUSED
from loadtest.workload import Ask, Kind

LIMIT = 20

# A channel is one connection; a storefront's processes hold a few.
CHANNELS = 4
_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 2**20),
    # A retry would hide an error, and load the service twice.
    ("grpc.enable_retries", 0),
)


def open_channel(address: str) -> grpc.Channel:
    """A connection of its own to `address` (host:port)."""
    return grpc.insecure_channel(address, options=_OPTIONS)


class GrpcCaller:
    """Sends requests through a channel."""

    protocol = "gRPC"

    def __init__(self, channel: grpc.Channel, timeout_s: float, api_key: str) -> None:
        self._stub: Any = lookalike_pb2_grpc.LookalikeStub(channel)  # type: ignore[no-untyped-call] # by protoc
        self._timeout_s = timeout_s
        self._metadata = (("authorization", f"Bearer {api_key}"),) if api_key else ()

    def send(self, ask: Ask) -> Answer:
        """See the protocol."""
        try:
            if ask.kind is Kind.UPSERT:
                return self._upsert(ask)
            response = self._stub.Search(
                search_request(ask), timeout=self._timeout_s, metadata=self._metadata
            )
        except grpc.RpcError as error:
            return Answer(outcome_of(error))
        found = bool(response.hits) or ask.kind not in ALWAYS_FINDS
        return Answer(ANSWERED if found else EMPTY, response.ByteSize())

    def _upsert(self, ask: Ask) -> Answer:
        answer = self._stub.UpsertItems(
            iter([item_message(ask)]), timeout=self._timeout_s, metadata=self._metadata
        )
        written = [r.outcome for r in answer.results] == [pb.ItemStatus.OUTCOME_INDEXED]
        return Answer(ANSWERED if written else NOT_WRITTEN, answer.ByteSize())


def search_request(ask: Ask) -> pb.SearchRequest:
    """The message of any kind but an upsert."""
    request = pb.SearchRequest(limit=LIMIT)
    if ask.picture is not None:
        request.query.add(image=ask.picture.read_bytes())
    if ask.text:
        request.query.add(text=ask.text)
    if ask.item is not None:
        request.query.add(item=ask.item.id)
    if ask.filter is not None:
        request.filter.update(ask.filter)
    return request


def item_message(ask: Ask) -> pb.Item:
    """The item that an upsert writes."""
    assert ask.item is not None
    return pb.Item(
        id=ask.own_id,
        title=ask.item.title,
        pictures=[ask.item.picture],
        category=ask.item.category,
        brand=ask.item.brand,
    )


def outcome_of(error: grpc.RpcError) -> str:
    """What a failed call means."""
    code = error.code()
    return REFUSED if code is grpc.StatusCode.RESOURCE_EXHAUSTED else f"gRPC {code.name}"
