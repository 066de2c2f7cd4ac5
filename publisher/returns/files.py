"""Messages that lie in files: one alone, an mbox, a Maildir, or a folder of messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from publisher.errors import UsageError

_LARGEST = 1024 * 1024 * 1024
_ENVELOPE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]*\n")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)


def messages(path: Path) -> Iterator[bytes]:
    """The messages in a file or folder, in the order of their names. Raises :class:`UsageError`."""
    try:
        if path.is_dir():
            for one in _in_folder(path):
                yield one.read_bytes()
        elif path.stat().st_size > _LARGEST:
            raise UsageError(f"{path} is larger than 1 GB; split it, or hand in a Maildir.")
        else:
            yield from split(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; check the name and the folder.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; check its permissions.") from None


def split(data: bytes) -> Iterator[bytes]:
    """The messages of an mbox (RFC 4155), or the one that ``data`` is; none for nothing."""
    starts = list(_ENVELOPE.finditer(data))
    if not starts or starts[0].start() != 0:
        if data.strip():
            yield data
        return
    ends = [start.start() for start in starts[1:]] + [len(data)]
    for start, end in zip(starts, ends, strict=True):
        yield _ESCAPED.sub(rb"\1", data[start.end() : end])


def _in_folder(folder: Path) -> list[Path]:
    """The messages of a Maildir, else all files of a folder; hidden ones are none."""
    maildir = [folder / name for name in ("new", "cur") if (folder / name).is_dir()]
    files = [one for place in maildir or [folder] for one in sorted(place.iterdir())]
    return [one for one in files if one.is_file() and not one.name.startswith(".")]
