"""What becomes of the process that serves."""

from __future__ import annotations

import subprocess
import sys

KEPT = 100_000
SCRIPT = f"""
import gc
from gateway.cli.edges import spare_what_stays
kept = [[] for _ in range({KEPT})]
spare_what_stays()
print(len(gc.get_objects()))
"""


def test_the_collector_does_not_look_again_at_what_is_there_when_a_gateway_is_ready() -> None:
    """In a process of its own: what is spared is spared for good."""
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, check=True)
    assert int(found.stdout) < KEPT / 10
