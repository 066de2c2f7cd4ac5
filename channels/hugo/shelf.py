"""Where pages are kept: a folder, the clone's branch, or the remote's. One way to ask, one way to change.

A change is a function of what is there now, so that it can be made anew when somebody else was first.
"""

from __future__ import annotations

import errno
import fcntl
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from channels.hugo.repository import Changes, Raced, Repository
from channels.static_site import folder as disk
from channels.static_site.folder import Folder
from publisher.channel import DeliveryError, OutcomeUnknown, SignInFailed, Unavailable

Change = Callable[[Mapping[str, bytes]], Changes]
"""What to write over the files that are there; ``None`` takes a file away."""

_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
TRIES = 3
"""How often a push is made anew on top of what others have pushed meanwhile."""


class Shelf(ABC):
    """The files of posts, by path relative to the site's folder."""

    @abstractmethod
    def read(self, folders: tuple[str, ...]) -> dict[str, bytes]:
        """The files directly in ``folders``. Raises the named errors."""

    @abstractmethod
    def apply(self, change: Change, folders: tuple[str, ...], message: str) -> str:
        """Makes ``change`` to ``folders``; the commit it is in, empty without git. May be repeated."""


def _wanted(change: Change, there: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """The changes that change anything."""
    return {path: data for path, data in change(there).items() if there.get(path) != data}


class FolderShelf(Shelf):
    """The site's own folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, folders: tuple[str, ...]) -> dict[str, bytes]:
        """The files that are there."""
        with named(self.root):
            found: dict[str, bytes] = {}
            for folder in folders:
                where = self.root / folder
                for path in sorted(where.iterdir()) if where.is_dir() else ():
                    if path.is_file() and not path.name.startswith("."):
                        found[f"{folder}/{path.name}"] = path.read_bytes()
            return found

    def apply(self, change: Change, folders: tuple[str, ...], message: str) -> str:
        """Writes everything beside its place, then shows it, the pages last."""
        with named(self.root), self._lock():
            self.write(_wanted(change, self.read(folders)))
        return ""

    def write(self, changes: Changes) -> None:
        """Puts the files in their places and takes away what has to go."""
        with named(self.root):
            staged = Folder(self.root).stage(
                {path: data for path, data in changes.items() if data is not None}
            )
        try:
            disk.show(staged)
            for path in (path for path, data in changes.items() if data is None):
                (self.root / path).unlink(missing_ok=True)
                self._tidy((self.root / path).parent)
        except OSError as error:
            raise OutcomeUnknown(f"Writing to {self.root} stopped half-way: {_reason(error)}.") from error

    def _tidy(self, folder: Path) -> None:
        if not any(folder.iterdir()):
            folder.rmdir()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.root / ".publisher.lock").open("a") as handle:
            # Released by the system when the process ends, however it ends.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


class CommitShelf(Shelf):
    """The branch that is checked out in the clone, and its work tree."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def read(self, folders: tuple[str, ...]) -> dict[str, bytes]:
        """The files as committed."""
        return self.repository.files(self.repository.head(), folders)

    def apply(self, change: Change, folders: tuple[str, ...], message: str) -> str:
        """Writes the files, then commits them; a crash in between is completed by the next call."""
        repository = self.repository
        with repository.lock():
            head = repository.head()
            changes = _wanted(change, repository.files(head, folders))
            if not changes:
                return head
            FolderShelf(repository.folder).write(changes)
            made = repository.commit(head, changes, message)
            if made != head:
                repository.advance(made, head, changes)
            return made


class PushShelf(Shelf):
    """The branch of the remote. The clone only carries commits there, and then follows."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def read(self, folders: tuple[str, ...]) -> dict[str, bytes]:
        """The files as the remote has them now."""
        with self.repository.lock():
            return self.repository.files(self.repository.tip(), folders)

    def apply(self, change: Change, folders: tuple[str, ...], message: str) -> str:
        """Commits on top of the remote's tip and pushes that, anew where somebody was first.

        A push that broke off is looked up; one that cannot be looked up is :class:`OutcomeUnknown`, and to push the
        same again does no harm.
        """
        with self.repository.lock():
            for _ in range(TRIES):
                tip = self.repository.tip()
                changes = _wanted(change, self.repository.files(tip, folders))
                made = self.repository.commit(tip, changes, message) if changes else tip
                if made == tip or self._pushed(made, change, folders):
                    self.repository.follow(made)
                    return made
        raise Unavailable(f"Others pushed first, {TRIES} times in a row; nothing was published.")

    def _pushed(self, made: str, change: Change, folders: tuple[str, ...]) -> bool:
        """Whether the remote has the commit; not so where somebody was first."""
        try:
            self.repository.push(made)
        except Raced:
            return False
        except OutcomeUnknown as doubt:
            if not self._there(change, folders):
                raise doubt from None
        return True

    def _there(self, change: Change, folders: tuple[str, ...]) -> bool:
        """Whether the remote has what was pushed, though it did not say so."""
        try:
            return not _wanted(change, self.repository.files(self.repository.tip(), folders))
        except DeliveryError:
            return False


@contextmanager
def named(root: Path) -> Iterator[None]:
    """Names what a disk can do wrong, while nothing can be seen yet."""
    try:
        yield
    except OSError as error:
        kind = SignInFailed if error.errno in _REFUSED else Unavailable
        raise kind(f"The folder {root} cannot be used: {_reason(error)}.") from error


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
