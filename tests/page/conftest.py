"""A shop, a browser, and a page that must not have complained by the end of a test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.page.serving import Served, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.page.browser import Visit


# Not longer than this package: Playwright keeps an event loop running beneath the tests, and no
# asynchronous test can run there.
@pytest.fixture(scope="package")
def opened_browser() -> Iterator[Browser]:
    """One browser for all tests of the page."""
    pytest.importorskip("playwright", reason="playwright is not installed (the extra `dev`)")
    from tests.page.browser import browser, chromium

    executable = chromium()
    if executable is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or name one in CHROMIUM")
    with browser(executable) as opened:
        yield opened


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shop that the page belongs to; tests put right what they break."""
    with served(tmp_path_factory.mktemp("page") / "index") as shop:
        yield shop


@pytest.fixture
def served_shop(running: Served) -> Iterator[Served]:
    """The shop, whole again after a test that broke it."""
    yield running
    running.shop.inference.failing = None


@pytest.fixture
def visit(opened_browser: Browser, served_shop: Served) -> Iterator[Visit]:
    """A visitor who has not opened the page yet. Afterwards: no error in the console, no breach of
    the content-security policy, and not a request to anywhere else."""
    from tests.page.browser import Visit

    context = opened_browser.new_context(viewport={"width": 1280, "height": 900})
    visitor = Visit(context.new_page(), served_shop.url)
    yield visitor
    context.close()
    assert visitor.complaints == []
    assert visitor.hosts <= {visitor.url.split("/")[2]}
