"""The site's folder: whole files or none, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

DATA = "_data"
_STAGED = ".part"
# The web server is another user, whatever the umask of ours.
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755


class Folder:
    """Files under ``root``, named by relative POSIX paths that our own code builds from checked keys."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Waits until no other process writes this site. Raises ``OSError`` where the folder cannot be used."""
        data = self.root / DATA
        _make(data)
        with (data / ".lock").open("a") as handle:
            # Released by the system when the process ends, however it ends.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def read(self, path: str) -> bytes | None:
        """The bytes of a file, ``None`` where there is none."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def records(self, names: str = "*") -> dict[str, bytes]:
        """The records of what is published, by path, in order; ``names`` is a pattern for their names."""
        found = sorted((self.root / DATA).glob(f"{names}.json"))
        return {f"{DATA}/{path.name}": path.read_bytes() for path in found}

    def stage(self, files: Mapping[str, bytes]) -> list[tuple[Path, Path]]:
        """Writes what has changed beside its place, to be shown by :func:`show`. Only under :meth:`lock`.

        Everything that a full disk can spoil happens here, while nothing can be seen yet; then what was staged
        is removed again. Raises ``OSError``.
        """
        staged: list[tuple[Path, Path]] = []
        try:
            for path, data in files.items():
                if self.read(path) != data:
                    staged.append((_write_beside(self.root / path, data), self.root / path))
        except OSError:
            for temporary, _ in staged:
                temporary.unlink(missing_ok=True)
            raise
        return staged

    def keep_only(self, folder: str, ours: re.Pattern[str], wanted: Collection[str]) -> None:
        """Deletes the files of ``folder`` whose name is one of ``ours`` and whose path is not ``wanted``.

        Only under :meth:`lock`. Raises ``OSError``.
        """
        place = self.root / folder
        for path in place.iterdir() if place.is_dir() else ():
            if ours.fullmatch(path.name) and f"{folder}/{path.name}" not in wanted:
                path.unlink(missing_ok=True)

    def probe(self) -> None:
        """Makes the folder and writes to it, leaving nothing. Raises ``OSError``."""
        with self.lock():
            _write_beside(self.root / DATA / "probe", b"").unlink()


def show(staged: list[tuple[Path, Path]]) -> None:
    """Puts staged files in their places, in order, each at once; the last one only when the others are safe.

    Raises ``OSError``.
    """
    for group in (staged[:-1], staged[-1:]):
        for temporary, place in group:
            temporary.replace(place)
        for folder in {place.parent for _, place in group}:
            _sync(folder)


def _make(folder: Path) -> None:
    """Makes a folder and its parents, readable by all, and safe on the disk."""
    if folder.is_dir():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    folder.chmod(_FOLDER_MODE)
    _sync(folder.parent)


def _write_beside(place: Path, data: bytes) -> Path:
    """A synced file in the folder of ``place``; leftovers of a process that died here are cleared first."""
    _make(place.parent)
    for leftover in place.parent.glob(f".{place.name}.*{_STAGED}"):
        leftover.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", suffix=_STAGED, dir=place.parent)
    with os.fdopen(handle, "wb") as file:
        try:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), _FILE_MODE)
            os.fsync(file.fileno())
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    return Path(name)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
