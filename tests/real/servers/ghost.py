"""A real Ghost 5.130 on Node and SQLite, with an integration's key, emptied without a restart."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real import cache
from tests.real.process import Process, answers, free_port, scratch

VERSION = "5.130.6"
"""The last line for Node 18 and 20."""
_OWNER = {"name": "编辑 Editor", "email": "editor@example.test", "password": "Yunling-by-the-river-2026"}
_API = "/ghost/api/admin"
_EMPTIED = (
    "posts_tags", "posts_authors", "posts_meta", "post_revisions", "mobiledoc_revisions", "posts_products", "posts",
    "tags", "actions",
)  # fmt: skip
"""Tables that hold what tests make, those that point at others first."""


@dataclass(frozen=True, slots=True)
class GhostPost:
    """A row of Ghost's ``posts``; ``html`` is empty for a post without text."""

    id: str
    slug: str
    status: str
    title: str
    html: str = field(repr=False)
    type: str = "post"


class Ghost:
    """A running site at ``url``; ``admin_key`` is an integration's ``id:secret``.

    ``started`` holds how many seconds each step of the start took.
    """

    version = VERSION

    def __init__(self) -> None:
        """Starts it. Raises ``RuntimeError`` or :class:`~tests.real.cache.InstallError`."""
        self._program, self.started = program(), dict[str, float]()
        self.folder = scratch("ghost")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._process: Process | None = None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        began = time.monotonic()
        content = self.folder / "content"
        cache.copied(self._program / "content", content)
        # Ghost looks for its files in the working folder, so what is ours comes through the environment.
        environment = {**os.environ, "NODE_ENV": "development", **_flat(self._config(content))}
        self._process = Process(
            ["node", "index.js"], self.folder / "ghost.log", folder=self._program, environment=environment
        )
        self._process.wait_until(lambda: answers(self._port, f"{_API}/site/"), timeout=120)
        self.started["serve"] = round(time.monotonic() - began, 2)
        began = time.monotonic()
        self.admin_key = self._set_up()
        self.reset()
        self.started["setup"] = round(time.monotonic() - began, 2)

    def _config(self, content: Path) -> dict[str, Any]:
        return {
            "url": self.url,
            "server": {"host": "127.0.0.1", "port": self._port},
            "database": {
                "client": "sqlite3", "useNullAsDefault": True,
                "connection": {"filename": str(self._database())},
            },
            "mail": {"transport": "SMTP", "options": {"host": "127.0.0.1", "port": 9, "ignoreTLS": True}},
            "paths": {"contentPath": str(content)},
            "privacy": {"useUpdateCheck": False, "useGravatar": False, "useRpcPing": False, "useStructuredData": True},
            "security": {"staffDeviceVerification": False},
            "logging": {"transports": ["stdout"], "level": "warn"},
            "spam": {name: {"freeRetries": 100_000} for name in ("content_api_key", "user_login", "global_reset")},
            "sodoSearch": {"url": False}, "portal": {"url": False}, "comments": {"url": False},
        }  # fmt: skip

    def _set_up(self) -> str:
        """Makes the owner and an integration, as a person would in the browser; the integration's admin key."""
        self._ask("authentication/setup/", {"setup": [{**_OWNER, "blogTitle": "公告测试 Test Site"}]})
        cookie = self._ask("session/", {"username": _OWNER["email"], "password": _OWNER["password"]})[1]
        made, _ = self._ask(
            "integrations/?include=api_keys", {"integrations": [{"name": "publisher"}]}, cookie
        )
        keys = made["integrations"][0]["api_keys"]
        secret: str = next(key["secret"] for key in keys if key["type"] == "admin")
        return secret

    def _ask(self, path: str, body: object, cookie: str = "") -> tuple[Any, str]:
        """The answer to a POST, and the cookie it sets."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {"Content-Type": "application/json", "Origin": self.url, "Cookie": cookie}
        try:
            connection.request("POST", f"{_API}/{path}", json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status not in (200, 201):
                raise RuntimeError(f"Ghost answered {answer.status} to {path}: {text[:500]}")
            given = (answer.getheader("set-cookie") or "").partition(";")[0]
            return (json.loads(text) if text.startswith("{") else text), given
        finally:
            connection.close()

    def _database(self) -> Path:
        return self.folder / "ghost.db"

    # --- For tests -----------------------------------------------------------------------------------

    def posts(self, type: str = "post") -> list[GhostPost]:
        """All posts (or pages) of every status, oldest first, straight from the database."""
        statement = "SELECT id, slug, status, title, coalesce(html, ''), type FROM posts WHERE type = ? ORDER BY created_at, id"
        with closing(sqlite3.connect(self._database())) as connection:
            return [GhostPost(*row) for row in connection.execute(statement, (type,))]

    def reset(self) -> None:
        """No posts, pages, tags or pictures; the owner, the key and the settings stay. The server keeps running."""
        with closing(sqlite3.connect(self._database(), timeout=20)) as connection, connection:
            for table in _EMPTIED:
                connection.execute(f"DELETE FROM {table}")
        shutil.rmtree(self.folder / "content" / "images", ignore_errors=True)
        (self.folder / "content" / "images").mkdir()

    def stop(self) -> None:
        """Ends the server and removes all files. May be called twice."""
        if self._process:
            self._process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _flat(config: dict[str, Any], path: str = "") -> dict[str, str]:
    """Nested settings as Ghost reads them from the environment: ``server__port=1234``, values as JSON."""
    found: dict[str, str] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{path}{name}__")
        else:
            found[path + name] = value if isinstance(value, str) else json.dumps(value)
    return found


def program() -> Path:
    """Ghost with its dependencies, built once: minutes from nothing."""

    def build(made: Path) -> None:
        cache.copied(cache.unpacked("ghost", VERSION), made)
        (made / "yarn.lock").unlink(missing_ok=True)
        manifest = made / "package.json"
        described = json.loads(manifest.read_text(encoding="utf-8"))
        del described["devDependencies"]  # one of them is not in the registry
        described["overrides"] = described.pop("resolutions", {})  # what npm calls yarn's
        manifest.write_text(json.dumps(described), encoding="utf-8")
        install = ["npm", "install", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
        cache.run("npm install ghost", install, made)
        # The other native parts have fallbacks in JavaScript; this one would be compiled for minutes more.
        cache.run("npm rebuild sqlite3 for ghost", ["npm", "rebuild", "sqlite3"], made, _headers())

    return cache.once(f"ghost-{VERSION}-{_node()}", build)


def _node() -> str:
    """The line of Node, for which the native part is compiled: ``node20``."""
    return "node" + cache.run("node version", ["node", "--version"]).strip().lstrip("v").partition(".")[0]


def _headers() -> dict[str, str]:
    """Compiles against the headers of the Node that is installed, where it has some."""
    return {"npm_config_nodedir": "/usr"} if Path("/usr/include/node").is_dir() else {}
