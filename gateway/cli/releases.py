"""`lookalike releases`: built, switched and taken back under traffic, by a running gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer
import uvloop
from rich.markup import escape
from rich.progress import Progress, TaskID

from gateway.adapters.admin_api import AdminApi, path_of
from gateway.bootstrap import assemble
from gateway.cli.console import errors, out, progress
from gateway.cli.release_tables import release_table, releases_table
from gateway.domain.errors import LookalikeError, StartupProblem
from gateway.services.release_build import BuildLimits, BuildProgress, BuildState
from gateway.settings import Settings, Store

POLL_S = 0.3

app = typer.Typer(
    help="Swap the model under traffic: build beside, activate, roll back, retire.",
    no_args_is_help=True,
)

Gateway = Annotated[
    str | None,
    typer.Option(help="URL of a running gateway; the settings' host and port if not given."),
]
ReleaseId = Annotated[str, typer.Argument(help="The release's id.", show_default=False)]


@app.command("list")
def listed(gateway: Gateway = None) -> None:
    """Every release, and what it is at the moment."""
    with _admin(gateway) as api:
        out.print(releases_table(api.get("")["releases"]))


@app.command()
def status(
    release: Annotated[str | None, typer.Argument(help="One release; else all.")] = None,
    gateway: Gateway = None,
) -> None:
    """What a release is, how far its build is, how its trial goes."""
    with _admin(gateway) as api:
        body = api.get("")
        chosen = [r for r in body["releases"] if release in (None, r["id"])]
        if not chosen:
            raise LookalikeError(f"There is no release {release!r}.")
        for one in chosen:
            shadow = body["shadow"]
            mine = shadow if shadow and shadow["release"] == one["id"] else None
            out.print(release_table(one, mine))


@app.command()
def build(
    release: ReleaseId,
    gateway: Gateway = None,
    most_failed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of items whose pictures may have gone.")
    ] = 0.01,
    most_per_second: Annotated[
        float | None,
        typer.Option(min=0.01, help="Items a second, so that live searches keep their time."),
    ] = None,
    job: Annotated[
        bool, typer.Option("--job", help="Build in this process (cluster store), not in a gateway.")
    ] = False,
) -> None:
    """Embed the whole catalogue anew, beside the active release; goes on where it was stopped."""
    limits = BuildLimits(most_failed, most_per_second)
    if job:
        final = _built_here(release, limits)
    else:
        with _admin(gateway) as api:
            final = _built_there(api, release, limits)
    for problem in final["problems"]:
        errors.print(f"{problem['id']}: {problem['detail']}", markup=False, soft_wrap=True)
    if final["state"] != BuildState.DONE:
        raise LookalikeError(final["reason"] or f"The build is {final['state']}.")
    out.print(
        f"{release} is built: {final['done']:,} of {final['items']:,} items, "
        f"{final['embedded']:,} pictures embedded now.",
        highlight=False,
    )


@app.command()
def stop(release: ReleaseId, gateway: Gateway = None) -> None:
    """Stop a build; what it has done stays."""
    with _admin(gateway) as api:
        api.delete(path_of(release, "/build"))
    out.print(f"The build of {release} is stopped.", highlight=False)


@app.command()
def activate(
    release: ReleaseId,
    gateway: Gateway = None,
    missing: Annotated[
        int, typer.Option(min=0, help="Items that may be missing or out of date.")
    ] = 0,
) -> None:
    """Make a release answer, if it is complete and right."""
    with _admin(gateway) as api:
        _print_switch(api.post(path_of(release, "/activate"), {"most_missing": missing}))


@app.command()
def rollback(
    gateway: Gateway = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also if some changes did not reach that release.")
    ] = False,
) -> None:
    """Make the release before answer again, at once."""
    with _admin(gateway) as api:
        _print_switch(api.post("/rollback", {"force": force}))


@app.command()
def retire(release: ReleaseId, gateway: Gateway = None) -> None:
    """Delete a release's collection and unload its towers; its files stay."""
    with _admin(gateway) as api, errors.status("waiting for searches under way"):
        api.delete(path_of(release))
    out.print(f"{release} is retired.", highlight=False)


