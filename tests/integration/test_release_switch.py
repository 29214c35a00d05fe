"""A change of model under load, on NVIDIA Triton: nothing fails, nothing is mixed, nothing lost."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw

from gateway.adapters.qdrant_cluster import ClusterIndex
from gateway.adapters.qdrant_cluster_client import ClusterOptions
from gateway.adapters.qdrant_edge import EdgeIndex
from gateway.domain.ports import CatalogIndex
from gateway.local.triton_server import TritonOptions, TritonServer
from tests.integration.conftest import RELEASE, REPOSITORY
from tests.integration.processes import LOOKALIKE, ROOT, environment, lookalike, serving
from tests.integration.second_release import other_architecture, rotated
from tests.integration.shop_load import ShopLoad

pytestmark = [pytest.mark.triton, pytest.mark.slow]

TURNED, OTHER = "turned-v1", "other-v1"
ITEMS = 300
KEY = "for this test"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample release, the same in a turned space, and one of another architecture."""
    folder = tmp_path_factory.mktemp("releases")
    target = folder / "repository"
    shutil.copytree(REPOSITORY, target, ignore=shutil.ignore_patterns("__pycache__"))
    rotated(target, RELEASE, TURNED)
    other_architecture(target, OTHER, folder / "source")
    return target


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """Triton with the sample's towers only; the others are loaded by the product."""
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    models = [f"{RELEASE}-image", f"{RELEASE}-text"]
    with TritonServer(TritonOptions(repository, models, log)) as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Drawings that differ."""
    folder = tmp_path_factory.mktemp("pictures")
    drawn = {f"p{number}": _drawing(random.Random(number)) for number in range(ITEMS)}
    for name, data in drawn.items():
        (folder / f"{name}.png").write_bytes(data)
    drawn["folder"] = str(folder).encode()
    return drawn


def _drawing(chance: random.Random) -> bytes:
    image = Image.new("RGB", (96, 96), tuple(chance.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        x, y, size = (chance.randrange(5, 60) for _ in range(3))
        shape = chance.choice((draw.ellipse, draw.rectangle))
        shape((x, y, x + size, y + size), fill=tuple(chance.randrange(256) for _ in range(3)))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def settings_of(
    repository: Path, server: TritonServer, pictures: Mapping[str, bytes]
) -> dict[str, str]:
    return {
        "model_repository": str(repository),
        "triton": server.endpoint,
        "pictures_folder": pictures["folder"].decode(),
        "admin_key": KEY,
        "default_timeout_s": "20",
    }


def indexed(settings: Mapping[str, str], folder: Path) -> None:
    """The catalogue with the sample release, as a shop begins."""
    catalog = folder / "items.jsonl"
    rows = [
        {"id": f"fixed-p{n}", "title": f"Thing {n}", "pictures": [f"p{n}.png"]}
        for n in range(ITEMS)
    ]
    catalog.write_text("\n".join(map(json.dumps, rows)))
    done = lookalike(settings, "index", "--catalog", str(catalog), "--release", RELEASE)
    assert done.returncode == 0, done.stdout + done.stderr


def load_on(
    urls: list[str], pictures: Mapping[str, bytes], there: dict[str, str] | None = None
) -> ShopLoad:
    """Load on a catalogue that is `there`, or as it was indexed."""
    names = {name: data for name, data in pictures.items() if name != "folder"}
    first = {f"fixed-{name}": f"Thing {name[1:]}" for name in names}
    return ShopLoad(urls, names, first if there is None else there)


async def releases(settings: Mapping[str, str], url: str, *arguments: str) -> str:
    """`lookalike releases …` against a gateway; must succeed."""
    done = await asyncio.to_thread(lookalike, settings, "releases", *arguments, "--gateway", url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


async def state(client: httpx.AsyncClient, url: str, release: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = await client.get(f"{url}/v1/releases/{release}", headers=headers)
    body: dict[str, Any] = answer.json()
    return body


async def begun(url: str, release: str, more_than: int) -> int:
    """Returns when the release's collection has more pictures; how many."""
    async with httpx.AsyncClient(timeout=30.0) as client, asyncio.timeout(120):
        while True:
            points = (await state(client, url, release))["points"]
            if points is not None and points > more_than:
                return int(points)
            await asyncio.sleep(0.02)


async def catalogue(index: CatalogIndex, collection: str) -> dict[str, str]:
    return {p["id"]: p["title"] async for p in index.payloads(collection)}


