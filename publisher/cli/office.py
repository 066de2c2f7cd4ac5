"""Opens what a command needs: settings, store, channels, and who is acting."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from publisher import registry, settings
from publisher.announcement import Bilingual, Person
from publisher.control import Control
from publisher.desk import Desk
from publisher.errors import UsageError
from publisher.pictures import LARGEST_FILE
from publisher.settings import Settings
from publisher.store import Store

_LARGEST = 20 * 1024 * 1024


def load_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of ``--env`` or of this folder; warnings about them go to stderr."""
    loaded = settings.load(Path(arguments.env) if arguments.env else None)
    for warning in loaded.warnings:
        print(f"Warning: {warning}", file=sys.stderr)
    return loaded


@contextmanager
def open_desk(arguments: argparse.Namespace) -> Iterator[Desk]:
    """The desk over the configured store and channels, closed afterwards."""
    loaded = load_settings(arguments)
    if not loaded.channels:
        raise UsageError('No channel is configured; run "publisher init" and set PUBLISHER_CHANNELS in .env.')
    channels = registry.build(loaded)
    store = Store.open(loaded.home, loaded.office.database_url.get_secret_value())
    try:
        yield Desk(loaded, store, channels)
    finally:
        store.close()


@contextmanager
def open_control(arguments: argparse.Namespace) -> Iterator[tuple[Control, Desk]]:
    """The administrators' verbs, and the desk they share the store with."""
    with open_desk(arguments) as desk:
        yield Control(desk.store, desk.channels), desk


def person(arguments: argparse.Namespace) -> Person:
    """Who acts: ``--as``, else the operating system's user; the account is recorded either way."""
    account = _account()
    name = (arguments.actor or account).strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise UsageError("--as needs a name of at most 100 printable characters.")
    return Person(name, account)


def _account() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return os.environ.get("USERNAME") or f"uid-{os.getuid() if hasattr(os, 'getuid') else 'unknown'}"


def title(arguments: argparse.Namespace) -> Bilingual:
    """The titles given with --title-zh and --title-en; one line each."""
    given = Bilingual(arguments.title_zh.strip(), arguments.title_en.strip())
    for text, option in ((given.zh, "--title-zh"), (given.en, "--title-en")):
        if not text.isprintable():
            raise UsageError(f"{option} must be one line of printable characters.")
    return given


def read_file(name: str) -> tuple[bytes, str]:
    """The bytes of a document and its name without folders. Raises :class:`UsageError`."""
    path = Path(name)
    try:
        if path.is_dir():
            raise UsageError(f"{name} is a folder; name a file in it.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{name} is not an ordinary file; save the document as a file first.")
        if path.stat().st_size > _LARGEST:
            raise UsageError(
                f"{name} is larger than 20 MB; an announcement is a text, leave pictures beside it."
            )
        return path.read_bytes(), path.name
    except FileNotFoundError:
        raise UsageError(f"{name} does not exist; check the name and the folder.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name} cannot be read: {reason}.") from None


def beside(name: str) -> Callable[[str], bytes]:
    """Reads a file in the folder of the document ``name``. Raises ``OSError``."""
    folder = Path(name).parent

    def read(file: str) -> bytes:
        path = folder / file
        if path.exists() and not path.is_file():
            raise FileNotFoundError(file)
        with path.open("rb") as stream:
            return stream.read(LARGEST_FILE + 1)  # one byte too many tells

    return read
