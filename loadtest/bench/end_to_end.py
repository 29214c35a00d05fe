"""Searches over HTTP and indexing, against the towers alone on the same machine.

The ceiling is what ONNX Runtime makes of a tower at its best batch, with all cores and nothing
around it. End to end is a JPEG or words in and products out, with Triton, gateway and load
generator on the same cores. Every run measures one right after the other, so that a ratio is of
one moment of the machine.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import onnxruntime

from gateway.adapters.release_files import load_release
from gateway.domain.loaded_release import LoadedRelease
from gateway.local.sample_catalog import SampleItem, render_pictures, sample_items
from gateway.local.triton_server import TritonOptions, TritonServer
from loadtest.bench.closed_loop import answer_all
from loadtest.bench.figures import Figure, table
from loadtest.bench.processes import Served, index_sample, serving
from loadtest.bench.requests import search_by, uploads, words

RUNS = 5
BATCHES = (1, 4, 8, 16, 32)
CEILING_S = 1.0
CONNECTIONS = 16
IMAGES, WORDS = 400, 400  # requests of a run: some seconds
SAMPLE_WORDS = 500  # that tell how long texts are


@dataclass(frozen=True, slots=True)
class Reach:
    """What is done a second: by the tower alone, and end to end; and their ratio, run by run."""

    ceiling: Figure
    reached: Figure
    ratio: Figure


def measure(state: Path, repository: Path, release_id: str) -> dict[str, Reach]:
    """Images, words and indexing with one release; `words, full length` has the ceiling of a tower
    that is given every text at the context's full length."""
    items = sample_items()
    render_pictures(items, state / "drawings", lambda _: None)
    loaded = load_release(repository, release_id)
    ceilings = _ceilings(repository, loaded, items)
    models = [loaded.release.image.model, loaded.release.text.model]
    with TritonServer(TritonOptions(repository, models, state / "triton.log")) as triton:
        served = Served(state, repository, release_id, triton.endpoint)
        found = _searched(served, items, ceilings)
        return found | {"indexing": _compared(ceilings["image"], lambda: _indexed(served, items))}


def shown(found: Mapping[str, Reach]) -> list[str]:
    """A row a kind."""
    rows = [
        [kind, str(reach.ceiling), str(reach.reached), str(reach.ratio)]
        for kind, reach in found.items()
    ]
    return table(["what", "tower alone/s", "end to end/s", "ratio"], rows)


def _searched(
    served: Served, items: Sequence[SampleItem], ceilings: Mapping[str, Callable[[], float]]
) -> dict[str, Reach]:
    pictures, texts = cycle(uploads(items, served.state)), words(items)
    with serving(served, items) as (_, port):

        def per_second(requests: Sequence[bytes]) -> float:
            start = time.perf_counter()
            asyncio.run(answer_all(port, requests, CONNECTIONS))
            return len(requests) / (time.perf_counter() - start)

        def images() -> float:
            return per_second(list(islice(pictures, IMAGES)))

        def new_words() -> float:
            return per_second([search_by(text) for text in islice(texts, WORDS)])

        images(), new_words()  # so that nothing is done for the first time
        return {
            "image": _compared(ceilings["image"], images),
            "words": _compared(ceilings["words"], new_words),
            "words, full length": _compared(ceilings["words, full length"], new_words),
        }


def _indexed(served: Served, items: Sequence[SampleItem]) -> float:
    """Pictures a second of `lookalike index` into an empty index, its start included."""
    with tempfile.TemporaryDirectory(dir=served.state) as folder:
        (Path(folder) / "drawings").symlink_to((served.state / "drawings").resolve())
        empty = Served(Path(folder), served.repository, served.release, served.triton)
        start = time.perf_counter()
        index_sample(empty, items)
        return len(items) / (time.perf_counter() - start)


def _compared(ceiling: Callable[[], float], reached: Callable[[], float]) -> Reach:
    pairs = [(ceiling(), reached()) for _ in range(RUNS)]
    return Reach(
        Figure.of([top for top, _ in pairs]),
        Figure.of([got for _, got in pairs]),
        Figure.of([got / top for top, got in pairs]),
    )


def _ceilings(
    repository: Path, loaded: LoadedRelease, items: Sequence[SampleItem]
) -> dict[str, Callable[[], float]]:
    release, tokenizer = loaded.release, loaded.tokenizer
    image = _session(repository, release.image.model)
    text = _session(repository, release.text.model)
    # As many texts of each length as shoppers type.
    lengths = Counter(len(tokenizer.encode(t)) for t in islice(words(items), SAMPLE_WORDS))
    side = (release.image.height_px, release.image.width_px, 3)
    full = release.text.buckets[-1]

    def images() -> float:
        return _best(image, "image", lambda n: np.zeros((n, *side), np.uint8))

    def texts(tokens: int) -> float:
        row = np.asarray(loaded.golden.texts[:1, :1]).repeat(tokens, axis=1)
        return _best(text, "text", lambda n: row.repeat(n, axis=0))

    def short_texts() -> float:
        seconds = sum(count / texts(tokens) for tokens, count in lengths.items())
        return SAMPLE_WORDS / seconds

    return {"image": images, "words": short_texts, "words, full length": lambda: texts(full)}


def _session(repository: Path, model: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(repository / model / "1" / "model.onnx")


def _best(
    session: onnxruntime.InferenceSession,
    name: str,
    rows: Callable[[int], np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
) -> float:
    """Rows a second at the batch that gives the most."""
    return max(_rate(session, {name: rows(size)}, size) for size in BATCHES)


def _rate(session: onnxruntime.InferenceSession, feed: Mapping[str, object], size: int) -> float:
    session.run(None, feed)
    start, done = time.perf_counter(), 0
    while (spent_s := time.perf_counter() - start) < CEILING_S / len(BATCHES):
        session.run(None, feed)
        done += size
    return done / spent_s
