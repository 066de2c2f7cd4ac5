"""Opens the store: SQLite in the home folder, or PostgreSQL by changing one address."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    NotSupportedError,
    ProgrammingError,
)

from publisher.errors import PublisherError, SettingsError
from publisher.store.host import HostLock
from publisher.store.transaction import Transaction

HEAD = "0006"
"""The newest migration. A test holds it to the migrations folder."""

_BUSY_SECONDS = 30.0


class Store:
    """The only truth. Every ``write()`` is one transaction; nothing else changes anything."""

    def __init__(self, engine: Engine, lock: HostLock | None = None) -> None:
        self._engine, self._lock = engine, lock

    @classmethod
    def open(cls, home: Path, url: str = "") -> Store:
        """Opens the store and brings its tables up to date.

        ``url`` empty means ``home/publisher.sqlite3``. Raises :class:`PublisherError` in words for a person;
        the address, which may hold a password, is never part of them.
        """
        store = cls(_server(url)) if url else cls(*_sqlite(home))
        try:
            store._migrate()
        except PublisherError:
            store.close()
            raise
        return store

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction, committed at the end and rolled back by any exception."""
        with _in_words(), self._engine.begin() as connection:
            yield Transaction(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent view that takes no write lock."""
        with _in_words(), self._engine.connect() as connection:
            yield Transaction(connection.execution_options(publisher_read=True))

    def close(self) -> None:
        """Releases all connections, and the machine's hold on a SQLite file."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def _migrate(self) -> None:
        with _in_words():
            if self._version() == HEAD:
                return
            with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(727274)"))
                _upgrade(connection)

    def _version(self) -> str:
        with self._engine.connect() as connection:
            try:
                return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar())
            except DBAPIError:
                return ""  # a new store has no tables yet


def _upgrade(connection: Connection) -> None:
    from alembic import command  # heavy, and needed only when there is something to do
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise PublisherError(
            "The store was written by a newer version of this program; install that version again."
        ) from None


def _sqlite(home: Path) -> tuple[Engine, HostLock]:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(f"PUBLISHER_HOME: {home} cannot be made: {error.strerror}.") from None
    lock = HostLock(home)
    path = home / "publisher.sqlite3"
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        # Recursive triggers: without them REPLACE would delete a line of the log unnoticed.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later would fail under load; so writers queue at the door.
        reading = connection.get_execution_options().get("publisher_read")
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine, lock


def _server(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(
            "PUBLISHER_DATABASE_URL is not an address; write it like postgresql://user:password@host/database."
        ) from None
    if parsed.get_backend_name() != "postgresql":
        raise SettingsError(
            "PUBLISHER_DATABASE_URL must be a PostgreSQL address; leave it empty to use SQLite."
        )
    try:
        return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    except (ModuleNotFoundError, NoSuchModuleError):
        raise SettingsError(
            'PUBLISHER_DATABASE_URL needs the PostgreSQL driver; run: pip install "bilingual-publisher[postgres]"'
        ) from None


@contextmanager
def _in_words() -> Iterator[None]:
    """Translates what a database says into a sentence that names the next step, without the address."""
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, IntegrityError | ProgrammingError | DataError | NotSupportedError):
            raise  # a slip of ours
        what = str(error.orig).strip().splitlines()[0] if error.orig else "no reason given"
        raise PublisherError(
            f"The store cannot be used: {what}; check the disk and PUBLISHER_HOME."
        ) from None
