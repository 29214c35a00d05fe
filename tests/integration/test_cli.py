"""`index`, `serve` and `verify` as a shop runs them: processes, real Triton, either store."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.local.sample_catalog import render_pictures, sample_items
from gateway.local.triton_server import TritonServer
from tests.integration.conftest import RELEASE, REPOSITORY
from tests.integration.processes import LOOKALIKE, ROOT, environment, lookalike, serving

ITEMS = 200


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop's own catalogue file, its pictures beside it; three rows of it are bad."""
    folder = tmp_path_factory.mktemp("catalogue")
    samples = sample_items()[:ITEMS]
    render_pictures(samples, folder, lambda _: None)
    (folder / "broken.png").write_bytes(b"no picture")
    rows = [
        {
            "id": sample.item.id,
            "title": sample.item.title,
            "pictures": list(sample.item.pictures),
            "category": sample.item.category,
            "attributes": {"in_stock": sample.item.attributes["in_stock"]},
        }
        for sample in samples
    ]
    bad = [
        {"id": "broken", "title": "Broken", "pictures": ["broken.png"]},
        {"id": "missing", "title": "Missing", "pictures": ["nowhere.png"]},
        {"id": "untitled", "pictures": ["broken.png"]},
    ]
    path = folder / "items.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [*rows, *bad]))
    return path


