"""A real headless Chromium for tests of pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

__all__ = ["VARIABLE", "Opened", "chromium", "find_chromium", "open_page"]

VARIABLE = "HIDDENPOP_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Find the browser that the environment names, else one on the path."""
    named = os.environ.get(VARIABLE)
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start a browser, or skip the test with what to install."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = find_chromium()
    if path is None:
        pytest.skip(
            f"needs Chromium: install it (apt-get install chromium), or set {VARIABLE} to the path of a browser"
        )
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Opened:
    """A page with what it said and what it asked for."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextmanager
def open_page(browser: Any, url: str, **options: Any) -> Iterator[Opened]:
    """Open a page and note its console messages, errors and requests other than itself and its data."""
    context = browser.new_context(**options)
    try:
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.messages.append(message.text))
        opened.page.on("pageerror", lambda error: opened.messages.append(str(error)))
        opened.page.on("request", lambda request: _note(opened, request.url, url))
        opened.page.goto(url, wait_until="load")
        yield opened
    finally:
        context.close()


def _note(opened: Opened, asked: str, own: str) -> None:
    if not asked.startswith("data:") and asked.split("#", maxsplit=1)[0] != own.split("#", maxsplit=1)[0]:
        opened.requests.append(asked)
