"""A real WordPress on PHP's own web server and SQLite: 6.5, with five users, emptied in milliseconds."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real import cache
from tests.real.process import Process, answers, free_port, scratch

PACKAGE, VERSION = "@wp-playground/wordpress-builds", "0.9.19"
"""The npm package that carries WordPress 6.5.5 and its project's SQLite drop-in, as zip files."""
ROLES = ("admin", "editor", "author", "contributor", "subscriber")
_PHP = Path(__file__).with_name("php")
_WORKERS = 4
_WORDPRESS, _SQLITE = (
    "src/wordpress/wp-6.5.zip",
    "src/sqlite-database-integration/sqlite-database-integration.zip",
)
_NO_PASSWORDS = """<?php
add_filter('wp_is_application_passwords_available', '__return_false');
"""
_CLOSED = """<?php
add_filter('rest_authentication_errors', function ($found) {
    if ($found === true || is_wp_error($found) || is_user_logged_in()) {
        return $found;
    }
    return new WP_Error('rest_closed', 'Only for people who are signed in.', ['status' => %d]);
});
"""


@dataclass(frozen=True, slots=True)
class Post:
    """A row of ``wp_posts`` that is neither a revision nor an unsaved draft; ``status`` may be ``trash``."""

    id: int
    slug: str
    status: str
    title: str
    content: str = field(repr=False)
    type: str = "post"
    excerpt: str = field(default="", repr=False)
    date_gmt: str = ""
    author: int = 0
    mime_type: str = ""


_COLUMNS = (
    "ID, post_name, post_status, post_title, post_content, post_type, post_excerpt, post_date_gmt, "
    "post_author, post_mime_type"
)


