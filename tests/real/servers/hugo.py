"""A bilingual Hugo site of our own, built by the real program and served as its visitors see it."""

from __future__ import annotations

import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.real.process import scratch

_SITE = Path(__file__).with_name("hugo_site")


class HugoError(Exception):
    """Hugo refused the site; holds what it said."""


class Hugo:
    """A site whose sources are in ``site`` (``site/content/zh`` and ``site/content/en``), with no pages yet."""

    def __init__(self) -> None:
        self.folder = scratch("hugo")
        self.site = self.folder / "site"
        self._server: ThreadingHTTPServer | None = None
        self.reset()

    def reset(self) -> None:
        """The site as it was: no pages, no static files."""
        shutil.rmtree(self.site, ignore_errors=True)
        shutil.copytree(_SITE, self.site)
        for language in ("zh", "en"):
            (self.site / "content" / language).mkdir(parents=True)

    def build(self, destination: Path | None = None, base_url: str = "https://www.example.org/") -> Path:
        """The folder of the finished pages. Raises :class:`HugoError`.

        Drafts and pages with a date to come are left out without a word: look whether a page is there. Hugo leaves
        what earlier builds put into ``destination``; the usual folder begins empty.
        """
        target = destination or self.folder / "public"
        if destination is None:
            shutil.rmtree(target, ignore_errors=True)
        command = ["hugo", "--source", str(self.site), "--destination", str(target.absolute()), "--baseURL", base_url,
                   "--cacheDir", str(self.folder / "cache"), "--noBuildLock"]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            raise HugoError(f"{done.stdout}{done.stderr}")
        return target

    def serve(self) -> str:
        """Serves what :meth:`build` makes at its usual place, from the next build on too; the address, no slash."""
        if self._server is None:
            public = self.folder / "public"
            public.mkdir(exist_ok=True)
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(public)))
            threading.Thread(target=self._server.serve_forever, name="hugo pages", daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Ends the server and removes all files. May be called twice."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        shutil.rmtree(self.folder, ignore_errors=True)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """A test's output is not the place for an access log."""
