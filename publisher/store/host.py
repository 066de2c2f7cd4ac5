"""One machine at a time on a SQLite file: SQLite's journal is shared memory, which no network folder carries.

Every process that has the store open holds a shared lock on ``publisher.host`` beside it, in which the first of them
has written its machine. Processes of one machine join it; those of another are refused, since the two would not see
each other's locks and would damage the store or send twice.
"""

from __future__ import annotations

import os
import platform
import uuid
from pathlib import Path

from publisher.errors import PublisherError

try:
    import fcntl
except ImportError:  # Windows: there the journal's own locks refuse a second machine
    fcntl = None  # type: ignore[assignment]

_BOOT = Path("/proc/sys/kernel/random/boot_id")
"""One kernel, whatever containers it runs: these share memory, and so may share a store."""


def machine() -> str:
    """This machine, as no other is called, and a name for people."""
    try:
        kernel = _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        kernel = f"{uuid.getnode():x}"
    return f"{kernel} {platform.node() or 'unnamed'}"


class HostLock:
    """Held from opening to closing a SQLite store."""

    def __init__(self, home: Path) -> None:
        """Raises :class:`PublisherError` where another machine has the store open."""
        self._path = home / "publisher.host"
        self._handle = -1
        if fcntl is None:
            return
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._take()
        except OSError as error:
            self.release()
            raise PublisherError(
                f"The store cannot be used: {self._path} cannot be locked ({error.strerror}); "
                "check the disk and PUBLISHER_HOME."
            ) from None

    def release(self) -> None:
        """Lets go. May be called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _take(self) -> None:
        mine = machine()
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(self._handle, mine.encode().ljust(200), 0)
        except BlockingIOError:
            pass  # others have it open; whose machine that is, they have written
        # From exclusive to shared is not one step, so whoever comes out of it looks at what is written now.
        fcntl.flock(self._handle, fcntl.LOCK_SH)
        theirs = os.pread(self._handle, 200, 0).decode(errors="replace").strip()
        if theirs.partition(" ")[0] != mine.partition(" ")[0]:
            name = theirs.partition(" ")[2] or "another machine"
            self.release()
            raise PublisherError(
                f"The store is in use on {name}, and a SQLite store belongs to one machine at a time; stop the "
                "programs there, or set PUBLISHER_DATABASE_URL to a PostgreSQL database that both can reach."
            )