@pytest.fixture(scope="module")
def qdrant() -> Iterator[int]:
    """The port of a server that speaks Qdrant's protocol, in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.qdrant_wire", "--port", "0"], cwd=ROOT,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield int(process.stdout.readline().strip().rpartition(":")[2])
        process.terminate()


@pytest.fixture(params=["edge", "cluster"])
def store(request: pytest.FixtureRequest, triton: TritonServer, tmp_path: Path) -> dict[str, str]:
    """Settings of a gateway on real Triton and one of the stores."""
    common = {"triton": triton.endpoint, "model_repository": str(REPOSITORY)}
    if request.param == "edge":
        return common | {"edge_folder": str(tmp_path / "index")}
    port = request.getfixturevalue("qdrant")
    return common | {"store": "cluster", "qdrant_grpc_port": str(port)}


def edge(triton: TritonServer, folder: Path) -> dict[str, str]:
    return {
        "triton": triton.endpoint,
        "model_repository": str(REPOSITORY),
        "edge_folder": str(folder),
    }


def test_a_catalogue_is_indexed_served_and_kept_in_step(
    store: dict[str, str], catalogue: Path
) -> None:
    schema = catalogue.with_name("schema.toml")
    schema.write_text('[fields]\nin_stock = "bool"\n')
    run = lookalike(store, "index", "--catalog", str(catalogue), "--schema", str(schema))
    assert run.returncode == 0, run.stderr
    assert f"{ITEMS} items indexed ({ITEMS} pictures embedded), 3 left out" in run.stdout
    assert "broken: None of its pictures can be used" in run.stdout
    assert "row 203: title: " in run.stdout

    settings = store | {"pictures_folder": str(catalogue.parent)}
    with serving(settings) as (_, url), httpx.Client(base_url=url, timeout=20) as http:
        assert http.get("/health/ready").json()["ready"] is True
        picture = (catalogue.parent / "om-1f30d.png").read_bytes()
        found = http.post("/v1/search/image", files={"image": picture}).json()
        assert found["hits"][0]["id"] == "om-1f30d"
        assert found["release"] == RELEASE
        filtered = {"query": [{"text": "a"}], "filter": {
            "must": [{"key": "attributes.in_stock", "match": {"value": False}}]}}  # fmt: skip
        hits = http.post("/v1/search", json=filtered).json()["hits"]
        assert hits
        assert all(hit["item"]["attributes"]["in_stock"] is False for hit in hits)
        body = {"title": "Zeppelin", "pictures": ["om-1f30d.png"]}
        assert http.put("/v1/items/new", json=body).json()["embedded"] == 1
        assert http.get("/v1/search?q=zeppelin&mode=text").json()["hits"][0]["id"] == "new"
        assert http.delete("/v1/items/new").status_code == 204
        assert http.get("/v1/search?q=zeppelin&mode=text").json()["hits"] == []


def test_indexing_again_embeds_nothing(
    triton: TritonServer, catalogue: Path, tmp_path: Path
) -> None:
    settings = edge(triton, tmp_path / "index")
    lookalike(settings, "index", "--catalog", str(catalogue))
    schema = tmp_path / "schema.toml"
    schema.write_text('[fields]\ncolour = "keyword"\n')
    again = lookalike(
        settings, "index", "--catalog", str(catalogue), "--report", str(tmp_path / "report.jsonl"),
        "--schema", str(schema),
    )  # fmt: skip
    assert "Not filterable: attributes.colour (keyword)." in again.stderr
    assert f"{ITEMS} items indexed (0 pictures embedded), 3 left out" in again.stdout
    report = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [entry["item"] for entry in report] == ["row 203", "broken", "missing"]


def test_a_killed_run_goes_on_where_it_was(
    triton: TritonServer, catalogue: Path, tmp_path: Path
) -> None:
    settings = edge(triton, tmp_path / "index")
    before = rows_inferred(triton)
    command = [*LOOKALIKE, "index", "--catalog", str(catalogue)]
    with subprocess.Popen(command, env=environment(settings), stderr=subprocess.DEVNULL) as run:
        give_up_at = time.monotonic() + 60
        while rows_inferred(triton) < before + 96:
            assert run.poll() is None
            assert time.monotonic() < give_up_at
        run.send_signal(signal.SIGKILL)
    resumed = lookalike(settings, "index", "--catalog", str(catalogue))
    assert resumed.returncode == 0, resumed.stderr
    embedded = int(re.findall(r"\((\d+) pictures embedded\)", resumed.stdout)[0])
    assert 0 < embedded < ITEMS


def rows_inferred(triton: TritonServer) -> int:
    with grpc.insecure_channel(triton.endpoint) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelStatisticsRequest(name=f"{RELEASE}-image")
        return int(stub.ModelStatistics(request).model_stats[0].inference_count)


def test_verify_passes_the_live_release(triton: TritonServer) -> None:
    settings = {"triton": triton.endpoint, "model_repository": str(REPOSITORY)}
    run = lookalike(settings, "verify", RELEASE)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("pass") == 2


def test_verify_compares_files_without_a_server(tmp_path: Path) -> None:
    settings = {"triton": "127.0.0.1:1", "model_repository": str(REPOSITORY)}
    run = lookalike(settings, "verify", RELEASE, "--files")
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{RELEASE}: every file is as it was exported.\n"
    copy = tmp_path / "models"
    shutil.copytree(REPOSITORY, copy)
    weights = copy / f"{RELEASE}-text" / "1" / "model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1])
    run = lookalike(settings | {"model_repository": str(copy)}, "verify", RELEASE, "--files")
    assert run.returncode == 1
    assert "model.onnx" in run.stderr


MISTAKES = [
    (["verify", "nope"], {}, "has no release 'nope'; it has: sample-v1"),
    (["verify", RELEASE], {"triton": "127.0.0.1:1"}, "Triton cannot be reached"),
    (["index", "--catalog", "nowhere.jsonl"], {}, "nowhere.jsonl cannot be read"),
    (["index", "--catalog", "items.xlsx"], {}, "its name must end in one of"),
    (["serve", "--port", "99999"], {}, "LOOKALIKE_PORT: "),
    (["serve"], {"store": "mysql", "decode_threads": "0"}, "LOOKALIKE_DECODE_THREADS: "),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"), MISTAKES, ids=[" ".join(m[0])[:30] for m in MISTAKES]
)
def test_a_mistake_is_a_sentence_and_not_a_traceback(
    arguments: list[str], settings: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    defaults = {"model_repository": str(REPOSITORY), "edge_folder": str(tmp_path)}
    run = lookalike(defaults | settings, *arguments)
    assert run.returncode == 1
    assert sentence in run.stderr
    assert "Traceback" not in run.stderr


def test_serve_starts_without_backends_and_says_what_is_missing(tmp_path: Path) -> None:
    settings = {"triton": "127.0.0.1:1", "edge_folder": str(tmp_path / "index")}
    with serving(settings) as (_, url):
        ready = httpx.get(f"{url}/health/ready")
        assert ready.status_code == 503
        assert "lookalike index" in ready.json()["reason"]
        assert httpx.get(f"{url}/health/live").status_code == 200
