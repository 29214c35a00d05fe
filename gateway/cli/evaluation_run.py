"""One run of `lookalike evaluate run`: everything is asked and measured, nothing is printed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from rich.progress import Progress

from gateway.adapters.picture_source import PictureFiles
from gateway.adapters.remote_gateway import RemoteGateway
from gateway.bootstrap import Assembly, assemble
from gateway.cli.console import progress
from gateway.cli.evaluation_pictures import WorstQuery, worst_queries
from gateway.domain.errors import NotFound
from gateway.domain.ports import CollectionInfo
from gateway.services.approximate_recall import BeamCurve, measure_beams
from gateway.services.calibration import Calibration, calibrate, score_queries
from gateway.services.evaluation import (
    Done,
    Evaluation,
    check_items,
    compare_releases,
    evaluate,
    worst,
)
from gateway.services.evaluation_report import EvaluationReport
from gateway.services.golden_set import GoldenQuery, GoldenSet, drawn
from gateway.services.quality_gate import Floor, check_floors
from gateway.services.subject import AS_ASKED, ReleaseInProcess, Subject
from gateway.settings import Settings

BEAM_QUERIES = 200
WORST_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Task:
    """What one run is to do. `gateway` is the URL of a running one; None searches in this process,
    which `against`, `beams` and `calibrate` need."""

    golden: GoldenSet
    release: str
    against: str | None
    gateway: str | None
    floors: tuple[Floor, ...]
    beams: tuple[int, ...]
    seed: int
    calibrate: bool
    worst: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What it found; `worst` is empty and `calibration` None if they were not asked for."""

    report: EvaluationReport
    worst: tuple[WorstQuery, ...]
    calibration: Calibration | None


async def run_task(settings: Settings, task: Task) -> Found:
    """Runs `task` with progress on stderr.

    Raises GoldenInvalid for a golden set that does not fit the catalogue, before anything is
    measured, and what the backends raise.
    """
    async with AsyncExitStack() as stack:
        bar = stack.enter_context(progress())
        if task.gateway is None:
            assembly = await stack.enter_async_context(assemble(settings))
            return await _in_process(settings, assembly, task, bar)
        client = await stack.enter_async_context(gateway_client(settings, task.gateway))
        return await _remote(settings, client, task, bar)


@asynccontextmanager
async def gateway_client(settings: Settings, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway at `url`, which shows the key of the settings."""
    key = settings.client_key or settings.admin_key
    headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        yield client


async def _remote(
    settings: Settings, client: httpx.AsyncClient, task: Task, bar: Progress
) -> Found:
    start_s = time.monotonic()
    subject = RemoteGateway(task.release, client)
    other = None if task.against is None else RemoteGateway(task.against, client)
    for one in (subject, other):
        if one is not None:
            await one.check()
            await _check(one, task.golden.queries, bar)
    first = await _evaluation(subject, task, bar)
    second = None if other is None else await _evaluation(other, task, bar)
    report = _report(task, first, second, None, time.monotonic() - start_s)
    return Found(report, await _worst(settings, task, first, subject), None)


async def _in_process(settings: Settings, assembly: Assembly, task: Task, bar: Progress) -> Found:
    start_s = time.monotonic()
    golden = task.golden.queries
    # All that can be wrong with names is told before anything is measured.
    subject = await _pinned(assembly, task.release)
    other = None if task.against is None else await _pinned(assembly, task.against)
    for one in (subject, other):
        if one is not None:
            await _check(one, golden, bar)
    collection = await _collection(assembly, task.release)
    first = await _evaluation(subject, task, bar)
    second = None if other is None else await _evaluation(other, task, bar)
    beams = await _beams(subject, collection, task, bar)
    calibration = await _calibration(subject, collection, task, bar) if task.calibrate else None
    report = _report(task, first, second, beams, time.monotonic() - start_s)
    return Found(report, await _worst(settings, task, first, subject), calibration)


async def _pinned(assembly: Assembly, release: str) -> ReleaseInProcess:
    return ReleaseInProcess(release, await assembly.pinned(release))


async def _collection(assembly: Assembly, release: str) -> CollectionInfo:
    info = await assembly.index.describe(release)
    if info is None:
        raise NotFound(f"The collection of {release} was deleted meanwhile.")
    return info


async def _check(subject: Subject, golden: Sequence[GoldenQuery], bar: Progress) -> None:
    items = {item_id for query in golden for item_id in query.relevant}
    title = f"checking {subject.release}'s items"
    await check_items(subject, golden, counting(bar, title, len(items)))


async def _evaluation(subject: Subject, task: Task, bar: Progress) -> Evaluation:
    golden = task.golden.queries
    done = counting(bar, f"asking {subject.release}", len(golden))
    return await evaluate(subject, golden, AS_ASKED, task.seed, done)


async def _beams(
    subject: ReleaseInProcess, collection: CollectionInfo, task: Task, bar: Progress
) -> BeamCurve:
    some = drawn(task.golden.queries, BEAM_QUERIES, task.seed)
    done = counting(bar, "trying beams", len(task.beams) + 1)
    return await measure_beams(subject.service, some, task.beams, collection, done)


async def _calibration(
    subject: ReleaseInProcess, collection: CollectionInfo, task: Task, bar: Progress
) -> Calibration:
    golden = task.golden.queries
    done = counting(bar, "calibrating", 2 * len(golden))
    cutoffs = calibrate(await score_queries(subject, golden, done))
    return Calibration(
        release=task.release,
        fingerprint=collection.fingerprint,
        golden=task.golden.name,
        queries=len(golden),
        seed=task.seed,
        cutoffs={str(kind): cutoff.cosine for kind, cutoff in cutoffs.items()},
        rates={str(kind): cutoff for kind, cutoff in cutoffs.items()},
    )


async def _worst(
    settings: Settings, task: Task, evaluation: Evaluation, subject: Subject
) -> tuple[WorstQuery, ...]:
    if not task.worst:
        return ()
    by_id = {query.id: query for query in task.golden.queries}
    async with httpx.AsyncClient(follow_redirects=True) as client:
        source = PictureFiles(settings.pictures_folder, client, settings.max_picture_bytes)
        found = await worst_queries(worst(evaluation, WORST_SHOWN), by_id, subject, source)
        return tuple(found)


def _report(
    task: Task,
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


def counting(bar: Progress, title: str, total: int) -> Done:
    """A new line of `bar`, as the callback that moves it."""
    line = bar.add_task(title, total=total)
    return lambda done: bar.update(line, completed=done)
