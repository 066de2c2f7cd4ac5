"""A real browser: what people see of a page, and what people who cannot see get of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Page, sync_playwright

from tests.real import axe

T = TypeVar("T")

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})"
_HERE = ("http://127.0.0.1:", "file:", "data:", "blob:", "about:")
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-proxy-server",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Violation:
    """What axe finds wrong: ``rule`` is its name for it, ``elements`` are the HTML of what is concerned."""

    rule: str
    impact: str
    help: str
    elements: tuple[str, ...]


class Browser:
    """Headless Chromium. Pages reach 127.0.0.1 and files only; anything else fails as if there were no network.

    Playwright keeps an event loop running in its thread, so it has one of its own: cases run loops too.
    """

    def __init__(self) -> None:
        """Starts it: PUBLISHER_CHROMIUM, else /usr/bin/chromium."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="browser")
        self._axe = axe.script().read_text(encoding="utf-8")
        try:
            self._thread.submit(self._start).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def _start(self) -> None:
        program = os.environ.get("PUBLISHER_CHROMIUM", "/usr/bin/chromium")
        self._playwright = sync_playwright().start()
        try:
            self._chromium = self._playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        except BaseException:
            self._playwright.stop()
            raise

    def look(
        self,
        url_or_html: str,
        act: Callable[[Page], T],
        width: int = 1280,
        *,
        dark: bool = False,
        scripts: bool = True,
    ) -> T:
        """What ``act`` gives for an open page: one at an address, or made of HTML that begins with ``<``.

        ``width`` is in CSS pixels. ``act`` runs in the browser's thread and must not keep the page.
        """

        def opened() -> T:
            context = self._chromium.new_context(
                viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light",
                java_script_enabled=scripts, bypass_csp=True, reduced_motion="reduce",
            )  # fmt: skip
            with closing(context):
                page = context.new_page()
                page.route(lambda address: not address.startswith(_HERE), lambda route: route.abort())
                if url_or_html.lstrip().startswith("<"):
                    page.set_content(url_or_html, wait_until="load")
                else:
                    page.goto(url_or_html, wait_until="load")
                return act(page)

        return self._thread.submit(opened).result()

    def screenshot(self, url: str, path: Path, width: int = 1280, dark: bool = False) -> Path:
        """``path``, with a picture (PNG) of the whole page."""
        self.look(url, lambda page: page.screenshot(path=path, full_page=True), width, dark=dark)
        return path

    def axe(self, url_or_html: str, width: int = 1280, *, dark: bool = False) -> list[Violation]:
        """What axe finds against WCAG 2.2 AA and its own good practice."""

        def found(page: Page) -> list[Violation]:
            page.evaluate(self._axe)
            answer = page.evaluate(_RUN, _RULES)
            return [_violation(one) for one in answer["violations"]]

        return self.look(url_or_html, found, width, dark=dark)

    def stop(self) -> None:
        """Ends the browser."""
        self._thread.submit(self._chromium.close).result()
        self._thread.submit(self._playwright.stop).result()
        self._thread.shutdown()


def _violation(found: dict[str, Any]) -> Violation:
    elements = tuple(node["html"] for node in found["nodes"])
    return Violation(found["id"], found["impact"] or "", found["help"], elements)
