"""The demo as a newcomer meets it: `lookalike demo`, a process of its own."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image

from gateway.local.sample_catalog import sample_items
from tests.integration.conftest import REPOSITORY

LOOKALIKE = [sys.executable, "-m", "gateway"]
START_TIMEOUT_S = 180.0
FREE = ("--port", "0", "--grpc-port", "0")


@dataclass(frozen=True)
class Running:
    """The process and its addresses."""

    process: subprocess.Popen[str]
    url: str
    grpc: str


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder, kept from test to test as a newcomer keeps it."""
    return tmp_path_factory.mktemp("demo")


def command(state: Path, *more: str) -> list[str]:
    return [*LOOKALIKE, "demo", "--state", str(state), "--repository", str(REPOSITORY), *more]


@pytest.fixture(scope="module")
def first_run(state: Path) -> str:
    """What `lookalike demo --once` printed on a machine that had nothing."""
    run = subprocess.run(
        command(state, *FREE, "--once"),
        capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def running(state: Path, first_run: str) -> Iterator[Running]:
    """A second start."""
    process = subprocess.Popen(
        command(state, *FREE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = grpc_port = ""
    for line in process.stdout:
        if found := re.search(r"ready on (http://\S+)", line):
            url = found[1]
        if found := re.search(r"gRPC \(lookalike\.v1\) is on port (\d+)", line):
            grpc_port = found[1]
        if "Ctrl-C" in line:
            break
    yield Running(process, url, f"127.0.0.1:{grpc_port}")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def titles(output: str, heading: str) -> list[str]:
    """The titles of the table under `heading`."""
    table = output.partition(heading)[2].partition("└")[0]
    return re.findall(r"│ (.+?) +│", table)


def test_once_finds_pizza_for_pizza(first_run: str) -> None:
    assert titles(first_run, 'words: "pizza"')[0] == "Pizza"


def test_once_finds_the_picture_itself(first_run: str) -> None:
    assert titles(first_run, "picture: ")[0] == "Red apple"


def test_once_joins_words_and_picture(first_run: str) -> None:
    assert "Green apple" in titles(first_run, "hybrid: ")[:3]


def test_the_output_fits_a_terminal(first_run: str) -> None:
    assert max(len(line) for line in first_run.splitlines()) <= 80


def test_a_second_start_indexes_nothing(
    running: Running,
) -> None:
    process, url = running.process, running.url
    metrics = httpx.get(f"{url}/metrics").text
    [rows] = re.findall(r"^lookalike_inference_rows_sum (\S+)$", metrics, re.MULTILINE)
    assert float(rows) < len(sample_items()) / 2  # golden inputs, and what was searched for
    assert 'lookalike_active_release{release="sample-v1"} 1.0' in metrics
    assert process.poll() is None


def test_it_is_ready_and_answers(running: Running) -> None:
    url = running.url
    assert httpx.get(f"{url}/health/ready").json()["ready"] is True
    answer = httpx.get(f"{url}/v1/search", params={"q": "pizza"}).json()
    assert answer["release"] == "sample-v1"
    assert answer["hits"][0]["id"] == "om-1f355"


def example(*command: str) -> list[str]:
    """The lines that an example prints."""
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def test_the_examples_run(running: Running, state: Path) -> None:
    examples, picture = REPOSITORY.parent / "examples", str(state / "pictures" / "om-1f34e.png")
    http = example(sys.executable, str(examples / "search_http.py"), running.url, picture)
    rpc = example(sys.executable, str(examples / "search_grpc.py"), running.grpc, picture)
    assert len(http) == 4
    assert http[3].startswith("['Red apple', ")
    assert rpc == http
    shell = example("/bin/sh", str(examples / "search.sh"), running.url, picture)
    words, seen = (json.loads(line) for line in shell)
    assert [f"{hit['item']['title']}" in http[n] for n, hit in enumerate(words["hits"])] == [
        True
    ] * 3
    assert seen["hits"][0]["item"] == {"title": "Red apple"}


def test_the_readmes_query_is_answered(
    running: Running,
) -> None:
    url = running.url
    readme = (REPOSITORY.parent / "README.md").read_text()
    [body] = re.findall(r"/v1/search -H [^\n]+ -d '(\{.*?\})'", readme, re.DOTALL)
    answer = httpx.post(f"{url}/v1/search", json=json.loads(body)).json()
    assert len(answer["hits"]) == 5
    assert all(set(hit["item"]) == {"title", "price"} for hit in answer["hits"])


def documented_searches() -> list[tuple[str, str]]:
    """The requests of docs/search.md, each with what it says came back."""
    page = (REPOSITORY.parent / "docs" / "search.md").read_text()
    return re.findall(r"```json\n(.*?)\n```\n```\n(.*?)\n```", page, re.DOTALL)


def test_the_documented_searches_give_what_is_documented(running: Running) -> None:
    assert len(documented_searches()) > 15
    for body, shown in documented_searches():
        response = httpx.post(f"{running.url}/v1/search", json=json.loads(body))
        if shown.startswith("422"):
            assert response.status_code == 422, body
            continue
        assert response.status_code == 200, (body, response.text)
        if "freshness" not in body:  # whose order changes as things grow old
            hit = response.json()["hits"][0]
            assert shown.startswith(f"{hit['score']:.3f}  {hit['item']['title']}  "), body


def as_photographed(path: Path, seed: int) -> bytes:
    """The picture turned by 10 degrees, resized and JPEG-compressed, on white."""
    with Image.open(path) as drawing:
        layered = drawing.convert("RGBA")
    flat = Image.new("RGB", layered.size, "white")
    flat.paste(layered, mask=layered.getchannel("A"))
    turned = flat.rotate(10, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    side_px = 120 + seed * 37 % 280
    out = io.BytesIO()
    turned.resize((side_px, side_px), Image.Resampling.BICUBIC).save(out, "JPEG", quality=75)
    return out.getvalue()


def test_a_changed_picture_still_finds_its_item_first(running: Running, state: Path) -> None:
    url = running.url
    pictures = sorted((state / "pictures").glob("*.png"))
    chosen = random.Random(7).sample(pictures, 200)
    first = []
    with httpx.Client(base_url=url, timeout=20) as http:
        for number, path in enumerate(chosen):
            upload = {"image": as_photographed(path, number)}
            answer = http.post("/v1/search/image", files=upload, data={"limit": 1}).json()
            first.append(answer["hits"][0]["id"] == path.stem)
    assert sum(first) / len(first) >= 0.95


def test_the_gateway_is_thin(running: Running, state: Path) -> None:
    process, url = running.process, running.url
    httpx.get(f"{url}/v1/search", params={"q": "pizza"})
    resident_kib = {"own": 0, "index": 0}
    for mapping in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps(process.pid))[1:]:
        head = mapping.partition("\n")[0]
        assert "torch" not in head
        assert "onnx" not in head
        # Pages of the index's files are the kernel's cache: it takes them back when it needs them.
        owner = "index" if str(state.resolve()) in head else "own"
        resident_kib[owner] += int(re.findall(r"(?m)^Rss:\s+(\d+) kB", mapping)[0])
    assert resident_kib["own"] < 200 * 1024
    assert resident_kib["index"] > 0


def test_a_second_gateway_on_the_same_index_is_told_so(running: Running, state: Path) -> None:
    run = subprocess.run(
        command(state, *FREE, "--once"), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "another" in run.stderr.lower()
    assert "Traceback" not in run.stderr


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = subprocess.run(
            command(tmp_path, "--port", port), capture_output=True, text=True, timeout=60,
            check=False, env=os.environ | {"COLUMNS": "200"},
        )  # fmt: skip
    assert run.returncode == 1
    assert re.search(rf"error: Port {port} on 127.0.0.1 is in use", run.stderr)
    assert "Traceback" not in run.stderr


def test_a_repository_without_release_is_one_sentence(tmp_path: Path) -> None:
    run = subprocess.run(
        [*LOOKALIKE, "demo", "--state", str(tmp_path), "--repository", str(tmp_path), *FREE],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "holds no release" in run.stderr


def test_a_changed_release_is_indexed_again(state: Path, first_run: str, tmp_path: Path) -> None:
    """A release exported anew under the same name has another fingerprint: never mixed."""
    folder = tmp_path / "state"
    subprocess.run(["/bin/cp", "-r", "--sparse=always", state, folder], check=True)
    record = next(folder.rglob("collection.json"))
    fingerprint = re.search(r'"fingerprint": ?"(\w+)"', record.read_text())
    assert fingerprint is not None
    record.write_text(record.read_text().replace(fingerprint[1], "0" * 64))
    run = subprocess.run(
        command(folder, *FREE, "--once"), capture_output=True, text=True,
        timeout=START_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "changed since it was indexed" in run.stderr
    shutil.rmtree(folder)


def test_ctrl_c_stops_every_process(state: Path, first_run: str, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    subprocess.run(["/bin/cp", "-r", "--sparse=always", state, folder], check=True)
    process = subprocess.Popen(
        command(folder, *FREE), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C" in line:
            break
    before = mine(process.pid)
    assert len(before) >= 3
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in stderr
    assert not [pid for pid in before if Path(f"/proc/{pid}").exists()]


def smaps(pid: int) -> str:
    """Every mapping of a process and what of it is in memory; see proc_pid_smaps(5)."""
    return Path(f"/proc/{pid}/smaps").read_text()


def mine(root: int) -> list[int]:
    """The process and all of its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return family