@app.command()
def trial(
    release: Annotated[str | None, typer.Argument(help="The candidate.")] = None,
    gateway: Gateway = None,
    canary: Annotated[str, typer.Option(help="Share that it answers, such as 5%.")] = "0%",
    shadow: Annotated[str, typer.Option(help="Share that it gets a copy of.")] = "0%",
    off: Annotated[bool, typer.Option("--off", help="End the trial.")] = False,
) -> None:
    """Give a candidate a share of the live searches; `releases status` shows how it does."""
    if off == (release is not None):
        raise StartupProblem("Say which release is to be tried, or --off.")
    with _admin(gateway) as api:
        if release is None:
            api.delete("/trial")
            out.print("The trial is over.")
            return
        body = {"release": release, "canary": _share(canary), "shadow": _share(shadow)}
        api.put("/trial", body)
        out.print(f"{release} answers {canary} of the searches, and gets a copy of {shadow}.")


@contextmanager
def _admin(url: str | None) -> Iterator[AdminApi]:
    settings = Settings()
    key = settings.client_key or settings.admin_key
    where = url or f"http://{settings.host}:{settings.port}"
    api = AdminApi(where, None if key is None else key.get_secret_value())
    try:
        yield api
    finally:
        api.close()


def _built_there(api: AdminApi, release: str, limits: BuildLimits) -> dict[str, Any]:
    """Has the gateway build, and watches. Ctrl-C ends the watching only."""
    state = api.post(path_of(release, "/build"), asdict(limits))
    with progress() as bar:
        task = bar.add_task(f"building {release}", total=None)
        try:
            while state["state"] in (BuildState.LOADING, BuildState.EMBEDDING, BuildState.INDEXING):
                _show(bar, task, state)
                time.sleep(POLL_S)
                state = api.get(path_of(release))["build"]
            _show(bar, task, state)
        except KeyboardInterrupt:
            errors.print(
                f"The gateway goes on building; `lookalike releases stop {release}` stops it."
            )
            raise typer.Exit(130) from None
    return state


def _built_here(release: str, limits: BuildLimits) -> dict[str, Any]:
    settings = Settings()
    if settings.store is not Store.CLUSTER:
        raise StartupProblem(
            "--job needs the cluster store: the edge store lives in the gateway's process. Leave "
            "out --job to have the gateway build."
        )
    return uvloop.run(_job(settings, BuildProgress(release), limits))


async def _job(settings: Settings, state: BuildProgress, limits: BuildLimits) -> dict[str, Any]:
    async with assemble(settings) as assembly:
        work = asyncio.create_task(assembly.gateway.lifecycle.build(state, limits))
        with progress() as bar:
            task = bar.add_task(f"building {state.release}", total=None)
            while not work.done():
                _show(bar, task, {"items": state.items, "done": state.done})
                await asyncio.wait([work], timeout=POLL_S)
            _show(bar, task, {"items": state.items, "done": state.done})
        await work
    return {
        "state": state.state,
        "items": state.items,
        "done": state.done,
        "embedded": state.embedded,
        "reason": state.reason,
        "problems": [{"id": i, "detail": why} for i, why in state.problems.items()],
    }


def _show(bar: Progress, task: TaskID, state: dict[str, Any]) -> None:
    bar.update(task, total=state["items"] or None, completed=state["done"])


def _print_switch(body: dict[str, Any]) -> None:
    previous = body["previous"]
    back = "" if previous is None else f"; `lookalike releases rollback` goes back to {previous}"
    out.print(f"[bold green]{escape(body['active'])}[/] answers{back}.", highlight=False)


def _share(text: str) -> float:
    """`5%` or `0.05` as 0.05; StartupProblem for anything else."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise StartupProblem(f"{text!r} is no share: write 5% or 0.05.")
    return share
