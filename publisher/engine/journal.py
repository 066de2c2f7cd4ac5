"""The journal of a mailing: which letters were begun, and how each ended, on this machine's disk.

The ledger is committed in groups; between two commits the journal alone knows what was sent. A line is written with
one call of the system before the first byte of a letter leaves and one after its answer came, so that it survives the
process being killed. That it also survived the loss of the machine cannot be known: then only what it says of ends is
believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

from publisher.channel import Fate

_LINE = re.compile(rb"(?:> (?P<begun>\d+)|< (?P<ended>\d+) (?P<fate>[a-z]+) (?P<answer>[^\n]*))\n")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class InUseError(Exception):
    """The process that writes this journal is alive."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a journal says. Where it is not ``whole``, what it does not name may have been begun all the same."""

    whole: bool = False
    begun: Set[int] = frozenset()
    ended: Mapping[int, tuple[Fate, str]] = field(default_factory=dict)


def path_of(folder: Path, delivery: int, fence: int) -> Path:
    """Where the journal of one claim of a delivery lies."""
    return folder / f"{delivery}-{fence}.journal"


class Journal:
    """The journal that this process writes. Its lock ends with the process."""

    def __init__(self, path: Path) -> None:
        """Raises ``OSError`` where it cannot be made, and ``FileExistsError`` where it is there already."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(self._file, _boot() + b"\n")
        except OSError:
            os.close(self._file)
            raise

    def begin(self, number: int) -> None:
        """Written before the first byte of a letter leaves. Raises ``OSError``, and then it must not leave."""
        line = b"> %d\n" % number
        if os.write(self._file, line) != len(line):
            raise OSError("the disk is full")

    def end(self, number: int, fate: Fate, answer: str) -> None:
        """Written when its fate is known. Raises ``OSError``; the ledger is then still told."""
        said = " ".join(answer.split()).encode("utf-8", "replace")
        os.write(self._file, b"< %d %b %b\n" % (number, fate.encode(), said))

    def close(self) -> None:
        """Ends the lock and removes the file: the ledger knows all that it says."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)


def read(path: Path) -> Found:
    """What the journal of a process that has ended says; nothing whole where it is not there.

    Raises :class:`InUseError` while that process lives.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            data = file.read()
    except FileNotFoundError:
        return Found()
    except BlockingIOError:
        raise InUseError from None
    boot, _, lines = data.partition(b"\n")
    return _read(lines, whole=boot == _boot())


def _read(lines: bytes, *, whole: bool) -> Found:
    begun: set[int] = set()
    ended: dict[int, tuple[Fate, str]] = {}
    lines = lines[
        : lines.rfind(b"\n") + 1
    ]  # a line that was not finished speaks of nothing that has happened
    for line in lines.splitlines(keepends=True):
        match = _LINE.fullmatch(line)
        if not match:
            whole = False
        elif match["begun"]:
            begun.add(int(match["begun"]))
        else:
            with contextlib.suppress(ValueError):
                ended[int(match["ended"])] = (Fate(match["fate"].decode()), match["answer"].decode())
    return Found(whole, begun, ended)


def remove(path: Path) -> None:
    """Once the ledger knows all that it says."""
    path.unlink(missing_ok=True)


def _boot() -> bytes:
    """Which start of the machine this is; random where the machine does not say, so that nothing is trusted."""
    try:
        return _BOOT.read_bytes().strip()
    except OSError:
        return os.urandom(16).hex().encode()
