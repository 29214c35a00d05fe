"""A headless Chromium, and a page that hears everything it complains about."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, sync_playwright

TIMEOUT_MS = 15_000


def chromium() -> str | None:
    """Where the browser is: `CHROMIUM`, or on the path."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """A browser of its own; the tests run as root in containers, where it has no sandbox."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield opened
        finally:
            opened.close()


class Visit:
    """The page as a shopper has it open, with what it asked and what the browser complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.searches: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._note)

    def open(self, link: str = "") -> Visit:
        """Goes to the page, with what a link asks for."""
        self.page.goto(self.url + link)
        return self

    def show(self, picture: bytes, name: str = "photo.jpg") -> None:
        """Chooses a picture's file."""
        kind = "image/jpeg" if name.endswith("jpg") else "application/octet-stream"
        self.page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": picture})

    def type(self, words: str) -> None:
        """Types words and presses Enter."""
        self.page.get_by_role("searchbox", name="Words").fill(words)
        self.page.keyboard.press("Enter")

    def press(self, name: str) -> None:
        """Presses the first button of this name."""
        self.page.get_by_role("button", name=name).first.click()

    def chip(self, name: str) -> Locator:
        """The chip of a category, which may be among those that are not shown at first."""
        more = self.page.get_by_role("group", name="category").get_by_text("more", exact=False)
        if more.is_visible():
            more.click()
        return self.page.get_by_role("checkbox", name=name)

    @property
    def heading(self) -> Locator:
        """The results' heading."""
        return self.page.locator("#results-title")

    @property
    def titles(self) -> Locator:
        """The titles of the items that are shown."""
        return self.page.locator("#grid .title")

    @property
    def first(self) -> Locator:
        """The title of the first of them."""
        return self.titles.first

    def sent_picture(self) -> Image.Image:
        """The picture of the latest search that carried one."""
        parts = [part for search in self.searches for part in search["query"] if "image" in part]
        return Image.open(io.BytesIO(base64.b64decode(parts[-1]["image"].partition(",")[2])))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _note(self, request: Request) -> None:
        if request.url.startswith("http"):
            self.hosts.add(request.url.split("/")[2])
        if request.url.endswith("/v1/search") and request.post_data:
            self.searches.append(json.loads(request.post_data))
