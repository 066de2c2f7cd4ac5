"""What a power cut leaves of SQLite's write-ahead log: the end of the last commit is missing, or was never filled in."""

from __future__ import annotations

import os
import struct
from pathlib import Path

CUT_SHORT, NOT_FILLED = "cut short", "not filled in"
TEARS = (CUT_SHORT, NOT_FILLED)
_HEADER, _FRAME = 32, 24
"""Sizes of the headers of the log and of a frame in it, https://sqlite.org/fileformat2.html#walformat."""


def tear(log: Path, how: str) -> bool:
    """Damages the newest frame of ``log`` from its middle on, as ``how`` says; whether there was any.

    That frame ends a commit, so the commit has not been: what SQLite finds incomplete at the end, it leaves out.
    """
    data = log.read_bytes() if log.exists() else b""
    begin, size = _newest(data)
    if not size:
        return False
    middle, end = begin + size // 2, begin + size
    os.truncate(log, middle)
    if how == NOT_FILLED:
        os.truncate(log, end)
    return True


def _newest(data: bytes) -> tuple[int, int]:
    """Where the newest frame begins, and its size; 0 where there is none. Frames of an older log have other salts."""
    if len(data) < _HEADER:
        return 0, 0
    page, salts = struct.unpack(">8xI4x8s8x", data[:_HEADER])
    size = _FRAME + page
    begins = [at for at in range(_HEADER, len(data) - size + 1, size) if data[at + 8 : at + 16] == salts]
    return (begins[-1], size) if begins else (0, 0)
