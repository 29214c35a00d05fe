"""The towers on NVIDIA Triton, over its gRPC inference protocol.

The generated stub is used as it is: one request message, raw bytes in and out. Triton says
`UNAVAILABLE` for a full queue, for a request that expired in the queue and for a server that is
going away; only the text tells them apart, and only the last may ever be tried again. Nothing is
retried here.

gRPC's own health checking of each server behind a name needs the method Watch, which Triton 2.51
answers with UNIMPLEMENTED (Check it has). So a server is left out when its connection breaks or its
keepalive ends, and `WatchedConnection` finds what holds a connection open and answers nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import grpc.aio
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.adapters.watched_connection import SIGN_TIMEOUT_S, WatchedConnection
from gateway.domain.deadline import Deadline
from gateway.domain.errors import (
    DeadlineExceeded,
    LookalikeError,
    ModelUnavailable,
    Overloaded,
)
from gateway.domain.ports import Priority
from gateway.domain.vectors import Batch
from gateway.telemetry import Metrics
from gateway.telemetry.request_record import outgoing_call

OUTPUT = "vector"
MODEL_INFER = "inference.GRPCInferenceService/ModelInfer"

# Triton 24.x was seen to crash on deadlines of a few milliseconds (server issue 7368), and with
# less than this left no answer arrives in time anyway.
MIN_REMAINING_S = 0.02
READY_TIMEOUT_S = 2.0
MAX_MESSAGE_BYTES = 64 * 2**20

_DATATYPES = {np.dtype(np.uint8): "UINT8", np.dtype(np.int64): "INT64"}

# Triton's own words, from its scheduler and dynamic batcher.
_QUEUE_FULL = ("Exceeds maximum queue size", "max_queue_size")
_EXPIRED_IN_QUEUE = ("timeout expired", "Request timeout")

# What a call meets when the server is away, or its machine, or the way to it.
_AS_IF_AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)
# Servers behind one name take turns, so that so many questions reach every one of a few.
_SIGNS = 4

_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A server that comes back is found within a second; gRPC's default grows to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Triton must be started with --grpc-http2-min-recv-ping-interval-without-data below this.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Without a retry policy (there is none in the service config below) gRPC sends again only what
    # a server that ends a connection has not looked at. Retrying more would turn shed load into
    # more load; retrying nothing lost 3 searches at 24 connections that Triton 2.51 ended.
    ("grpc.enable_retries", 1),
    # A fresh connection shall be one: gRPC would share it with the channel that is suspected.
    ("grpc.use_local_subchannel_pool", 1),
    # All addresses behind a name (a headless service) share the load.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
)


@dataclass(frozen=True, slots=True)
class _Connection:
    channel: grpc.aio.Channel
    stub: service_pb2_grpc.GRPCInferenceServiceStub


class TritonInference:
    """The port `Inference`, on the Triton at `endpoint` (a gRPC target, `host:port`).

    Belongs to the event loop that it is made on. `metrics` gets the rows of each request.
    """

    def __init__(self, endpoint: str, metrics: Metrics) -> None:
        self.endpoint = endpoint
        self._rows = metrics.inference_rows
        self._max_batch_sizes: dict[str, int] = {}
        self._connection = WatchedConnection(
            f"Triton at {endpoint}", lambda: _connect(endpoint), _alive, _close
        )

    async def infer(
        self,
        model: str,
        input_name: str,
        rows: NDArray[np.uint8] | NDArray[np.int64],
        deadline: Deadline,
        priority: Priority,
    ) -> Batch:
        """Vectors `[n, dim]` for input rows `[n, ...]`; see the port for the errors.

        More rows than the model's largest batch go as several requests, side by side.
        """
        if len(rows) > 1:
            most = await self._max_batch_size(model, deadline)
            if len(rows) > most:
                parts = [rows[start : start + most] for start in range(0, len(rows), most)]
                return np.concatenate(
                    await asyncio.gather(
                        *(
                            self._infer(model, input_name, part, deadline, priority)
                            for part in parts
                        )
                    )
                )
        return await self._infer(model, input_name, rows, deadline, priority)

    async def _infer(
        self,
        model: str,
        input_name: str,
        rows: NDArray[np.uint8] | NDArray[np.int64],
        deadline: Deadline,
        priority: Priority,
    ) -> Batch:
        left_s = deadline.require("the model was asked", MIN_REMAINING_S)
        request = _request(model, input_name, rows, left_s, priority)
        self._rows.observe(len(rows))
        with (
            self._calling(model) as stub,
            outgoing_call(MODEL_INFER, self.endpoint) as headers,
        ):
            response = await stub.ModelInfer(request, timeout=left_s, metadata=headers or None)
        return _vectors(response, len(rows), model)

    @property
    def away(self) -> bool:
        """Whether Triton is known to be away."""
        return self._connection.away

    async def ready(self, model: str) -> bool:
        """Whether Triton says that it can serve `model`; False when it cannot be reached."""
        request = service_pb2.ModelReadyRequest(name=model)
        try:
            with self._calling(model) as stub:
                answer = await stub.ModelReady(request, timeout=READY_TIMEOUT_S)
        except LookalikeError:
            return False
        return bool(answer.ready)

    async def _max_batch_size(self, model: str, deadline: Deadline) -> int:
        """The model's largest batch; asked for once, since a loaded model never changes."""
        known = self._max_batch_sizes.get(model)
        if known is None:
            left_s = deadline.require("the model was asked", MIN_REMAINING_S)
            request = service_pb2.ModelConfigRequest(name=model)
            with self._calling(model) as stub:
                answer = await stub.ModelConfig(request, timeout=left_s)
            known = self._max_batch_sizes[model] = max(1, answer.config.max_batch_size)
        return known

    @contextmanager
    def _calling(self, model: str) -> Iterator[service_pb2_grpc.GRPCInferenceServiceStub]:
        """The stub to call; gRPC's and grpc.aio's exceptions leave as this product's own."""
        if self._connection.away:
            raise ModelUnavailable("Triton is away.")
        try:
            yield self._connection.current.stub
        except grpc.aio.AioRpcError as exc:
            if exc.code() in _AS_IF_AWAY:
                self._connection.suspect()
            raise _meaning(exc.code(), exc.details() or "", model) from exc
        except (grpc.aio.UsageError, grpc.aio.InternalError, RuntimeError) as exc:
            raise ModelUnavailable(f"The connection to Triton is closed or broken: {exc}") from exc
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # gRPC cancels a call, but not the task, when its channel closes under it.
            raise ModelUnavailable("The connection to Triton was closed.") from exc

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()


