"""What ONNX Runtime makes of a release's towers with all cores and nothing around it: in its best
batch, and in one session of all cores or one of a core each."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice, product
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from gateway.adapters.release_files import load_release
from gateway.local.sample_catalog import SampleItem
from loadtest.bench.requests import words

BATCHES = (1, 4, 8, 16, 32)
MEASURED_S = 1.0
SAMPLE_WORDS = 500  # that tell how long texts are

Rows = NDArray[np.generic]


class Ceiling:
    """Rates of one release: images a second, and texts a second, each as long as shoppers' are or
    all at the context's full length, as towers that know no shorter input take them."""

    def __init__(self, repository: Path, release_id: str, items: Sequence[SampleItem]) -> None:
        loaded = load_release(repository, release_id)
        release, tokenizer = loaded.release, loaded.tokenizer
        side = (release.image.height_px, release.image.width_px, 3)
        image = _Tower(repository, release.image.model, "image")
        text = _Tower(repository, release.text.model, "text")
        row = np.asarray(loaded.golden.texts[:1, :1])
        self.images = image.at_best(lambda n: np.zeros((n, *side), np.uint8))
        # As many texts of each length as shoppers type.
        self._lengths = Counter(
            len(tokenizer.encode(t)) for t in islice(words(items), SAMPLE_WORDS)
        )
        self._texts: Mapping[int, Callable[[], float]] = {
            tokens: text.at_best(partial(_texts, row, tokens))
            for tokens in {*self._lengths, release.text.buckets[-1]}
        }
        self.full_texts = self._texts[release.text.buckets[-1]]

    def texts(self) -> float:
        """Texts a second, each in the bucket that its length takes; as many of each length as
        shoppers type."""
        seconds = sum(count / self._texts[tokens]() for tokens, count in self._lengths.items())
        return SAMPLE_WORDS / seconds


def _texts(row: Rows, tokens: int, count: int) -> Rows:
    return row.repeat(tokens, axis=1).repeat(count, axis=0)


class _Tower:
    def __init__(self, repository: Path, model: str, name: str) -> None:
        graph = repository / model / "1" / "model.onnx"
        cores = len(os.sched_getaffinity(0))
        # One session of all cores, and as Triton's instances are: one core each, side by side.
        self._groups = [[_session(graph, cores)], [_session(graph, 1) for _ in range(cores)]]
        self._input = name

    def at_best(self, rows: Callable[[int], Rows]) -> Callable[[], float]:
        """Measures rows a second in the way, and at the batch, that gave the most."""
        ways = list(product(self._groups, BATCHES))
        group, size = max(ways, key=lambda way: self._rate(way[0], rows(way[1])))
        return lambda: self._rate(group, rows(size))

    def _rate(self, group: Sequence[onnxruntime.InferenceSession], rows: Rows) -> float:
        feed = {self._input: rows}

        def run(session: onnxruntime.InferenceSession, until_s: float) -> int:
            done = 0
            while time.perf_counter() < until_s:
                session.run(None, feed)
                done += len(rows)
            return done

        with ThreadPoolExecutor(len(group)) as threads:
            list(threads.map(lambda session: session.run(None, feed), group))
            start_s = time.perf_counter()
            done = threads.map(partial(run, until_s=start_s + MEASURED_S), group)
            return sum(done) / (time.perf_counter() - start_s)


def _session(graph: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(graph, options)
