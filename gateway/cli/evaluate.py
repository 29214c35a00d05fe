"""`lookalike evaluate`: what a release is worth on the shop's own queries."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
import uvloop
from rich.progress import Progress

from gateway.adapters.picture_source import PictureFiles
from gateway.adapters.remote_gateway import RemoteGateway
from gateway.api.golden_file import read_golden
from gateway.bootstrap import Assembly, assemble
from gateway.cli.console import errors, out, progress
from gateway.cli.evaluation_page import page
from gateway.cli.evaluation_pictures import WorstQuery, worst_queries
from gateway.cli.evaluation_tables import (
    beams_table,
    comparison_table,
    evaluation_table,
    floor_lines,
)
from gateway.domain.errors import StartupProblem
from gateway.services.approximate_recall import DEFAULT_BEAMS, BeamCurve, measure_beams
from gateway.services.evaluation import (
    Done,
    Evaluation,
    check_items,
    compare_releases,
    evaluate,
    worst,
)
from gateway.services.evaluation_report import EvaluationReport, to_json
from gateway.services.golden_set import GoldenSet, drawn
from gateway.services.quality_gate import Floor, check_floors, parse_floor
from gateway.services.subject import AS_ASKED, ReleaseInProcess, Subject
from gateway.settings import Settings

DEFAULT_QUERIES = 1_000
BEAM_QUERIES = 200
WORST_SHOWN = 24


@dataclass(frozen=True, slots=True)
class _Task:
    """What one run is to do."""

    golden: GoldenSet
    release: str
    against: str | None
    gateway: str | None
    floors: tuple[Floor, ...]
    beams: tuple[int, ...]
    seed: int


def run(
    release: Annotated[str, typer.Argument(help="The release's id; it must be indexed.")],
    golden: Annotated[
        Path, typer.Option(help="The golden set; `make-golden` makes one.", show_default=False)
    ],
    against: Annotated[
        str | None, typer.Option(help="A second release, compared query by query.")
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(help="URL of a running gateway; else search in this process.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers here, as JSON.")] = None,
    floors: Annotated[
        list[str] | None,
        typer.Option("--min", help="recall@10=0.8 or image:mrr@10=0.5; else exit 1. Repeatable."),
    ] = None,
    queries: Annotated[
        int, typer.Option(min=0, help="Run this many, drawn by --seed; 0: all.")
    ] = DEFAULT_QUERIES,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing and the resampling.")] = 0,
    ef: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Beam of the index to measure. Repeatable; has defaults."),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of the catalogue's pictures, for the report.")
    ] = None,
) -> None:
    """Measure a release on a golden set: recall, precision, MRR, nDCG, with intervals."""
    if gateway is not None and against is not None:
        raise StartupProblem(
            "--against needs both releases' collections: leave out --gateway, or evaluate twice."
        )
    task = _Task(
        golden=read_golden(golden, queries, seed),
        release=release,
        against=against,
        gateway=gateway,
        floors=tuple(parse_floor(text) for text in floors or ()),
        beams=tuple(sorted(set(ef))) if ef else DEFAULT_BEAMS,
        seed=seed,
    )
    settings = Settings()
    if pictures is not None:
        settings = settings.model_copy(update={"pictures_folder": pictures.resolve()})
    found, shown = uvloop.run(_run(settings, task, with_pictures=report is not None))
    _print(found)
    if json is not None:
        json.write_bytes(to_json(found))
    if report is not None:
        report.write_text(page(found, shown), encoding="utf-8")
        out.print(f"report: {report}", soft_wrap=True, highlight=False)
    if not all(result.held for result in found.floors):
        errors.print("The release is below a floor.")
        raise typer.Exit(1)


async def _run(
    settings: Settings, task: _Task, *, with_pictures: bool
) -> tuple[EvaluationReport, list[WorstQuery]]:
    start_s = time.monotonic()
    async with AsyncExitStack() as stack:
        bar = stack.enter_context(progress())
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=task.gateway or ""))
        second = None
        if task.gateway is not None:
            subject: Subject = RemoteGateway(task.release, client)
            beams = None
        else:
            assembly = await stack.enter_async_context(assemble(settings))
            pinned = await _pinned(assembly, task.release)
            if task.against is not None:
                # Both are opened before either is run: a wrong name is told at once.
                second = await _pinned(assembly, task.against)
            beams = await _beams(pinned, task, bar)
            subject = pinned
        first_run = await _evaluation(subject, task, bar)
        second_run = None if second is None else await _evaluation(second, task, bar)
        found = _report(task, first_run, second_run, beams, time.monotonic() - start_s)
        if not with_pictures:
            return found, []
        source = PictureFiles(settings.pictures_folder, client, settings.max_picture_bytes)
        by_id = {query.id: query for query in task.golden.queries}
        return found, await worst_queries(worst(first_run, WORST_SHOWN), by_id, subject, source)


def _report(
    task: _Task,
    first: Evaluation,
    second: Evaluation | None,
    beams: BeamCurve | None,
    seconds: float,
) -> EvaluationReport:
    return EvaluationReport(
        golden=task.golden.name,
        queries=len(task.golden.queries),
        total=task.golden.total,
        seed=task.seed,
        seconds=seconds,
        evaluation=first,
        against=second,
        comparison=None if second is None else compare_releases(first, second, task.seed),
        beams=beams,
        floors=check_floors(first, task.floors),
    )


async def _pinned(assembly: Assembly, release: str) -> ReleaseInProcess:
    return ReleaseInProcess(release, await assembly.pinned(release))


async def _evaluation(subject: Subject, task: _Task, bar: Progress) -> Evaluation:
    golden = task.golden.queries
    items = {item_id for query in golden for item_id in query.relevant}
    await check_items(subject, golden, counting(bar, "checking the items", len(items)))
    done = counting(bar, f"asking {subject.release}", len(golden))
    return await evaluate(subject, golden, AS_ASKED, task.seed, done)


async def _beams(subject: ReleaseInProcess, task: _Task, bar: Progress) -> BeamCurve:
    some = drawn(task.golden.queries, BEAM_QUERIES, task.seed)
    done = counting(bar, "trying beams", len(task.beams) + 1)
    return await measure_beams(subject.service, some, task.beams, done)


def counting(bar: Progress, title: str, total: int) -> Done:
    """A new line of `bar`, as the callback that moves it."""
    line = bar.add_task(title, total=total)
    return lambda done: bar.update(line, completed=done)


def _print(report: EvaluationReport) -> None:
    out.print(
        f"{report.queries:,} of {report.total:,} queries in {report.golden}, seed {report.seed}, "
        f"{report.seconds:.1f} s",
        highlight=False,
    )
    out.print(evaluation_table(report.evaluation))
    if report.against is not None:
        out.print(evaluation_table(report.against))
    if report.comparison is not None:
        out.print(comparison_table(report.comparison))
        overlap = report.comparison.overlap
        out.print(f"overlap@10: {overlap.mean:.3f} [{overlap.low:.3f}, {overlap.high:.3f}]")
    if report.beams is not None:
        out.print(beams_table(report.beams))
    _print_lines(floor_lines(report.floors))


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        out.print(line, highlight=False)
