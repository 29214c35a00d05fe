"""What each Triton has loaded: NVIDIA's model repository API, on every server behind a target.

A gRPC target such as `dns:///triton:8001` (a headless service) or
`ipv4:10.0.0.1:8001,10.0.0.2:8001` stands for several servers. Inference goes to any of them; a
model must be loaded on all.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence

import grpc
import grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.domain.errors import BackendUnavailable

READY_TIMEOUT_S = 5.0
# A TensorRT engine of a gigabyte is read and warmed up within this.
LOAD_TIMEOUT_S = 300.0

# Where Triton looks for the key of a protocol that is restricted by `…:admin-key=SECRET`.
KEY_HEADER = "triton-grpc-protocol-admin-key"

Metadata = tuple[tuple[str, str], ...]

_LISTED = re.compile(r"(ipv4|ipv6):(?P<addresses>[^/].*)")
_NAMED = re.compile(r"(dns:///)?(?P<host>[^/:]+|\[[^\]]+\]):(?P<port>\d+)")


class TritonModels:
    """The port `ModelControl`, on the servers behind `target`.

    Triton must run with `--model-control-mode=explicit`; in its other modes it refuses to load,
    and only what it has loaded by itself can be used. `key` is for servers that restrict
    `model-repository` under the name `admin-key`.
    """

    def __init__(self, target: str, key: str | None = None) -> None:
        self._target = target
        self._metadata = () if key is None else ((KEY_HEADER, key),)

    async def load(self, models: Sequence[str]) -> None:
        """See `ModelControl`."""
        servers = await addresses(self._target)
        await asyncio.gather(*(_load(server, models, self._metadata) for server in servers))

    async def unload(self, models: Sequence[str]) -> None:
        """See `ModelControl`."""
        servers = await addresses(self._target)
        await asyncio.gather(*(_unload(server, models, self._metadata) for server in servers))


async def addresses(target: str) -> list[str]:
    """The servers that a gRPC target stands for, each as a target of its own.

    Names are looked up anew at every call. BackendUnavailable for a name that is not known.
    """
    if listed := _LISTED.fullmatch(target):
        return [f"{listed[1]}:{address}" for address in listed["addresses"].split(",")]
    named = _NAMED.fullmatch(target)
    if named is None:
        return [target]
    loop = asyncio.get_running_loop()
    host = named["host"].strip("[]")
    try:
        found = await loop.getaddrinfo(host, int(named["port"]), type=socket.SOCK_STREAM)
    except OSError as exc:
        raise BackendUnavailable(f"Triton's name {host} cannot be looked up: {exc}.") from exc
    return sorted(
        {_as_target(family, address[0], named["port"]) for family, _, _, _, address in found}
    )


def _as_target(family: int, host: str | int, port: str) -> str:
    return f"ipv6:[{host}]:{port}" if family == socket.AF_INET6 else f"ipv4:{host}:{port}"


async def _load(server: str, models: Sequence[str], metadata: Metadata) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for model in models:
            if await _ready(stub, model):
                continue
            try:
                await stub.RepositoryModelLoad(
                    service_pb2.RepositoryModelLoadRequest(model_name=model),
                    timeout=LOAD_TIMEOUT_S,
                    metadata=metadata,
                )
            except grpc.aio.AioRpcError as exc:
                raise _refusal(server, f"load {model}", exc) from exc


async def _unload(server: str, models: Sequence[str], metadata: Metadata) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for model in models:
            if not await _ready(stub, model):
                continue
            try:
                await stub.RepositoryModelUnload(
                    service_pb2.RepositoryModelUnloadRequest(model_name=model),
                    timeout=LOAD_TIMEOUT_S,
                    metadata=metadata,
                )
            except grpc.aio.AioRpcError as exc:
                raise _refusal(server, f"unload {model}", exc) from exc


async def _ready(stub: service_pb2_grpc.GRPCInferenceServiceStub, model: str) -> bool:
    request = service_pb2.ModelReadyRequest(name=model)
    try:
        answer = await stub.ModelReady(request, timeout=READY_TIMEOUT_S)
    except grpc.aio.AioRpcError:
        return False  # a server that cannot be reached says so when it is told to load
    return bool(answer.ready)


def _refusal(server: str, doing: str, exc: grpc.aio.AioRpcError) -> BackendUnavailable:
    said = exc.details() or exc.code().name
    if "polling is enabled" in said or "explicit" in said:
        said += "; start it with --model-control-mode=explicit"
    if "protocol is restricted" in said:
        said += "; set LOOKALIKE_TRITON_KEY to the value that it was started with"
    return BackendUnavailable(f"Triton at {server.partition(':')[2]} cannot {doing}: {said}.")