def _connect(endpoint: str) -> _Connection:
    channel = grpc.aio.insecure_channel(endpoint, options=_CHANNEL_OPTIONS)
    return _Connection(channel, service_pb2_grpc.GRPCInferenceServiceStub(channel))


async def _close(connection: _Connection, within_s: float) -> None:
    await connection.channel.close(within_s)


async def _alive(connection: _Connection) -> bool:
    """Whether every server that is asked answers, whatever it says."""
    return all(await asyncio.gather(*(_sign(connection) for _ in range(_SIGNS))))


async def _sign(connection: _Connection) -> bool:
    try:
        await connection.stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=SIGN_TIMEOUT_S)
    except grpc.aio.AioRpcError as exc:
        return exc.code() not in _AS_IF_AWAY
    return True


def _request(
    model: str,
    input_name: str,
    rows: NDArray[np.uint8] | NDArray[np.int64],
    timeout_s: float,
    priority: Priority,
) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name=input_name, datatype=_DATATYPES[rows.dtype], shape=list(rows.shape))
    request.raw_input_contents.append(rows.tobytes())
    request.outputs.add(name=OUTPUT)
    # Bounds the wait in Triton's queue, in microseconds; the gRPC deadline bounds the whole.
    request.parameters["timeout"].int64_param = int(timeout_s * 1e6)
    request.parameters["priority"].uint64_param = int(priority)
    return request


def _vectors(response: service_pb2.ModelInferResponse, rows: int, model: str) -> Batch:
    """The answer's vectors, if they are what a tower gives; ModelUnavailable otherwise.

    A broken Python environment beside Triton (numpy 2 is one) gives empty tensors and no error.
    """
    if len(response.outputs) == 1 and len(response.raw_output_contents) == 1:
        output, raw = response.outputs[0], response.raw_output_contents[0]
        shape = tuple(output.shape)
        expected = output.datatype == "FP32" and len(shape) == 2 and shape[0] == rows
        if expected and len(raw) == 4 * shape[0] * shape[1] > 0:
            vectors = np.frombuffer(raw, dtype="<f4").reshape(shape)
            if np.isfinite(vectors).all():
                return vectors
    raise ModelUnavailable(f"Triton's model {model} gave something other than {rows} vectors.")


def _meaning(code: grpc.StatusCode, text: str, model: str) -> LookalikeError:
    if any(words in text for words in _QUEUE_FULL) or code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Overloaded("The model's queue is full.")
    if any(words in text for words in _EXPIRED_IN_QUEUE):
        return DeadlineExceeded("The request's time ran out in the model's queue.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded("The request's time ran out while the model was working.")
    if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
        return ModelUnavailable(f"Triton refused the request for model {model}: {text}")
    return ModelUnavailable(f"Triton cannot be reached or fails ({code.name}).")
