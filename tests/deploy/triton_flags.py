"""What NVIDIA Triton itself says that it can be told."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from gateway.local.triton_server import _environment, _wheel


@cache
def triton_flags() -> frozenset[str]:
    """The flags of the wheel's Triton (2.51), by its own `--help`."""
    wheel = _wheel()
    said = subprocess.run(
        [wheel / "bin" / "tritonserver", "--help"], env=_environment(wheel),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return frozenset(re.findall(r"^\s+(--[a-z0-9-]+)", said.stdout + said.stderr, re.MULTILINE))