@contextmanager
def wire_qdrant() -> Iterator[int]:
    """A server that speaks Qdrant's protocol, as a process."""
    command = [sys.executable, "-m", "tests.qdrant_wire", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


async def killed_job(settings: Mapping[str, str], url: str, more_than: int) -> int:
    """A build in a process of its own, killed when it has embedded more than so many."""
    job = await asyncio.create_subprocess_exec(
        *LOOKALIKE, "releases", "build", TURNED, "--job", env=environment(settings),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        points = await begun(url, TURNED, more_than)
    finally:
        job.kill()
    assert await job.wait() == -signal.SIGKILL
    return points


async def test_two_gateways_switch_under_load_while_the_build_is_killed_twice(
    repository: Path,
    server: TritonServer,
    pictures: Mapping[str, bytes],
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(wire_qdrant())
        settings = settings_of(repository, server, pictures) | {
            "store": "cluster",
            "qdrant_host": "127.0.0.1",
            "qdrant_grpc_port": str(port),
        }
        indexed(settings, tmp_path)
        urls = [stack.enter_context(serving(settings))[1] for _ in range(2)]
        load = load_on(urls, pictures)
        async with load.running():
            await load.reach(20)
            once = await killed_job(settings, urls[0], 40)
            twice = await killed_job(settings, urls[0], once + 40)
            assert twice < ITEMS
            job = await asyncio.to_thread(lookalike, settings, "releases", "build", TURNED, "--job")
            assert job.returncode == 0, job.stderr
            await load.reach(40)
            for arguments in (("activate", TURNED), ("rollback",), ("activate", TURNED)):
                await releases(settings, urls[0], *arguments)
                await asyncio.sleep(1.0)  # the promise: every gateway follows within a second
                load.order.clear()
                await load.reach(60)
                expected = RELEASE if arguments == ("rollback",) else TURNED
                assert set(load.order) == {expected}
            await releases(settings, urls[1], "retire", RELEASE)
            await load.reach(40)
        assert load.failures == []
        assert load.answers.total() > 200
        index = ClusterIndex(ClusterOptions(host="127.0.0.1", grpc_port=port))
        assert await index.collections() == [TURNED]
        assert await catalogue(index, TURNED) == load.there
        await index.close()


async def test_the_embedded_store_switches_too_and_its_gateway_may_die_while_it_builds(
    repository: Path,
    server: TritonServer,
    pictures: Mapping[str, bytes],
    tmp_path: Path,
) -> None:
    """To a model of another architecture, vector length, tokenizer and picture size."""
    settings = settings_of(repository, server, pictures) | {"edge_folder": str(tmp_path / "index")}
    indexed(settings, tmp_path)
    there = None
    points = 40
    for _ in range(2):
        with serving(settings, -signal.SIGKILL) as (process, url):
            load = load_on([url], pictures, there)
            async with load.running():
                headers = {"Authorization": f"Bearer {KEY}"}
                async with httpx.AsyncClient(timeout=30.0, headers=headers) as client:
                    await client.post(f"{url}/v1/releases/{OTHER}/build")
                points = await begun(url, OTHER, points) + 40
                await load.pause()
                process.kill()
            assert load.failures == []
            there = load.there
    with serving(settings) as (_, url):
        load = load_on([url], pictures, there)
        async with load.running():
            said = await releases(settings, url, "build", OTHER)
            assert f"{OTHER} is built" in said
            await releases(settings, url, "trial", OTHER, "--canary", "50%", "--shadow", "100%")
            load.order.clear()
            await load.reach(80)
            assert set(load.order) == {RELEASE, OTHER}
            status = await releases(settings, url, "status", OTHER)
            assert "canary 0.5, shadow 1" in status
            assert "compared: overlap@10" in status
            for arguments in (("activate", OTHER), ("rollback",), ("activate", OTHER)):
                await releases(settings, url, *arguments)
                load.order.clear()
                await load.reach(60)
                assert set(load.order) == {RELEASE if arguments == ("rollback",) else OTHER}
            await releases(settings, url, "retire", RELEASE)
            await load.reach(40)
            listed = await releases(settings, url, "list")
            assert re.search(rf"{OTHER} .*active", listed)
            assert re.search(rf"{RELEASE} .*exported", listed)
        assert load.failures == []
    index = EdgeIndex.open(tmp_path / "index")
    assert await index.collections() == [OTHER]
    assert await catalogue(index, OTHER) == load.there
    await index.close()
