"""How facts are printed: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from publisher.announcement import Finding, Severity

if TYPE_CHECKING:
    from rich.console import Console

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def as_json(data: Any) -> None:
    """One JSON document on stdout."""
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(data, ensure_ascii=ascii_only, indent=2, default=str))


def console(*, err: bool = False) -> Console:
    """Where people read; plain text when it is not a terminal."""
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # the command line knows what that means

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else 120
    return Pipe(stderr=err, highlight=False, soft_wrap=not stream.isatty(), width=width)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "") -> None:
    """A quiet table; cells are shown as they are, never read as markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console().print(made, soft_wrap=False)


def finding_data(found: Iterable[Finding]) -> list[dict[str, Any]]:
    """Findings as plain data."""
    return [asdict(finding) for finding in found]


def findings(found: Sequence[Finding], *, err: bool = False) -> None:
    """Findings for people: severity, what it says, and the fix if there is a safe one."""
    from rich.markup import escape

    out = console(err=err)
    order = list(Severity)
    for finding in sorted(found, key=lambda f: (order.index(f.severity), f.passage or 0)):
        where = f" passage {finding.passage + 1}:" if finding.passage is not None else ""
        label = f"[{_COLOURS[finding.severity]}]{finding.severity:<7}[/]"
        out.print(f"{label}{where} {escape(finding.message)} [dim]({finding.code})[/]")


def count(found: Sequence[Finding]) -> str:
    """``1 error, 0 warnings, 3 notes``."""
    numbers = {severity: sum(f.severity is severity for f in found) for severity in Severity}
    return ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for severity, n in numbers.items())
