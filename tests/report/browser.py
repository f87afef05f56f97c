"""A real headless Chromium for the tests of pages, and what a page did in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """A started browser; skips the test where none can be had."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    installed = next((path for name in NAMES if (path := shutil.which(name))), None)
    with api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox", "--disable-gpu"])
        except api.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, and everything it complained about or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)  # tried, for anything but the page itself
    left: list[str] = field(default_factory=list)  # of these, what no policy held back


@contextmanager
def visit(browser: Any, path: Path, fragment: str = "", **context: Any) -> Iterator[Visit]:
    """Open a file. What it asks for beside itself is recorded and refused."""
    with browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}) as tab:
        seen = Visit(tab.new_page())
        seen.page.set_default_timeout(60_000)  # a busy machine is slow, not wrong
        address = path.resolve().as_uri()

        def route(request: Any) -> None:
            if request.request.url.split("#")[0] == address:
                request.continue_()
            else:
                seen.left.append(request.request.url)
                request.abort()

        def record(request: Any) -> None:
            if request.url.split("#")[0] != address and not request.url.startswith("data:"):
                seen.requests.append(request.url)

        tab.route("**/*", route)
        seen.page.on("request", record)
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("dialog", lambda dialog: (seen.complaints.append(dialog.message), dialog.dismiss()))
        seen.page.goto(address + fragment)
        yield seen
