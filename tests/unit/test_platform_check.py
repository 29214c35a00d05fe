"""A machine that cannot run Triton is told so in one sentence, before anything is installed."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.local import platform_check

SCRIPT = Path(platform_check.__file__)


def test_this_machine_can() -> None:
    assert platform_check.problem() is None


@pytest.mark.parametrize(
    ("system", "machine", "libc", "words"),
    [
        ("Darwin", "arm64", ("", ""), "Darwin on arm64"),
        ("Windows", "AMD64", ("", ""), "Windows on AMD64"),
        ("Linux", "x86_64", ("", ""), "musl"),
        ("Linux", "x86_64", ("glibc", "2.31"), "glibc 2.31"),
        ("Linux", "riscv64", ("glibc", "2.40"), "riscv64"),
    ],
    ids=["macos", "windows", "musl", "old-glibc", "riscv"],
)
def test_another_machine_is_told_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: tuple[str, str], words: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    sentence = platform_check.problem()
    assert sentence is not None
    assert words in sentence


def test_a_python_without_its_library_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform_check, "_libpython_name", lambda: "libpython9.9.so.1.0")
    sentence = platform_check.problem()
    assert sentence is not None
    assert "apt-get install libpython9.9" in sentence


def test_it_runs_before_any_package_is_there() -> None:
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
