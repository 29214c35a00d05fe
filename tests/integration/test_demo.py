"""The demo as a newcomer meets it: `lookalike demo`, a process of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import REPOSITORY

LOOKALIKE = [sys.executable, "-m", "gateway"]
START_TIMEOUT_S = 180.0


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
        command(state, "--port", "0", "--once"),
        capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def running(state: Path, first_run: str) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """A second start: the process, its address, and the seconds until it was ready."""
    start = time.monotonic()
    process = subprocess.Popen(
        command(state, "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = ""
    for line in process.stdout:
        if found := re.search(r"ready on (http://\S+)", line):
            url = found[1]
        if "Ctrl-C" in line:
            break
    seconds = time.monotonic() - start
    yield process, url, seconds
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def titles(output: str, heading: str) -> list[str]:
    """The titles of the table under `heading`."""
    table = output.split(heading)[1].split("└")[0]
    return re.findall(r"│ (.+?) +│", table)


def test_once_finds_pizza_for_pizza(first_run: str) -> None:
    assert "Pizza" in titles(first_run, 'words: "pizza"')[:3]


def test_once_finds_the_picture_itself(first_run: str) -> None:
    assert titles(first_run, "picture: ")[0] == "Red apple"


def test_once_joins_words_and_picture(first_run: str) -> None:
    assert "Green apple" in titles(first_run, "hybrid: ")[:3]


def test_the_output_fits_a_terminal(first_run: str) -> None:
    assert max(len(line) for line in first_run.splitlines()) <= 80


def test_a_second_start_indexes_nothing(
    running: tuple[subprocess.Popen[str], str, float],
) -> None:
    process, url, seconds = running
    assert seconds < 10.0
    metrics = httpx.get(f"{url}/metrics").text
    assert 'lookalike_active_release{release="sample-v1"} 1.0' in metrics
    assert process.poll() is None


def test_it_is_ready_and_answers(running: tuple[subprocess.Popen[str], str, float]) -> None:
    _, url, _ = running
    assert httpx.get(f"{url}/health/ready").json()["ready"] is True
    answer = httpx.get(f"{url}/v1/search", params={"q": "pizza"}).json()
    assert answer["release"] == "sample-v1"
    assert answer["hits"][0]["id"] == "om-1f355"


def test_the_gateway_is_thin(running: tuple[subprocess.Popen[str], str, float]) -> None:
    process, url, _ = running
    httpx.get(f"{url}/v1/search", params={"q": "pizza"})
    maps = Path(f"/proc/{process.pid}/maps").read_text()
    assert "torch" not in maps
    assert "onnx" not in maps
    status = Path(f"/proc/{process.pid}/status").read_text()
    resident_kib = int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])
    assert resident_kib < 200 * 1024


def test_a_second_gateway_on_the_same_index_is_told_so(
    running: tuple[subprocess.Popen[str], str, float], state: Path
) -> None:
    run = subprocess.run(
        command(state, "--port", "0", "--once"), capture_output=True, text=True, timeout=60,
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
        [*LOOKALIKE, "demo", "--state", str(tmp_path), "--repository", str(tmp_path), "--port=0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "holds no release" in run.stderr


def test_a_changed_release_is_indexed_again(state: Path, first_run: str, tmp_path: Path) -> None:
    """A release exported anew under the same name has another fingerprint: never mixed."""
    folder = tmp_path / "state"
    subprocess.run(["cp", "-r", "--sparse=always", state, folder], check=True)
    record = next(folder.rglob("collection.json"))
    fingerprint = re.search(r'"fingerprint": ?"(\w+)"', record.read_text())
    assert fingerprint is not None
    record.write_text(record.read_text().replace(fingerprint[1], "0" * 64))
    run = subprocess.run(
        command(folder, "--port", "0", "--once"), capture_output=True, text=True,
        timeout=START_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "changed since it was indexed" in run.stderr
    shutil.rmtree(folder)


def test_ctrl_c_stops_every_process(state: Path, first_run: str, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    subprocess.run(["cp", "-r", "--sparse=always", state, folder], check=True)
    process = subprocess.Popen(
        command(folder, "--port", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C" in line:
            break
    before = mine(str(folder.resolve()), process.pid)
    assert len(before) >= 3
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in stderr
    assert not [pid for pid in before if Path(f"/proc/{pid}").exists()]


def mine(marker: str, root: int) -> list[int]:
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
