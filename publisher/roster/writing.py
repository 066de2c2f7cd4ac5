"""Subscribers as a CSV file that Excel opens: UTF-8 with its mark, and nothing in it that Excel would run."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import TextIO

from publisher.roster.columns import COLUMNS
from publisher.subscriber import Subscriber

_WRITTEN = (
    "email",
    "name",
    "language",
    "lists",
    "state",
    "consent_at",
    "consent_how",
    "consent_text",
    "source",
)
MARK = "\ufeff"
_RUNS = re.compile(r"'*[=+\-@＝＋－＠\t\r]")


def write(found: Iterable[Subscriber], file: TextIO) -> int:
    """Writes a line for each; how many. ``file`` has ``newline=""``."""
    file.write(MARK)
    rows = csv.writer(file)
    rows.writerow([COLUMNS[name][0] for name in _WRITTEN])
    count = 0
    for one in found:
        rows.writerow([safe(cell) for cell in _cells(one)])
        count += 1
    return count


def _cells(one: Subscriber) -> tuple[str, ...]:
    consent = one.consent
    at = consent.at.isoformat() if consent.at else ""
    lists = " ".join(one.lists)
    return (
        one.address,
        one.name,
        str(one.reading),
        lists,
        str(one.state),
        at,
        consent.how,
        consent.text,
        one.source,
    )


def safe(cell: str) -> str:
    """A cell that a spreadsheet would run gets an apostrophe before it, which an import takes away again.

    So does one that begins with an apostrophe before such a sign, or else that one would be taken away. The signs
    are those of https://owasp.org/www-community/attacks/CSV_Injection, wide ones included.
    """
    return f"'{cell}" if _RUNS.match(cell) else cell
