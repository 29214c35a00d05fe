"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.shop import ITEMS, Shop, open_shop


@pytest.fixture(scope="session")
def indexed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small shop's index, made once: making it takes longer than most tests."""
    folder = tmp_path_factory.mktemp("shop") / "index"

    async def make() -> None:
        async with open_shop(folder, ITEMS):
            pass

    asyncio.run(make())
    return folder


@pytest.fixture
async def shop(indexed_folder: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    """The small shop, indexed and answering; each test has its own."""
    # The store's files are mostly holes: 290 MB to shutil, 1 MB to cp.
    copy = ["/bin/cp", "-r", "--sparse=always", str(indexed_folder), str(tmp_path / "index")]
    await asyncio.to_thread(lambda: subprocess.run(copy, check=True))
    async with open_shop(tmp_path / "index") as opened:
        yield opened
