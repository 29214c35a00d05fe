"""`lookalike serve`: the gateway alone, on a Triton and an index that are there already."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer
import uvloop

from gateway.bootstrap import assemble
from gateway.cli.console import errors
from gateway.cli.edges import answering, listen, spare_what_stays, url_of
from gateway.domain.errors import LookalikeError
from gateway.settings import Settings
from gateway.telemetry.log_lines import LogFormat, configure

log = logging.getLogger(__name__)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="HTTP port; 0 takes a free one.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="gRPC port; 0 takes a free one.")] = None,
) -> None:
    """Serve the gateway against the Triton and the Qdrant that the settings name.

    Every setting is an environment variable LOOKALIKE_…; see docs/settings.md.
    """
    changes = {"host": host, "port": port, "grpc_port": grpc_port}
    settings = Settings(**{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type] # checked by pydantic
    unset = LogFormat.TEXT if sys.stderr.isatty() else LogFormat.JSON
    log_format = settings.log_format or unset
    configure(log_format, settings.log_level)
    uvloop.run(_serve(settings, _to_the_log if log_format is LogFormat.JSON else _to_people))


def _to_the_log(said: str) -> None:
    """Where every line is read by a machine, these are too."""
    log.info("%s", said)


def _to_people(said: str) -> None:
    errors.print(said, soft_wrap=True, highlight=False, markup=False)


async def _serve(settings: Settings, say: Callable[[str], None]) -> None:
    sock = listen(settings.host, settings.port)
    async with (
        assemble(settings) as assembly,
        answering(assembly.gateway, sock, settings) as edges,
    ):
        say(f"listening on {url_of(sock)} and, for gRPC, on port {edges.grpc_port}")
        with suppress(LookalikeError):  # readiness says why there is none
            active = assembly.gateway.releases.active()
            say(f"release {active.id}, {active.collection.points:,} pictures")
        spare_what_stays()
        await asyncio.wait([edges.stopped])
