"""A Chromium for the tests of pages: what a page asks for and says is looked at when it closes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, *known: str, **how: Any) -> Iterator[Any]:
    """A tab of 400 × 900 pixels at an address.

    Behind the block: it has said nothing on its console and asked for nothing but what begins with one of `known`, and
    it fits its width. how: of Playwright's new_context.
    """
    context = browser.new_context(viewport={"width": 400, "height": 900}, **how)
    tab, said, asked = context.new_page(), list[str](), list[str]()
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(address)
    yield tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    assert said == []
    assert [url for url in asked if not url.startswith(known)] == []
    context.close()


def draw_a_line(tab: Any) -> None:
    """A stroke from above to below, in the middle of the canvas."""
    box = tab.locator("#draw").bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + 140, box["y"] + 40)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 140, box["y"] + 240, steps=6)
    tab.mouse.up()
    tab.wait_for_timeout(500)
