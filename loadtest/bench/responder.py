"""Triton's protocol without a model: what the gateway costs when inference is free.

A golden input gets its golden vector, so that a gateway finds its release right; any other gets a
vector that follows from its bytes. `python -m loadtest.bench.responder REPOSITORY RELEASE` prints
its address and answers until it is stopped.
"""

from __future__ import annotations

import asyncio
import zlib
from pathlib import Path
from typing import Annotated, Any

import grpc.aio
import numpy as np
import typer
import uvloop
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from gateway.adapters.release_files import load_release
from gateway.domain.loaded_release import LoadedRelease

# Random vectors would cost more than the rest: some are made beforehand.
READY_MADE = 1_024
_ANY_SIZE = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Responder(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc] # by protoc
    """The calls that a gateway makes; every model is ready."""

    def __init__(self, loaded: LoadedRelease) -> None:
        dim, chance = loaded.release.dim, np.random.default_rng(1)
        vectors = chance.normal(size=(READY_MADE, dim))
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vectors = [row.tobytes() for row in unit.astype("<f4")]
        golden = loaded.golden
        self._golden = _by_input(golden.images, golden.image_vectors)
        # Texts come in the smallest of these lengths that holds them.
        for tokens in (*loaded.release.text.buckets, golden.texts.shape[1]):
            self._golden |= _by_input(golden.texts[:, :tokens], golden.text_vectors)

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - gRPC's
        """A vector for each row."""
        [tensor], [raw] = request.inputs, request.raw_input_contents
        rows, size = tensor.shape[0], len(raw) // tensor.shape[0]
        answers = [self._vector(raw[n * size : (n + 1) * size]) for n in range(rows)]
        response = pb.ModelInferResponse(model_name=request.model_name)
        response.outputs.add(name="vector", datatype="FP32", shape=[rows, len(answers[0]) // 4])
        response.raw_output_contents.append(b"".join(answers))
        return response

    def _vector(self, row: bytes) -> bytes:
        golden = self._golden.get(row)
        # Of a part only: a checksum of everything is work that a model does elsewhere.
        return golden or self._vectors[zlib.crc32(row[:4096]) % READY_MADE]

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - gRPC's
        """Yes."""
        return pb.ModelReadyResponse(ready=True)

    async def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - gRPC's
        """Yes."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - gRPC's
        """Batches of up to 32."""
        response = pb.ModelConfigResponse()
        response.config.max_batch_size = 32
        return response

    async def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: ANN401, N802 - gRPC's
        """It is loaded."""
        return pb.RepositoryModelLoadResponse()


def _by_input(inputs: NDArray[Any], vectors: NDArray[Any]) -> dict[bytes, bytes]:
    return {
        row.tobytes(): vector.astype("<f4").tobytes()
        for row, vector in zip(inputs, vectors, strict=True)
    }


async def _serve(loaded: LoadedRelease) -> None:
    server = grpc.aio.server(options=_ANY_SIZE)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Responder(loaded), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.Event().wait()


def command(
    repository: Annotated[Path, typer.Argument(help="The model repository.")],
    release: Annotated[str, typer.Argument(help="Whose golden vectors to know.")],
) -> None:
    """Answer Triton's protocol on a free port of this machine."""
    uvloop.run(_serve(load_release(repository, release)))


if __name__ == "__main__":
    typer.run(command)
