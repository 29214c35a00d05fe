"""`lookalike serve`: the gateway alone, on a Triton and an index that are there already."""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated

import typer
import uvloop

from gateway.bootstrap import assemble
from gateway.cli.console import errors
from gateway.cli.edges import answering, listen, url_of
from gateway.domain.errors import LookalikeError
from gateway.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port; 0 takes a free one.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC port; 0 takes a free one.")] = None,
) -> None:
    """Serve the gateway against the Triton and the Qdrant that the settings name.

    Every setting is an environment variable LOOKALIKE_…; see docs/settings.md.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    changes = {"host": host, "port": port, "grpc_port": grpc_port}
    settings = Settings(**{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type] # checked by pydantic
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    sock = listen(settings.host, settings.port)
    async with (
        assemble(settings) as assembly,
        answering(assembly.gateway, sock, settings) as edges,
    ):
        where = f"listening on {url_of(sock)} and, for gRPC, on port {edges.grpc_port}"
        errors.print(where, highlight=False)
        try:
            active = assembly.gateway.releases.active()
            errors.print(f"release {active.id}, {active.collection.points:,} pictures")
        except LookalikeError as exc:
            errors.print(f"not ready: {exc.detail}", soft_wrap=True, highlight=False)
        await asyncio.wait([edges.stopped])
