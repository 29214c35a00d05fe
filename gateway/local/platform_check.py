"""Whether this machine can run the demo. Standard library only: it runs before an installation.

As a script it prints one sentence and exits 1 when something is missing.
"""

from __future__ import annotations

import ctypes
import platform
import sys
import sysconfig
from pathlib import Path

# The nvidia-pytriton wheel carries Python backend stubs for these.
PYTHONS = ((3, 11), (3, 12), (3, 13))
GLIBC = (2, 35)  # the wheel's own tag: manylinux_2_35


def problem() -> str | None:
    """What keeps Triton's wheel from running here, with what to do about it; None if nothing."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux" or machine not in ("x86_64", "aarch64"):
        return (
            f"The demo runs NVIDIA Triton itself, whose wheel exists for Linux on x86_64 and "
            f"aarch64; this is {system} on {machine}. Use a Linux machine or container, or point "
            f"`lookalike serve` at a Triton elsewhere."
        )
    libc, version = platform.libc_ver()
    if libc != "glibc" or tuple(int(n) for n in version.split(".")[:2]) < GLIBC:
        found = f"{libc} {version}".strip() or "another C library (musl?)"
        wanted = ".".join(map(str, GLIBC))
        return (
            f"Triton's wheel needs glibc {wanted} or newer; this machine has {found}. "
            f"Debian 12, Ubuntu 22.04 and later have it; Alpine does not."
        )
    if sys.version_info[:2] not in PYTHONS:
        names = ", ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"The demo needs Python {names}; this is {here}. Run `make demo PYTHON=python3.11`."
    if libpython() is None:
        name = _libpython_name()
        short = name.split(".so")[0]
        return (
            f"Triton's Python backend needs {name}, which this Python does not come with. "
            f"Install it (Debian, Ubuntu: `apt-get install {short}`), or use a Python that was "
            f"built with --enable-shared."
        )
    return None


def libpython() -> str | None:
    """The folder that holds this Python's shared library; "" if the system's linker finds it
    by itself; None if there is none."""
    name = _libpython_name()
    folders = [sysconfig.get_config_var("LIBDIR"), str(Path(sys.base_prefix) / "lib")]
    for folder in folders:
        if folder and (Path(folder) / name).exists():
            return str(folder)
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return ""


def _libpython_name() -> str:
    return f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"


if __name__ == "__main__":
    sentence = problem()
    if sentence is not None:
        print(sentence, file=sys.stderr)
        sys.exit(1)
