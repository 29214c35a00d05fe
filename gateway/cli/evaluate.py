"""`lookalike evaluate`: what a release is worth on the shop's own queries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from gateway.adapters.release_files import evaluation_path
from gateway.adapters.remote_gateway import gateway_url
from gateway.api.golden_file import read_golden
from gateway.cli.console import errors, out, say
from gateway.cli.evaluation_page import page
from gateway.cli.evaluation_run import Found, Task, run_task
from gateway.cli.evaluation_tables import (
    beams_table,
    calibration_table,
    comparison_table,
    evaluation_table,
    floor_lines,
    index_line,
    overlap_line,
)
from gateway.cli.output_files import require_writable, write
from gateway.domain.errors import StartupProblem
from gateway.services.approximate_recall import DEFAULT_BEAMS
from gateway.services.evaluation_report import EvaluationReport, noted_figures, to_json
from gateway.services.quality_gate import parse_floor
from gateway.settings import Settings

DEFAULT_QUERIES = 1_000


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
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Write from which cosine on an answer is a good match, as JSON."),
    ] = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Note the figures beside the release, for `releases list`."),
    ] = False,
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
    """Measure a release on a golden set: recall, precision, MRR, nDCG, with intervals.

    Exits 1 if a --min is not reached, as for any error.
    """
    if gateway is not None and calibrate is not None:
        raise StartupProblem("--calibrate searches the index itself: leave out --gateway.")
    parsed = tuple(parse_floor(text) for text in floors or ())
    settings = Settings()
    noted = evaluation_path(settings.model_repository, release) if record else None
    require_writable(report, json, calibrate, noted)
    task = Task(
        golden=read_golden(golden, queries, seed),
        release=release,
        against=against,
        gateway=None if gateway is None else gateway_url(gateway),
        floors=parsed,
        beams=tuple(sorted(set(ef))) if ef else DEFAULT_BEAMS,
        seed=seed,
        calibrate=calibrate is not None,
        worst=report is not None,
    )
    if pictures is not None:
        settings = settings.model_copy(update={"pictures_folder": pictures.resolve()})
    found = uvloop.run(run_task(settings, task))
    _print(found)
    if json is not None:
        write(json, to_json(found.report))
    if calibrate is not None and found.calibration is not None:
        write(calibrate, to_json(found.calibration))
        say(f"calibration: {calibrate}")
    if noted is not None:
        write(noted, to_json(noted_figures(found.report)))
        say(f"recorded: {noted}")
    if report is not None:
        write(report, page(found.report, found.worst).encode())
        say(f"report: {report}")
        if settings.pictures_folder is None:
            errors.print("The report lacks the catalogue's pictures: give --pictures FOLDER.")
    if not all(result.held for result in found.report.floors):
        errors.print("The release is below a floor.")
        raise typer.Exit(1)


def _print(found: Found) -> None:
    report = found.report
    say(
        f"{report.queries:,} of {report.total:,} queries in {report.golden}, seed {report.seed}, "
        f"{report.seconds:.1f} s"
    )
    out.print(evaluation_table(report.evaluation))
    _print_comparison(report)
    if report.beams is not None:
        say(index_line(report.beams))
        out.print(beams_table(report.beams))
    if found.calibration is not None:
        out.print(calibration_table(found.calibration))
    for line in floor_lines(report.floors):
        out.print(line)


def _print_comparison(report: EvaluationReport) -> None:
    if report.against is None or report.comparison is None:
        return
    out.print(evaluation_table(report.against))
    out.print(comparison_table(report.comparison))
    say(overlap_line(report.comparison))
