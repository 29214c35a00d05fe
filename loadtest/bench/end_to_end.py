"""Searches over HTTP and indexing, against the towers alone on the same machine.

The ceiling is what ONNX Runtime makes of a tower at its best, with all cores and nothing around it.
End to end is a JPEG or words in and products out, with Triton, gateway and load generator on the
same cores. Every run measures one right after the other, so that a ratio is of one moment of the
machine.

With a release in int8, both are also held against what is usually served: the tower in fp32, with
every text at the context's full length.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from gateway.adapters.release_files import read_manifest
from gateway.local.sample_catalog import SampleItem, render_pictures, sample_items
from gateway.local.triton_server import TritonOptions, TritonServer
from loadtest.bench.ceiling import Ceiling
from loadtest.bench.closed_loop import answer_all
from loadtest.bench.figures import Figure, table
from loadtest.bench.processes import Served, index_sample, serving
from loadtest.bench.requests import search_by, uploads, words
from loadtest.bench.subject import Subject

RUNS = 5
CONNECTIONS = 32  # with 16, words left 14% of two cores idle
# A run asks as much as the tower alone would do in this time, within these numbers.
RUN_S = 1.0
FEWEST, MOST = 40, 400
INDEXING_S = 15.0  # long beside the two seconds that `lookalike index` takes to start

IMAGES, WORDS, FULL, INDEXED = "images", "words", "words at full length", "indexing"
ALONE, SERVED = "alone", "served"

# "alone" or "served", which release, what of it: a second.
Rates = Mapping[tuple[str, str, str], float]


@dataclass(frozen=True, slots=True)
class Reach:
    """What is done a second: by the tower alone, and end to end; and their ratio, run by run."""

    ceiling: Figure
    reached: Figure
    ratio: Figure


def measure(subject: Subject) -> dict[str, Reach]:
    """A row for everything that is compared with a tower."""
    items = sample_items()
    render_pictures(items, subject.state / "drawings", lambda _: None)
    releases = [subject.release, *([] if subject.int8 is None else [subject.int8])]
    manifests = [read_manifest(subject.repository, release) for release in releases]
    models = [tower for m in manifests for tower in (m.image.model, m.text.model)]
    options = TritonOptions(subject.repository, models, subject.state / "triton.log")
    with ExitStack() as stack:
        triton = stack.enter_context(TritonServer(options))
        sides = [_Side(subject, release, items, triton.endpoint, stack) for release in releases]
        runs = [{k: v for side in sides for k, v in side.run().items()} for _ in range(RUNS)]
    return {
        name: _reach(runs, ceiling, reached)
        for name, (ceiling, reached) in _pairs(*releases).items()
    }


def shown(found: Mapping[str, Reach]) -> list[str]:
    """A row a comparison."""
    rows = [
        [kind, str(reach.ceiling), str(reach.reached), str(reach.ratio)]
        for kind, reach in found.items()
    ]
    return table(["what", "tower alone/s", "end to end/s", "ratio"], rows)


class _Side:
    """One release: its towers alone, and its gateway."""

    def __init__(
        self,
        subject: Subject,
        release: str,
        items: Sequence[SampleItem],
        triton: str,
        stack: ExitStack,
    ) -> None:
        self._release, self._items = release, items
        self._ceiling = Ceiling(subject.repository, release, items)
        self._served = Served(subject.state, subject.repository, release, triton)
        self._pictures = cycle(uploads(items, subject.state))
        self._texts = map(search_by, words(items))  # none twice, so no vector is remembered
        _, self._port = stack.enter_context(serving(self._served, items))
        for requests in (self._pictures, self._texts):  # nothing is done for the first time
            self._searched(requests, self._ceiling.images())

    def run(self) -> Rates:
        """Everything once, each right after its ceiling."""
        images = self._ceiling.images()
        rates = {
            (ALONE, IMAGES): images,
            (SERVED, IMAGES): self._searched(self._pictures, images),
            (SERVED, INDEXED): self._indexed(images),
            (ALONE, FULL): self._ceiling.full_texts(),
        }
        rates[ALONE, WORDS] = texts = self._ceiling.texts()
        rates[SERVED, WORDS] = self._searched(self._texts, texts)
        return {(where, self._release, what): rate for (where, what), rate in rates.items()}

    def _searched(self, requests: Iterator[bytes], ceiling: float) -> float:
        some = list(islice(requests, _number(RUN_S * ceiling, FEWEST, MOST)))
        start = time.perf_counter()
        asyncio.run(answer_all(self._port, some, CONNECTIONS))
        return len(some) / (time.perf_counter() - start)

    def _indexed(self, ceiling: float) -> float:
        """Pictures a second of `lookalike index` into an empty index, its start included."""
        some = self._items[: _number(INDEXING_S * ceiling, FEWEST, len(self._items))]
        with tempfile.TemporaryDirectory(dir=self._served.state) as folder:
            drawings = (self._served.state / "drawings").resolve()
            (Path(folder) / "drawings").symlink_to(drawings)
            empty = Served(
                Path(folder), self._served.repository, self._release, self._served.triton
            )
            start = time.perf_counter()
            index_sample(empty, some)
            return len(some) / (time.perf_counter() - start)


def _number(wanted: float, fewest: int, most: int) -> int:
    return max(fewest, min(most, round(wanted)))


def _pairs(
    usual: str, int8: str | None = None
) -> dict[str, tuple[tuple[str, str, str], tuple[str, str, str]]]:
    """What is compared: a row's name, its ceiling and what is held against it."""
    pairs = {}
    for release in (usual, int8):
        if release is None:
            continue
        suffix = f", {release}"
        for what in (IMAGES, WORDS):
            pairs[what + suffix] = ((ALONE, release, what), (SERVED, release, what))
        pairs[FULL + suffix] = ((ALONE, release, FULL), (SERVED, release, WORDS))
        pairs[INDEXED + suffix] = ((ALONE, release, IMAGES), (SERVED, release, INDEXED))
    if int8 is not None:
        against = f", {int8} against {usual}"
        pairs[IMAGES + against] = ((ALONE, usual, IMAGES), (SERVED, int8, IMAGES))
        pairs[FULL + against] = ((ALONE, usual, FULL), (SERVED, int8, WORDS))
    return pairs


def _reach(
    runs: Sequence[Rates], ceiling: tuple[str, str, str], reached: tuple[str, str, str]
) -> Reach:
    return Reach(
        Figure.of([run[ceiling] for run in runs]),
        Figure.of([run[reached] for run in runs]),
        Figure.of([run[reached] / run[ceiling] for run in runs]),
    )
