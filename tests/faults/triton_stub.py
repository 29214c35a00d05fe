"""A server of Triton's protocol whose every answer a test decides."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import grpc.aio
import numpy as np
from tritonclient.grpc import service_pb2


@dataclass
class TritonStub:
    """`let_through`, cleared, holds inference back; `refuse` answers it with UNAVAILABLE and these
    words. `arrived` is released by each call, `left` by each that was cancelled. One after the
    other takes `service_s`, if it is set. Inputs that are
    `known` are always answered, and not counted: with them the gateway sees whether it is ready."""

    dim: int
    known: Collection[bytes] = ()
    refuse: str | None = None
    service_s: float = 0.0
    calls: int = 0
    endpoint: str = ""
    let_through: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    left: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def ModelInfer(  # noqa: N802 - the protocol's name
        self, request: service_pb2.ModelInferRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelInferResponse:
        """Vectors that are the same for the same input."""
        raw = request.raw_input_contents[0]
        if any(row.startswith(raw) for row in self.known):  # texts come without their padding
            return _answer(request, self.dim)
        self.calls += 1
        if self.refuse is not None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, self.refuse)
        self.arrived.release()
        try:
            await self.let_through.wait()
            if self.service_s:
                async with self.turn:
                    await asyncio.sleep(self.service_s)
        except asyncio.CancelledError:
            self.left.release()
            raise
        return _answer(request, self.dim)

    async def ServerLive(  # noqa: N802 - the protocol's name
        self, request: service_pb2.ServerLiveRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ServerLiveResponse:
        """It lives."""
        return service_pb2.ServerLiveResponse(live=True)

    async def ModelReady(  # noqa: N802 - the protocol's name
        self, request: service_pb2.ModelReadyRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelReadyResponse:
        """Every model is ready."""
        return service_pb2.ModelReadyResponse(ready=True)

    async def ModelConfig(  # noqa: N802 - the protocol's name
        self, request: service_pb2.ModelConfigRequest, context: grpc.aio.ServicerContext
    ) -> service_pb2.ModelConfigResponse:
        """Batches of up to 32."""
        response = service_pb2.ModelConfigResponse()
        response.config.max_batch_size = 32
        return response


def _answer(request: service_pb2.ModelInferRequest, dim: int) -> service_pb2.ModelInferResponse:
    rows = request.inputs[0].shape[0]
    raw = request.raw_input_contents[0]
    size = len(raw) // rows
    vectors = np.stack(
        [_vector(raw[start : start + size], dim) for start in range(0, len(raw), size)]
    )
    response = service_pb2.ModelInferResponse(model_name=request.model_name)
    response.outputs.add(name="vector", datatype="FP32", shape=[rows, dim])
    response.raw_output_contents.append(vectors.astype("<f4").tobytes())
    return response


def _vector(row: bytes, dim: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    vector = np.random.default_rng(zlib.crc32(row)).normal(size=dim)
    return np.asarray(vector / np.linalg.norm(vector))


@asynccontextmanager
async def triton_stub(dim: int, known: Collection[bytes]) -> AsyncIterator[TritonStub]:
    """A running one."""
    stub = TritonStub(dim, known)
    stub.let_through.set()
    server = grpc.aio.server()
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            getattr(stub, name),
            getattr(service_pb2, f"{name}Request").FromString,
            getattr(service_pb2, f"{name}Response").SerializeToString,
        )
        for name in ("ModelInfer", "ServerLive", "ModelReady", "ModelConfig")
    }
    service = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    stub.endpoint = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield stub
    finally:
        stub.let_through.set()
        await server.stop(0.5)
