"""The worker as a process: on time, alone, ended cleanly, silent about secrets."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog

from publisher import clock, registry, settings
from publisher.desk import Desk
from publisher.store import Store
from publisher.worker import configure_logging
from tests.toy import APPROVER, DOCUMENT, OFFICER


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    """A desk over a real website, and the ``.env`` a worker process can read; on both databases."""
    env = tmp_path / ".env"
    env.write_text(
        "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=site\n"
        f"WEBSITE_URL=https://news.example.org\nPUBLISHER_DATABASE_URL={database_url}\n"
    )
    env.chmod(0o600)
    loaded = settings.load(env, {})
    store = Store.open(loaded.home, loaded.office.database_url.get_secret_value())
    yield Desk(loaded, store, registry.build(loaded))
    store.close()


@contextmanager
def _worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "publisher", "worker"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    """Waits for the log line of ``event``."""
    assert process.stderr is not None
    for line in process.stderr:
        fields = json.loads(line)
        if fields.get("event_name") == event:
            return fields
    raise AssertionError(f"the worker ended without {event}")


def test_worker__within_a_second_of_its_hour(desk: Desk, tmp_path: Path) -> None:
    """A worker that was running before anything was scheduled publishes within a second of the hour."""
    key, _ = desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    desk.submit(key, OFFICER)
    desk.approve(key, APPROVER)
    with _worker(tmp_path) as process:
        _line(process, "worker.started")
        hour = (clock.now() + timedelta(seconds=2)).replace(microsecond=0)
        desk.schedule(key, f"{hour:%Y-%m-%dT%H:%M:%S}Z", OFFICER)
        _line(process, "delivery.confirmed")
    with desk.store.read() as tx:
        started = next(e.at for e in tx.log.of(key) if e.name == "attempt.started")
    assert timedelta(0) <= started - hour < timedelta(seconds=1)


def test_worker__sigterm_ends_it_cleanly(tmp_path: Path, desk: Desk) -> None:
    """SIGTERM ends the worker with code 0, between two steps, and says so."""
    with _worker(tmp_path) as process:
        _line(process, "worker.started")
        process.send_signal(signal.SIGTERM)
        _line(process, "worker.stopped")
        assert process.wait(10) == 0


def test_worker__missed_hour_is_published_at_start(desk: Desk, tmp_path: Path) -> None:
    """What fell due while no worker ran is published as soon as one starts."""
    key, _ = desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    desk.submit(key, OFFICER)
    desk.approve(key, APPROVER)
    desk.schedule(key, "now", OFFICER)
    with _worker(tmp_path) as process:
        _line(process, "delivery.confirmed")
    assert (tmp_path / "site" / key / "index.html").is_file()


def test_logging__no_secret_comes_through() -> None:
    """Neither our own lines, nor a library's, nor a traceback carry a secret."""
    stream = io.StringIO()
    configure_logging(["hunter22"], stream)
    try:
        log = structlog.get_logger()
        log.info("signing in", url="https://u:hunter22@h/", headers={"a": ["hunter22"]})
        try:
            raise ValueError("token hunter22 refused")
        except ValueError:
            log.exception("failed")
        logging.getLogger("library").warning("password is %s", "hunter22")
        logging.getLogger("library").info("not of interest")
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 3
    assert "hunter22" not in stream.getvalue()
    assert all(datetime.fromisoformat(line["timestamp"]).tzinfo for line in lines)


def test_logging__a_full_disk_breaks_nothing() -> None:
    """A log that cannot be written is lost; what it speaks of is not, since nothing is raised."""
    with open("/dev/full", "w") as full:
        configure_logging([], full)
        try:
            for _ in range(2000):
                structlog.get_logger().error("a result cannot be written", event_name="result.unwritten")
                logging.getLogger("library").error("nor this")
        finally:
            structlog.reset_defaults()
            logging.basicConfig(force=True)
            with contextlib.suppress(OSError):
                full.close()


def test_worker__idles_quietly(tmp_path: Path, desk: Desk) -> None:
    """With nothing due, a worker writes nothing to its log after it has started."""
    with _worker(tmp_path) as process:
        _line(process, "worker.started")
        time.sleep(1.2)  # the thing under test is that nothing happens in this time
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        names = [json.loads(line)["event_name"] for line in process.stderr]
    assert names == ["worker.stopping", "worker.stopped"]
