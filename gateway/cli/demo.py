"""`lookalike demo`: everything on one machine, from nothing to an answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import uvloop
from pydantic import SecretStr

from gateway.adapters.release_files import list_releases
from gateway.bootstrap import Assembly, assemble, only_release
from gateway.cli.console import errors, hits_table, out, progress
from gateway.cli.edges import answering, listen, spare_what_stays, url_of
from gateway.domain.errors import LookalikeError, SpaceMismatch
from gateway.local.sample_catalog import FIELDS, SampleItem, render_pictures, sample_items
from gateway.local.triton_server import TritonOptions, TritonServer
from gateway.settings import Settings
from gateway.telemetry.log_lines import LogFormat, LogLevel, configure

SEARCH_LIMIT = 5
SAMPLE_RELEASE = "sample-v1"
DEMO_KEY = "demo"


def demo(
    port: Annotated[int, typer.Option(help="HTTP port; 0 takes a free one.")] = 8080,
    grpc_port: Annotated[int, typer.Option(help="gRPC port; 0 takes a free one.")] = 8081,
    state: Annotated[Path, typer.Option(help="Folder for pictures, index and logs.")] = Path(
        ".lookalike"
    ),
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path(
        "model_repository"
    ),
    release: Annotated[
        str | None,
        typer.Option(help="The release to index with and activate; else the one that is active."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Search three times, then stop.")] = False,
) -> None:
    """Start Triton, the embedded index and the gateway on a sample shop of a thousand things."""
    sock = listen("127.0.0.1", port)
    # People watch it: no line for what went well.
    configure(LogFormat.TEXT, LogLevel.WARNING)
    settings = Settings(
        port=port,
        grpc_port=grpc_port,
        model_repository=repository,
        edge_folder=state / "index",
        pictures_folder=(state / "pictures").resolve(),
    )
    if settings.admin_key is None:
        # On the loopback address, and no web page can send this header here.
        settings = settings.model_copy(update={"admin_key": SecretStr(DEMO_KEY)})
    first = release or _first_release(settings)
    items = sample_items()
    _draw(items, state / "pictures")
    # Towers are loaded by the product: which ones, the index says.
    triton = TritonOptions(repository=repository, models=[], log_file=state / "triton.log")
    with errors.status("starting Triton"):
        server = TritonServer(triton)
        server.start()
    try:
        running = settings.model_copy(update={"triton": server.endpoint})
        uvloop.run(_run(running, release, first, items, sock, once))
    except KeyboardInterrupt:
        pass
    finally:
        server.stop()


def _first_release(settings: Settings) -> str:
    """What the demo begins with: the sample release, or the only one that there is."""
    if SAMPLE_RELEASE in list_releases(settings.model_repository):
        return SAMPLE_RELEASE
    return only_release(settings)


def _draw(items: list[SampleItem], folder: Path) -> None:
    if all((folder / sample.item.pictures[0]).exists() for sample in items):
        return
    with progress() as bar:
        task = bar.add_task("drawing the catalogue", total=len(items))
        render_pictures(items, folder, lambda done: bar.update(task, completed=done))


async def _run(
    settings: Settings,
    asked: str | None,
    first: str,
    items: list[SampleItem],
    sock: socket.socket,
    once: bool,
) -> None:
    async with assemble(settings) as assembly:
        release_id = asked or (await assembly.index.aliases()).active or first
        with errors.status(f"loading the towers of {release_id}"):
            loaded = await assembly.gateway.releases.release(release_id)
            await assembly.towers.load(loaded.release)
        await _fill(assembly, release_id, items)
        state = await assembly.gateway.readiness.check()
        if not state.ready:
            raise LookalikeError(f"The demo is not ready: {state.reason}")
        async with answering(assembly.gateway, sock, settings) as edges:
            if once:
                await _search_thrice(url_of(sock), settings.pictures_folder or Path())
            else:
                _print_ready(url_of(sock), edges.grpc_port, settings)
                spare_what_stays()
                await asyncio.wait([edges.stopped])


async def _fill(assembly: Assembly, release_id: str, items: list[SampleItem]) -> None:
    """Indexes the sample catalogue, unless all of it is there already and active."""
    info = await assembly.index.describe(release_id)
    active = (await assembly.index.aliases()).active
    if info is not None and info.points == len(items) and active == release_id:
        try:
            assembly.gateway.releases.active()
            return
        except SpaceMismatch:
            errors.print(f"{release_id} has changed since it was indexed: indexing again")
            await assembly.index.drop(release_id)
    with progress() as bar:
        task = bar.add_task(f"indexing with {release_id}", total=len(items))
        report = await assembly.indexing.run(
            release_id,
            (sample.item for sample in items),
            FIELDS,
            lambda done: bar.update(task, completed=done),
        )
    if report.problems:
        item_id, problem = report.problems[0]
        raise LookalikeError(f"{item_id} could not be indexed: {problem.detail}")
    await assembly.index.activate(release_id)
    await assembly.gateway.releases.refresh()


def _print_ready(url: str, grpc_port: int, settings: Settings) -> None:
    pictures = settings.pictures_folder or Path()
    out.print(f"\n[bold green]Lookalike is ready[/] on {url} — try:\n", highlight=False)
    commands = (
        f"curl '{url}/v1/search?q=pizza&limit=3'",
        f"curl -F image=@{_shown(pictures)}/om-1f34e.png {url}/v1/search/image",
        f"{url}/docs",
    )
    for command in commands:
        out.print(f"  {command}", soft_wrap=True, highlight=False, markup=False)
    out.print(f"\ngRPC (lookalike.v1) is on port {grpc_port}. Ctrl-C stops it all.")
    if settings.admin_key is not None and settings.admin_key.get_secret_value() == DEMO_KEY:
        out.print(f"For `lookalike releases`: export LOOKALIKE_ADMIN_KEY={DEMO_KEY}")


def _shown(path: Path) -> Path:
    """Relative to here, if that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


async def _search_thrice(url: str, pictures: Path) -> None:
    """One search by words, one by a picture, one by both, over HTTP as a storefront would."""
    async with httpx.AsyncClient(base_url=url, timeout=10.0) as client:
        words = await _hits(client.get("/v1/search", params={"q": "pizza", "limit": SEARCH_LIMIT}))
        out.print(hits_table('words: "pizza"', words))
        picture = (pictures / "om-1f34e.png").read_bytes()
        similar = await _hits(
            client.post("/v1/search/image", files={"image": picture}, data={"limit": SEARCH_LIMIT})
        )
        out.print(hits_table("picture: a red apple", similar))
        both = await _hits(
            client.post(
                "/v1/search/image",
                files={"image": picture},
                data={"text": "green", "mode": "hybrid", "limit": SEARCH_LIMIT},
            )
        )
        out.print(hits_table('hybrid: the red apple and "green"', both))


async def _hits(call: Awaitable[httpx.Response]) -> list[dict[str, Any]]:
    response = await call
    answer = response.json()
    if response.status_code != httpx.codes.OK:
        raise LookalikeError(f"The search failed: {answer.get('detail', answer)}")
    hits: list[dict[str, Any]] = answer["hits"]
    if not hits:
        raise LookalikeError("The search found nothing.")
    return hits
