"""A release for `onnx-cpu`, served by NVIDIA Triton itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from export.release_export import ExportResult
from export.tensor_names import IMAGE_INPUT, OUTPUT_NAME, TEXT_INPUT
from gateway.adapters.release_files import load_release
from gateway.domain.loaded_release import LoadedRelease
from gateway.domain.release import PARITY_FLOOR
from gateway.domain.vectors import Batch, cosine
from gateway.local.triton_server import TritonOptions, TritonServer

pytestmark = pytest.mark.triton

Rows = NDArray[np.uint8] | NDArray[np.int64]


@pytest.fixture(scope="module", name="loaded")
def the_release(exported: ExportResult, repository: Path) -> LoadedRelease:
    return load_release(repository, exported.release.id)


@pytest.fixture(scope="module", name="endpoint")
def a_running_server(
    repository: Path, loaded: LoadedRelease, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    models = (loaded.release.image.model, loaded.release.text.model)
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    with TritonServer(TritonOptions(repository, models, log)) as server:
        yield server.endpoint


@pytest.fixture(name="client")
def a_client(endpoint: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(endpoint) as client:
        yield client


def tensor(name: str, rows: Rows) -> triton.InferInput:
    kind = "UINT8" if rows.dtype == np.uint8 else "INT64"
    sent = triton.InferInput(name, rows.shape, kind)
    sent.set_data_from_numpy(rows)
    return sent


def infer(client: triton.InferenceServerClient, model: str, name: str, rows: Rows) -> Batch:
    vectors: Batch = client.infer(model, [tensor(name, rows)]).as_numpy(OUTPUT_NAME)
    return vectors


def executions(client: triton.InferenceServerClient, model: str) -> tuple[int, int]:
    """Rows that were computed, and batches that they were computed in."""
    stats = client.get_inference_statistics(model).model_stats[0]
    return stats.inference_count, stats.execution_count


def test_the_server_gives_pytorchs_vectors(
    client: triton.InferenceServerClient, loaded: LoadedRelease
) -> None:
    release, golden = loaded.release, loaded.golden
    floor = PARITY_FLOOR[release.precision]
    images = infer(client, release.image.model, IMAGE_INPUT, golden.images)
    assert cosine(images, golden.image_vectors).min() > floor
    for text, expected in zip(golden.strings, golden.text_vectors, strict=True):
        row = loaded.tokenizer.encode(text)
        vector = infer(client, release.text.model, TEXT_INPUT, row[None])
        assert cosine(vector, expected[None])[0] > floor


def test_a_lone_request_never_waits_for_the_batchers_next_look(
    client: triton.InferenceServerClient, loaded: LoadedRelease
) -> None:
    """With one instance, about one in twenty of these took 500 ms."""
    row = loaded.tokenizer.encode("red shoe")[None]
    waits_s = []
    for _ in range(300):
        started = time.perf_counter()
        infer(client, loaded.release.text.model, TEXT_INPUT, row)
        waits_s.append(time.perf_counter() - started)
    assert max(waits_s) < 0.4


async def at_once(endpoint: str, model: str, name: str, rows: list[Rows]) -> list[Batch | str]:
    """Sends every row as a request of its own, all at once; vectors or what went wrong."""

    async def one(client: triton_aio.InferenceServerClient, row: Rows) -> Batch | str:
        try:
            vectors: Batch = (await client.infer(model, [tensor(name, row)])).as_numpy(OUTPUT_NAME)
        except InferenceServerException as error:
            return str(error)
        return vectors

    async with triton_aio.InferenceServerClient(endpoint) as client:
        return await asyncio.gather(*(one(client, row) for row in rows))


async def test_requests_that_come_together_are_computed_together(
    client: triton.InferenceServerClient, endpoint: str, loaded: LoadedRelease
) -> None:
    model, images = loaded.release.image.model, loaded.golden.images
    rows_before, batches_before = executions(client, model)
    chosen = [number % len(images) for number in range(48)]
    answers = await at_once(endpoint, model, IMAGE_INPUT, [images[n : n + 1] for n in chosen])
    rows, batches = executions(client, model)
    assert rows - rows_before == 48
    assert batches - batches_before < 24
    for number, answer in zip(chosen, answers, strict=True):
        assert not isinstance(answer, str), answer
        assert cosine(answer, loaded.golden.image_vectors[number : number + 1])[0] > 0.999


async def test_texts_of_different_lengths_get_each_their_own_vector(
    endpoint: str, loaded: LoadedRelease
) -> None:
    golden, model = loaded.golden, loaded.release.text.model
    rows: list[Rows] = [loaded.tokenizer.encode(text)[None] for text in golden.strings]
    rows *= 5
    assert len({row.shape for row in rows}) > 1
    answers = await at_once(endpoint, model, TEXT_INPUT, rows)
    for number, answer in enumerate(answers):
        expected = golden.text_vectors[number % len(golden.strings)]
        assert not isinstance(answer, str), answer
        assert cosine(answer, expected[None])[0] > 0.999


async def test_a_bad_row_fails_alone(endpoint: str, loaded: LoadedRelease) -> None:
    good = loaded.tokenizer.encode("red shoe")[None]
    bad = np.full_like(good, 10**6)
    rows: list[Rows] = [good, bad, good, bad, good] * 4
    answers = await at_once(endpoint, loaded.release.text.model, TEXT_INPUT, rows)
    for row, answer in zip(rows, answers, strict=True):
        if row is bad:
            assert isinstance(answer, str)
            assert "INVALID_ARGUMENT" in answer
        else:
            assert not isinstance(answer, str), answer


async def test_a_full_queue_refuses_instead_of_growing(
    endpoint: str, loaded: LoadedRelease
) -> None:
    one = loaded.golden.images[:1]
    answers = await at_once(endpoint, loaded.release.image.model, IMAGE_INPUT, [one] * 600)
    refused = [answer for answer in answers if isinstance(answer, str)]
    assert len(refused) < len(answers)
    assert all("Exceeds maximum queue size" in answer for answer in refused)
    assert refused
