"""Both edges of the gateway, from ready to drained."""

from __future__ import annotations

import asyncio
import errno
import gc
import math
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn

from gateway.api.grpc_api import GrpcServer
from gateway.api.http_api import create_app
from gateway.api.http_head import HeadLimits
from gateway.domain.access import Key, Scope, parse_keys
from gateway.domain.errors import StartupProblem
from gateway.services.access import Access, Rate
from gateway.services.gateway import Gateway
from gateway.settings import Settings

# Longer than balancers keep an unused connection (nginx and AWS's: 60 s). The other way round, a
# request meets a connection that is just being closed.
KEEP_ALIVE_S = 75
BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow starts; StartupProblem if the port is not to
    be had."""
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = info[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise StartupProblem(
                f"Port {port} on {host} is in use. Stop what uses it, or choose another with "
                f"`--port` (`make demo ARGS='--port 8090'`)."
            ) from exc
        raise StartupProblem(f"Cannot listen on {host}:{port}: {exc.strerror or exc}.") from exc
    return sock


def access_of(settings: Settings) -> Access:
    """The keys that this gateway knows."""
    keys = () if settings.keys is None else parse_keys(settings.keys.get_secret_value())
    if settings.admin_key is not None:
        keys += (Key.of(settings.admin_key.get_secret_value(), Scope.ADMIN),)
    limit = settings.rate_limit
    return Access(keys, None if limit is None else Rate(limit, settings.rate_burst))


def url_of(sock: socket.socket) -> str:
    """The address to type into a browser."""
    host, port = sock.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def spare_what_stays() -> None:
    """Takes what lives as long as the process from the garbage collector's rounds: its longest, one
    in some 2,000 searches, stood still for 105 ms, and for 11 ms without the 144,000 objects that
    are there when a gateway is ready (measured with `gc.collect()`)."""
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers and leaves the readiness to us."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, drain_s: float) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()
        self._gateway = gateway
        self._drain_s = drain_s
        self._draining = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal asks for the end, and that is all: uvicorn's own way raises it a second time
        when the server has stopped, so that an orderly end looks like a death."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _asked_to_stop(self, number: int) -> None:
        """SIGTERM, which balancers' friends send: not ready from now on, but everything is answered
        until the balancers have seen that. SIGINT, or a second signal: no more requests."""
        self._gateway.readiness.drain()
        if number == signal.SIGTERM and self._drain_s and not self._draining:
            self._draining = True
            asyncio.get_running_loop().call_later(
                self._drain_s, self.handle_exit, signal.SIGTERM, None
            )
        else:
            self.handle_exit(number, None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """From here on requests are answered."""
        await super().startup(sockets)
        self.answering.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Not ready any more; what was accepted is finished."""
        self._gateway.readiness.drain()
        await super().shutdown(sockets)


@dataclass(frozen=True, slots=True)
class Answering:
    """Both edges at work. `stopped` ends when a signal asked for it."""

    stopped: asyncio.Task[None]
    grpc_port: int


@asynccontextmanager
async def answering(
    gateway: Gateway, sock: socket.socket, settings: Settings
) -> AsyncIterator[Answering]:
    """Serves `gateway` over HTTP on `sock` and over gRPC, for the block."""
    access = access_of(settings)
    # What was accepted last may take its whole time.
    finish_s = math.ceil(settings.max_timeout_s)
    config = uvicorn.Config(
        create_app(gateway, settings.max_picture_bytes, access, settings.cors_origins),
        loop="uvloop",
        http=HeadLimits,
        lifespan="off",
        # The gateway logs requests itself, and uvicorn's own lines look like the gateway's.
        access_log=False,
        log_config=None,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=finish_s,
    )
    server = _Server(config, gateway, settings.drain_s)
    rpc = GrpcServer(gateway, settings.max_picture_bytes, access)
    grpc_port = await rpc.start(settings.host, settings.grpc_port)
    task = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        await server.answering.wait()
        yield Answering(task, grpc_port)
    finally:
        server.should_exit = True
        await asyncio.gather(task, rpc.stop(finish_s))