class WordPress:
    """A running site at ``url``; ``users`` have a login and an application password for each role.

    ``started`` holds how many seconds each step of the start took.
    """

    version = "6.5.5"

    def __init__(self, timezone: str = "Asia/Shanghai") -> None:
        """Starts it. Raises ``RuntimeError`` or :class:`~tests.real.cache.InstallError`."""
        self.folder = scratch("wordpress")
        self.root, self.started = self.folder / "wp", dict[str, float]()
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._processes: list[Process] = []
        try:
            self._start(timezone)
        except BaseException:
            self.stop()
            raise

    def _start(self, timezone: str) -> None:
        began = time.monotonic()
        self._unpack()
        shutil.copy(_PHP / "wp-config.php", self.root)
        self.environment("local")
        self._took("unpack", began)
        began = time.monotonic()
        self._start_database()
        self._took("database", began)
        began = time.monotonic()
        said = self._run_php("install.php", self.url, timezone)
        self.users: dict[str, tuple[str, str]] = {
            role: (login, password) for role, (login, password) in json.loads(said.splitlines()[-1]).items()
        }
        self.snapshot()
        self._took("install", began)
        began = time.monotonic()
        self._serve()
        self._took("serve", began)

    def _serve(self) -> None:
        command = [
            "php", *("-d", "opcache.enable_cli=1"),
            *("-d", "opcache.revalidate_freq=0"),  # a plug-in written by a test counts at once
            *("-d", "upload_max_filesize=32M"), *("-d", "post_max_size=40M"), *("-d", "display_errors=0"),
            *("-d", "log_errors=1"), *("-S", f"127.0.0.1:{self._port}"), *("-t", str(self.root)),
        ]  # fmt: skip
        workers = {**os.environ, "PHP_CLI_SERVER_WORKERS": str(_WORKERS)}
        server = Process(command, self.folder / "php.log", environment=workers)
        self._processes.append(server)
        server.wait_until(lambda: answers(self._port, "/wp-json/"))

    def _took(self, step: str, began: float) -> None:
        self.started[step] = round(time.monotonic() - began, 2)

    # --- The parts that depend on the database -------------------------------------------------------

    def _unpack(self) -> None:
        """Fills ``root`` with WordPress's files."""
        cache.copied(files(), self.root)

    def _start_database(self) -> None:
        """SQLite needs no server."""

    def snapshot(self) -> None:
        """Remembers the site as it is now, for :meth:`reset`."""
        shutil.copy(self._database(), self.folder / "snapshot.sqlite")

    def _restore(self) -> None:
        fresh = self.folder / "fresh.sqlite"
        shutil.copy(self.folder / "snapshot.sqlite", fresh)
        fresh.replace(self._database())  # a request that is under way keeps its own copy

    def _rows(self, statement: str) -> list[Sequence[Any]]:
        """What a SELECT gives. Waits for nothing: a case of the conformance kit would see that as sleeping."""
        with closing(sqlite3.connect(self._database())) as connection:
            return connection.execute(statement).fetchall()

    def _database(self) -> Path:
        return self.root / "wp-content" / "database" / "wp.sqlite"

    # --- For tests -----------------------------------------------------------------------------------

    def application_password(self, role: str = "editor") -> str:
        """The application password of the user with that role, whose login is the role's name."""
        return self.users[role][1]

    def posts(self, type: str = "post") -> list[Post]:
        """All posts (or pages, or attachments) of every status, oldest first, straight from the database."""
        where = f"post_type = '{type}' AND post_status <> 'auto-draft'"
        return [
            Post(*row) for row in self._rows(f"SELECT {_COLUMNS} FROM wp_posts WHERE {where} ORDER BY ID")
        ]

    def query(self, php: str) -> Any:
        """What the PHP code, run inside the site, returns; JSON carries it. ``return get_option('home');``"""
        return json.loads(self._run_php("run.php", code=php).splitlines()[-1])

    def option(self, name: str, value: object) -> None:
        """Sets one of the site's options."""
        given = json.dumps({"name": name, "value": value}, ensure_ascii=True)
        self.query(
            f"$o = json_decode({_quoted(given)}, true); update_option($o['name'], $o['value']); return 1;"
        )

    def mu_plugin(self, name: str, php_source: str) -> None:
        """Adds a must-use plug-in, which counts from the next request on; ``php_source`` begins with ``<?php``."""
        plugins = self.root / "wp-content" / "mu-plugins"
        plugins.mkdir(exist_ok=True)
        fresh = self.folder / f"{name}.php"
        fresh.write_text(php_source, encoding="utf-8")
        fresh.replace(plugins / fresh.name)

    def plain_permalinks(self) -> None:
        """Addresses of the form ``/?p=1``; the REST API answers at ``/?rest_route=/`` only."""
        self.option("permalink_structure", "")

    def environment(self, kind: str) -> None:
        """``local``, or ``production``, where application passwords are not taken over plain http."""
        fresh = self.folder / "site.json"
        fresh.write_text(json.dumps({"environment": kind, "db_host": self._db_host()}), encoding="utf-8")
        fresh.replace(self.root / "site.json")

    def without_application_passwords(self) -> None:
        """As a security plug-in does: application passwords are switched off altogether."""
        self.mu_plugin("no-passwords", _NO_PASSWORDS)

    def closed_to_visitors(self, status: int = 401) -> None:
        """As a security plug-in does: the REST API answers ``status`` to everybody who is not signed in."""
        self.mu_plugin("closed", _CLOSED % status)

    def reset(self) -> None:
        """As it was at the last :meth:`snapshot`: posts, options, uploads, plug-ins and environment."""
        content = self.root / "wp-content"
        self._restore()
        shutil.rmtree(content / "uploads", ignore_errors=True)
        shutil.rmtree(content / "mu-plugins", ignore_errors=True)
        self.environment("local")

    def stop(self) -> None:
        """Ends all servers and removes all files. May be called twice."""
        for process in reversed(self._processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _db_host(self) -> str:
        return "localhost"

    def _run_php(self, script: str, *arguments: str, code: str = "") -> str:
        command = [
            "php",
            "-d",
            "display_errors=0",
            "-d",
            "log_errors=0",
            str(_PHP / script),
            str(self.root),
            *arguments,
        ]
        done = subprocess.run(command, input=code, capture_output=True, text=True, encoding="utf-8")
        if done.returncode or not done.stdout.strip():
            raise RuntimeError(f"{script} failed: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        return done.stdout


def files() -> Path:
    """WordPress with the SQLite drop-in in place, made once."""

    def build(made: Path) -> None:
        archives = cache.unpacked(PACKAGE, VERSION, (_WORDPRESS, _SQLITE))
        shutil.unpack_archive(archives / _WORDPRESS, made)
        plugins = made / "wp-content" / "plugins"
        shutil.unpack_archive(archives / _SQLITE, plugins)
        plugin = (plugins / "sqlite-database-integration-main").rename(
            plugins / "sqlite-database-integration"
        )
        shutil.copy(plugin / "db.copy", made / "wp-content" / "db.php")
        for ready_made in ("wp-config.php", "wp-content/database/.ht.sqlite"):
            (made / ready_made).unlink(missing_ok=True)

    return cache.once("wordpress-6.5.5", build)


def _quoted(text: str) -> str:
    """``text`` as a PHP string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
