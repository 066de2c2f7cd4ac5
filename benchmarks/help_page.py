"""``publisher --help`` beside a bare Python that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

_ROUNDS = 25


def _milliseconds(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - begun) * 1000


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Rounds of both commands in turn, so that a busy moment hits both; the medians."""
    program = str(Path(sys.executable).parent / "publisher")
    pairs = [
        (_milliseconds([program, "--help"]), _milliseconds([sys.executable, "-c", "pass"]))
        for _ in range(_ROUNDS)
    ]
    ours, bare = (median(column) for column in zip(*pairs, strict=True))
    yield "publisher --help, against bare Python (at most 3)", f"{ours:.0f} ms", f"{bare:.0f} ms", ours / bare
