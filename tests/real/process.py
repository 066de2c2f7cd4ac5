"""Starting a server so that nothing of it is left behind, and waiting until it answers. For Linux."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_KEEPER = Path(__file__).with_name("keeper.py")
_PAUSE = 0.02
"""Seconds between two looks whether a server is ready."""


class Process:
    """A running server, in a process group that ends with this process; what it says goes to ``log``."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        grace: float = 5.0,
    ) -> None:
        self._name, self._log = Path(command[0]).name, log
        with log.open("ab") as out:
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_KEEPER), str(grace), *command],
                stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=folder, env=environment, start_new_session=True,
            )  # fmt: skip

    def wait_until(self, ready: Callable[[], bool], timeout: float = 30.0) -> None:
        """Returns once ``ready``. Raises ``RuntimeError`` where the server ended or took ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not ready():
            ended = self._keeper.poll() is not None
            if ended or time.monotonic() > deadline:
                self.stop()
                what = "ended by itself" if ended else f"did not answer within {timeout:g} seconds"
                said = self._log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
                raise RuntimeError(f"{self._name} {what}. It said: {said or 'nothing'}")
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Ends the server and its children. May be called twice."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()


_MEMORY = Path("/dev/shm")
"""A disk in memory, where there is one."""


def scratch(name: str, memory: int = 0) -> Path:
    """A new folder directly in /tmp, which other users can walk into, for one server's files.

    In memory instead where ``memory`` bytes of it are free for them, and where it is not 0. Removes what runs that
    were killed have left of theirs: the name holds the process that made it.
    """
    for left in (left for disk in (Path("/tmp"), _MEMORY) for left in disk.glob("publisher-real-*")):
        owner = left.name.split("-")[2]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
    there = memory and os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free >= memory
    disk = _MEMORY if there else Path("/tmp")
    folder = Path(tempfile.mkdtemp(prefix=f"publisher-real-{os.getpid()}-{name}-", dir=disk))
    folder.chmod(0o755)
    return folder


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, path: str = "/", timeout: float = 20.0) -> bool:
    """Whether an HTTP server on ``port`` answers a GET of ``path`` with a status below 500."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
