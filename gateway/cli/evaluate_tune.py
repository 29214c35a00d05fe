"""`lookalike evaluate tune`: words, vectors or both, and how to weigh them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.api.golden_file import read_golden
from gateway.bootstrap import assemble
from gateway.cli.console import out, progress
from gateway.cli.evaluate import DEFAULT_QUERIES, counting
from gateway.cli.evaluation_tables import evidence_table, legs_table
from gateway.services.evaluation import check_items
from gateway.services.evaluation_report import to_json
from gateway.services.fusion_tuning import TUNED_METRIC, LegReport
from gateway.services.fusion_tuning import tune as tune_legs
from gateway.services.golden_set import GoldenSet
from gateway.services.subject import ReleaseInProcess
from gateway.settings import Settings


def tune(
    release: Annotated[str, typer.Argument(help="The release's id; it must be indexed.")],
    golden: Annotated[Path, typer.Option(help="The golden set.", show_default=False)],
    json: Annotated[Path | None, typer.Option(help="Write all numbers here, as JSON.")] = None,
    queries: Annotated[
        int, typer.Option(min=0, help="Run this many, drawn by --seed; 0: all.")
    ] = DEFAULT_QUERIES,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing and the halves.")] = 0,
) -> None:
    """Find the fusion's weights on half of a golden set; compare the legs on the other half.

    Queries without words are left out: they have one leg only.
    """
    chosen = read_golden(golden, queries, seed)
    report = uvloop.run(_tune(Settings(), release, chosen, seed))
    out.print(legs_table(report))
    out.print(evidence_table(report))
    gain = report.gain[TUNED_METRIC]
    best = report.best
    out.print(
        f"Best of {len(report.grid)} on {report.tuned_on:,} other queries: vectors {best.dense:g}, "
        f"words {best.lexical:g}. Tuned minus equal: {TUNED_METRIC} {gain.difference.mean:+.3f} "
        f"[{gain.difference.low:+.3f}, {gain.difference.high:+.3f}], p {gain.p_value:.4f}. To use:",
        highlight=False,
        markup=False,
    )
    out.print(f"  LOOKALIKE_FUSION_VECTOR_WEIGHT={best.dense:g}", highlight=False)
    out.print(f"  LOOKALIKE_FUSION_TEXT_WEIGHT={best.lexical:g}", highlight=False)
    if json is not None:
        json.write_bytes(to_json(report))


async def _tune(settings: Settings, release: str, golden: GoldenSet, seed: int) -> LegReport:
    async with assemble(settings) as assembly:
        subject = ReleaseInProcess(release, await assembly.pinned(release))
        with progress() as bar:
            items = {item_id for query in golden.queries for item_id in query.relevant}
            done = counting(bar, "checking the items", len(items))
            await check_items(subject, golden.queries, done)
            return await tune_legs(
                subject, golden.queries, seed, lambda title, total: counting(bar, title, total)
            )
