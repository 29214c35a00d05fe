"""docs/runbook.md: every command with a `$` is run, in its order, and prints what is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from gateway.local.sample_catalog import render_pictures, sample_items
from gateway.local.triton_server import TritonOptions, TritonServer
from tests.integration.conftest import RELEASE, REPOSITORY
from tests.integration.processes import LOOKALIKE, ROOT, environment, waited_for
from tests.integration.second_release import rotated

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
ALERTS = ROOT / "helm" / "alerts" / "lookalike.yaml"
ITEMS = 60
BLOCK_TIMEOUT_S = 120

_STEP = re.compile(
    r"<!-- here: (?P<event>.+?) -->|^(?P<indent> *)```console\n(?P<block>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


class Scene:
    """One machine with Triton, a server that speaks Qdrant's protocol, and one gateway, in a
    folder as the runbook's reader has it: items.jsonl, keys.txt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._repository = folder / "models"
        shutil.copytree(REPOSITORY, self._repository)
        rotated(self._repository, RELEASE, "sample-v2")
        self._catalogue()
        self._program()
        self._port, self._triton_port = _free_port(), _free_port()
        self._triton = self._started_triton([f"{RELEASE}-image", f"{RELEASE}-text"])
        self._gateway: subprocess.Popen[str] | None = None
        self._qdrant = subprocess.Popen(
            [sys.executable, "-m", "tests.qdrant_wire", "--port", "0"], cwd=ROOT,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._qdrant.stdout is not None
        qdrant_port = self._qdrant.stdout.readline().strip().rpartition(":")[2]
        settings = {
            "port": str(self._port),
            "grpc_port": str(_free_port()),
            "model_repository": str(self._repository),
            "triton": f"127.0.0.1:{self._triton_port}",
            "store": "cluster",
            "qdrant_grpc_port": qdrant_port,
            "keys_file": str(folder / "keys.txt"),
            "pictures_folder": str(folder),
            "client_key": "the-admin-s-own-secret",
            "default_timeout_s": "20",
        }
        self.environment = environment(settings, columns=80)
        self.environment["KEY"] = "the-shop-backend-s-secret"
        self.environment["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"

    def _catalogue(self) -> None:
        samples = sample_items()[:ITEMS]
        render_pictures(samples, self.folder, lambda _: None)
        rows = [
            {"id": s.item.id, "title": s.item.title, "pictures": list(s.item.pictures)}
            for s in samples
        ]
        (self.folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
        keys = "search+write:the-shop-backend-s-secret\nadmin:the-admin-s-own-secret\n"
        (self.folder / "keys.txt").write_text(keys)

    def _program(self) -> None:
        """A `lookalike` that is this tree's."""
        program = self.folder / "bin" / "lookalike"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {" ".join(LOOKALIKE)} "$@"\n')
        program.chmod(0o755)

    def _started_triton(self, models: list[str]) -> TritonServer:
        log = self.folder / "triton.log"
        options = TritonOptions(self._repository, models, log, grpc_port=self._triton_port)
        server = TritonServer(options)
        server.start()
        return server

    def happen(self, event: str) -> None:
        """What the runbook says happens between two blocks."""
        if event == "Triton stops":
            self._triton.stop()
        elif event == "Triton starts, with nothing loaded":
            self._triton = self._started_triton([])
        else:
            assert event in ("a gateway starts", "the gateway is restarted")
            self._stop_gateway()
            self._gateway = subprocess.Popen(
                [*LOOKALIKE, "serve"], env=self.environment, cwd=self.folder,
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            waited_for(self._gateway, r"listening on (\S+)")

    def _stop_gateway(self) -> None:
        if self._gateway is not None:
            self._gateway.terminate()
            self._gateway.communicate(timeout=60)

    def run(self, command: str) -> list[str]:
        """The lines that a command prints; it must succeed."""
        here = command.replace("localhost:8080", f"localhost:{self._port}")
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", here], cwd=self.folder, env=self.environment,
            capture_output=True, text=True, timeout=BLOCK_TIMEOUT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return [line.rstrip() for line in done.stdout.splitlines()]

    def close(self) -> None:
        """Ends everything."""
        self._stop_gateway()
        self._triton.stop()
        self._qdrant.terminate()
        self._qdrant.communicate(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _as_shown(printed: list[str], shown: list[str]) -> bool:
    """Whether it is what is shown, in which … stands for anything. Widths of tables may differ."""
    wanted, said = (re.sub(r" +", " ", "\n".join(lines)) for lines in (shown, printed))
    pattern = ".*".join(re.escape(part) for part in wanted.split("…"))
    return re.fullmatch(pattern, said, re.DOTALL) is not None


def _commands(block: str, indent: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that are shown after it."""
    lines = [line.removeprefix(indent) for line in block.splitlines()]
    starts = [n for n, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield lines[start].removeprefix("$ "), [x for x in lines[start + 1 : end] if x]


@pytest.mark.triton
@pytest.mark.slow
def test_every_command_does_what_the_runbook_says(tmp_path: Path) -> None:
    steps = list(_STEP.finditer(RUNBOOK))
    assert len([step for step in steps if step["block"]]) >= 14
    scene = Scene(tmp_path)
    try:
        for step in steps:
            if step["event"]:
                scene.happen(step["event"])
                continue
            for command, shown in _commands(step["block"], step["indent"]):
                printed = scene.run(command)
                assert not shown or _as_shown(printed, shown), f"{command}: {printed}"
    finally:
        scene.close()


def test_what_was_not_run_says_so_by_having_no_prompt() -> None:
    for kind, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```$", RUNBOOK, re.MULTILINE | re.DOTALL):
        prompted = re.search(r"^ *\$ ", block, re.MULTILINE) is not None
        assert prompted == (kind == "console"), block


@pytest.mark.skipif(not ALERTS.exists(), reason="there are no alerts in this tree")
def test_every_alert_has_its_section_and_no_other() -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert {rule["alert"] for rule in alerts} == set(
        re.findall(r"^### (Lookalike\w+)$", RUNBOOK, re.MULTILINE)
    )
    for rule in alerts:
        link = f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook_url"] == link
