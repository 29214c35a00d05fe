"""What `lookalike serve` writes, read by a machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx

from tests.integration.processes import LOOKALIKE, environment, waited_for


def test_every_line_is_json_from_the_start_to_the_end(tmp_path: Path) -> None:
    settings = {
        "log_format": "json", "log_level": "info", "triton": "127.0.0.1:1",
        "edge_folder": str(tmp_path / "index"),
    }  # fmt: skip
    command = [*LOOKALIKE, "serve", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        command, env=environment(settings), stderr=subprocess.PIPE, text=True
    ) as process:
        url = waited_for(process, r"listening on (http://\S+)")
        answer = httpx.get(f"{url}/v1/search?q=shibboleth", headers={"X-Request-Id": "cart-7"})
        httpx.get(f"{url}/health/live")
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert answer.status_code == 503
    lines = [json.loads(line) for line in said.splitlines()]
    [request] = [line for line in lines if line["logger"] == "gateway.request"]
    assert (request["request_id"], request["outcome"]) == ("cart-7", "unavailable")
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "shibboleth" not in said
