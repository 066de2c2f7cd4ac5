"""Disks that can be filled and freed: a real one in memory, or a limit on what a process may write."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, Protocol

_SIZE = "16m"
_BLOCKS = (1 << 20, 1 << 12, 1)


class Disk(Protocol):
    """A context manager over ``folder``. ``name`` says what it is in the list of tests."""

    name: ClassVar[str]
    folder: Path

    def fill(self, process: int) -> None:
        """From now on ``process`` finds no room."""

    def free(self, process: int) -> None:
        """There is room again."""


class Tmpfs:
    """A file system of its own, really full when it is full. Mounting takes root, and is not allowed everywhere."""

    name: ClassVar[str] = "tmpfs"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Tmpfs:
        self.folder.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", self.folder],
            check=True,
            capture_output=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def fill(self, process: int) -> None:
        """Writes until not one byte more can be written, by nobody."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            for block in _BLOCKS:
                try:
                    while file.write(bytes(block)) == block:
                        pass
                except OSError:
                    continue

    def free(self, process: int) -> None:
        """Removes what filled it."""
        (self.folder / "filler").unlink()


class FileSizeLimit:
    """Where nothing can be mounted: the store's log may not grow, as if the disk were full; other files may."""

    name: ClassVar[str] = "file size limit, since nothing can be mounted"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> FileSizeLimit:
        self.folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves the folder to whoever gave it."""

    def fill(self, process: int) -> None:
        """Files may grow to the size of SQLite's log, and no further."""
        (log,) = self.folder.glob("*/publisher.sqlite3-wal")
        resource.prlimit(process, resource.RLIMIT_FSIZE, (log.stat().st_size, resource.RLIM_INFINITY))

    def free(self, process: int) -> None:
        """Lifts the limit."""
        resource.prlimit(process, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _may_mount() -> bool:
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with Tmpfs(Path(folder) / "disk"):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


DISKS: tuple[type[Disk], ...] = (Tmpfs,) if _may_mount() else (FileSizeLimit,)
"""The best that this machine allows."""
