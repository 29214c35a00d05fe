"""`lookalike evaluate tune`: words, vectors or both, and how to weigh them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.adapters.remote_gateway import RemoteGateway, gateway_url
from gateway.api.golden_file import read_golden
from gateway.bootstrap import assemble
from gateway.cli.console import out, progress, say
from gateway.cli.evaluate import DEFAULT_QUERIES
from gateway.cli.evaluation_run import counting, gateway_client
from gateway.cli.evaluation_tables import (
    SIGNIFICANT,
    evidence_table,
    legs_table,
    second_stage_table,
)
from gateway.cli.output_files import require_writable, write
from gateway.services.evaluation import check_items
from gateway.services.evaluation_report import to_json
from gateway.services.fusion_tuning import EQUAL, TUNED_METRIC, LegReport
from gateway.services.fusion_tuning import tune as tune_legs
from gateway.services.golden_set import GoldenSet
from gateway.services.subject import ReleaseInProcess, Subject
from gateway.settings import Settings


def tune(
    release: Annotated[str, typer.Argument(help="The release's id; it must be indexed.")],
    golden: Annotated[Path, typer.Option(help="The golden set.", show_default=False)],
    gateway: Annotated[
        str | None, typer.Option(help="URL of a running gateway; else search in this process.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers here, as JSON.")] = None,
    queries: Annotated[
        int, typer.Option(min=0, help="Run this many, drawn by --seed; 0: all.")
    ] = DEFAULT_QUERIES,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing and the halves.")] = 0,
) -> None:
    """Find the fusion's weights on half of a golden set; compare the legs on the other half.

    Queries without words are left out: they have one leg only.
    """
    require_writable(json)
    chosen = read_golden(golden, queries, seed)
    where = None if gateway is None else gateway_url(gateway)
    report = uvloop.run(_tune(Settings(), where, release, chosen, seed))
    out.print(legs_table(report))
    out.print(second_stage_table(report))
    out.print(evidence_table(report))
    _print_best(report)
    if json is not None:
        write(json, to_json(report))


def _print_best(report: LegReport) -> None:
    """The weights to set, and how sure it is that they are better than equal ones."""
    if report.best == EQUAL:
        say(f"Of {len(report.grid)} weightings, equal weights are best: there is nothing to set.")
        return
    gain, best = report.gain[TUNED_METRIC], report.best
    say(
        f"Best of {len(report.grid)} weightings on {report.tuned_on:,} other queries: vectors "
        f"{best.dense:g}, words {best.lexical:g}.\n"
        f"Tuned minus equal weights: {TUNED_METRIC} {gain.difference.mean:+.3f} "
        f"[{gain.difference.low:+.3f}, {gain.difference.high:+.3f}], p {gain.p_value:.4f}."
    )
    if gain.p_value >= SIGNIFICANT:
        say("That may be chance: equal weights are the safer choice. To use the others:")
    else:
        say("To use them:")
    say(f"  LOOKALIKE_FUSION_VECTOR_WEIGHT={best.dense:g}")
    say(f"  LOOKALIKE_FUSION_TEXT_WEIGHT={best.lexical:g}")


async def _tune(
    settings: Settings, gateway: str | None, release: str, golden: GoldenSet, seed: int
) -> LegReport:
    async with AsyncExitStack() as stack:
        if gateway is None:
            assembly = await stack.enter_async_context(assemble(settings))
            subject: Subject = ReleaseInProcess(release, await assembly.pinned(release))
        else:
            client = await stack.enter_async_context(gateway_client(settings, gateway))
            remote = RemoteGateway(release, client)
            await remote.check()
            subject = remote
        bar = stack.enter_context(progress())
        items = {item_id for query in golden.queries for item_id in query.relevant}
        done = counting(bar, "checking the items", len(items))
        await check_items(subject, golden.queries, done)
        return await tune_legs(
            subject, golden.queries, seed, lambda title, total: counting(bar, title, total)
        )
