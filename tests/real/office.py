"""An office as its people know it: the command line, and a worker that nobody watches, each a process of its own."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OFFICER, APPROVER = "Lin", "Chen"
_PATIENCE = 120.0
"""Seconds after which a worker that has not come so far fails the test."""

Line = Mapping[str, Any]


class Office:
    """An office in ``folder``; ``channels`` are the settings of each channel, by name."""

    def __init__(self, folder: Path, channels: Mapping[str, Mapping[str, str]], **office: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.env = folder, folder / ".env"
        lines = [f"PUBLISHER_CHANNELS={','.join(channels)}", "PUBLISHER_HOME=data"]
        lines += [f"PUBLISHER_{name.upper()}={value}" for name, value in office.items()]
        for channel, settings in channels.items():
            lines += [f"{channel}_{name}".upper() + f"={value}" for name, value in settings.items()]
        self.env.touch(mode=0o600)
        self.env.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._worker: queue.Queue[str | None] = queue.Queue()

    def run(self, *arguments: str, who: str = OFFICER, ends: int = 0) -> str:
        """What the command prints. Fails where it does not end with ``ends``."""
        done = subprocess.run(
            [*_COMMAND, *arguments, "--env", str(self.env), *(("--as", who) if who else ())],
            capture_output=True, text=True, encoding="utf-8", cwd=self.folder, env=environment(), timeout=_PATIENCE,
        )  # fmt: skip
        assert done.returncode == ends, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def approved(self, document: Path, *options: str) -> str:
        """Brings a document in and has another person approve it; its id."""
        key = self.run("add", str(document), *options).strip()
        self.sign(key)
        return key

    def sign(self, key: str) -> None:
        """Submits and approves the newest revision."""
        self.run("submit", key)
        self.run("approve", key, who=APPROVER)

    def published(self, document: Path, *options: str) -> str:
        """Approved, and due now; its id."""
        key = self.approved(document, *options)
        self.run("schedule", key, "now")
        return key

    def deliveries(self, key: str) -> list[dict[str, Any]]:
        """Every delivery of an announcement, as ``publisher show --json`` tells it."""
        found: list[dict[str, Any]] = json.loads(self.run("show", key, "--json", who=""))["deliveries"]
        return found

    @contextmanager
    def worker(self) -> Iterator[None]:
        """``publisher worker`` runs, unattended, until the block ends."""
        process = subprocess.Popen(
            [*_COMMAND, "worker", "--env", str(self.env)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            cwd=self.folder, env=environment(),
        )  # fmt: skip
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
            reader.join()
            assert process.stdout is not None
            process.stdout.close()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._worker.put(line)
        self._worker.put(None)

    def wait(self, until: Callable[[Line], bool]) -> list[Line]:
        """What the worker logged up to the line that ``until`` is true of, that one included."""
        seen: list[Line] = []
        while not seen or not until(seen[-1]):
            line = self._worker.get(timeout=_PATIENCE)
            assert line is not None, f"The worker ended; it had said: {seen}"
            if line.startswith("{"):
                seen.append(json.loads(line))
        return seen


def settled(key: str, state: str) -> Callable[[Line], bool]:
    """Whether a line of the log says that a delivery whose key begins with ``key`` has come to ``state``."""
    return lambda line: str(line.get("key", "")).startswith(key) and line.get("state") == state


_COMMAND = [sys.executable, "-m", "publisher"]


def environment() -> dict[str, str]:
    """That of the office's processes: ours, without the settings of any other office."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PUBLISHER_")}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
