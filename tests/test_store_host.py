"""A SQLite store belongs to one machine at a time; PostgreSQL is for more than one."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from publisher.cli.main import main
from publisher.errors import PublisherError
from publisher.store import Store
from publisher.store.host import machine


@contextmanager
def _elsewhere(home: Path) -> Iterator[None]:
    """What a program on another machine leaves to be seen of it: its name in the file, and its lock on it."""
    home.mkdir(exist_ok=True)
    handle = os.open(home / "publisher.host", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)
    os.pwrite(handle, b"0f0e0d0c-another-kernel press-office-2".ljust(200), 0)
    yield
    os.close(handle)


def test_host__another_machine_is_refused(tmp_path: Path) -> None:
    """While a second machine has the store open, nothing is opened here, and the sentence names it and the way out."""
    with _elsewhere(tmp_path / "home"):
        with pytest.raises(PublisherError, match=r"in use on press-office-2.*PostgreSQL"):
            Store.open(tmp_path / "home")
        assert not (tmp_path / "home" / "publisher.sqlite3").exists()
    Store.open(tmp_path / "home").close()


def test_host__what_it_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    """A machine that has gone, cleanly or not, leaves its name in the file but no lock: the store is free."""
    with _elsewhere(tmp_path / "home"):
        pass
    store = Store.open(tmp_path / "home")
    assert (tmp_path / "home" / "publisher.host").read_text().strip() == machine()
    store.close()


def test_host__processes_of_one_machine_share_it(tmp_path: Path) -> None:
    """Any number of programs on this machine have it open at once, in whatever order they come and go."""
    home = tmp_path / "home"
    first, second = Store.open(home), Store.open(home)
    first.close()
    command = "import sys, pathlib; from publisher.store import Store; Store.open(pathlib.Path(sys.argv[1])).close()"
    subprocess.run([sys.executable, "-c", command, str(home)], check=True, timeout=30)
    second.close()


def test_host__a_killed_worker_holds_nothing(tmp_path: Path) -> None:
    """A process that was killed with the store open does not keep it: the kernel gives its lock back."""
    home = tmp_path / "home"
    command = (
        "import sys, os, signal, pathlib; from publisher.store import Store; "
        "Store.open(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", command, str(home)], timeout=30).returncode == -9
    handle = os.open(home / "publisher.host", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)
    Store.open(home).close()


def test_host__worker_says_it_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The worker of a second machine does not start; its administrator reads why, and what to set."""
    env = tmp_path / ".env"
    env.write_text(
        "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=site\n"
        "WEBSITE_URL=https://news.example.org\n"
    )
    env.chmod(0o600)
    with _elsewhere(tmp_path / "data"):
        assert main(["worker", "--env", str(env)]) == 1
    told = capsys.readouterr().err
    assert told.startswith("The store is in use on press-office-2")
    assert "PUBLISHER_DATABASE_URL" in told
    assert told.count("\n") == 1
