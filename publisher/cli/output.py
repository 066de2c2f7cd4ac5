"""How facts are printed: tables and short paragraphs for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from publisher.announcement import Finding, Severity

if TYPE_CHECKING:
    from rich.console import Console

    from publisher.words import ToDo

_WIDTH = 100
"""So many columns are used where no terminal says how many it has, and never more for sentences."""
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
    width = None if stream.isatty() else _WIDTH
    return Pipe(stderr=err, highlight=False, soft_wrap=not stream.isatty(), width=width)


def table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", whole: Sequence[str] = ()
) -> None:
    """A quiet table; cells are shown as they are, never read as markup, and those below ``whole`` on one line."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for header in headers:
        made.add_column(header, overflow="fold", no_wrap=header in whole)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console().print(made, soft_wrap=False)


def listing(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose last column holds sentences: addresses in it stay whole, whatever that does to its edge."""
    from rich.cells import cell_len
    from rich.text import Text

    out = console()
    widths = [max(cell_len(row[n]) for row in [headers, *rows]) for n in range(len(headers) - 1)]
    start = sum(widths) + 2 * len(widths)
    for number, row in enumerate([headers, *rows]):
        cells = [cell + " " * (width - cell_len(cell) + 2) for cell, width in zip(row, widths, strict=False)]
        first, *more = _broken(row[-1], max(20, min(out.width, _WIDTH) - start))
        text = "".join(cells) + first + "".join(f"\n{' ' * start}{line}" for line in more)
        out.print(Text(text, style="" if number else "bold"), soft_wrap=True)


def lines(texts: Iterable[str], *, indent: int = 0, style: str = "") -> None:
    """Sentences, each on lines of its own, broken between words; an address or a command is never broken."""
    from rich.text import Text

    out = console()
    room = min(out.width, _WIDTH) - indent
    for text in texts:
        for line in _broken(text, room):
            out.print(Text(" " * indent + line, style=style), soft_wrap=True)


def _broken(text: str, room: int) -> list[str]:
    from rich.cells import cell_len

    broken = [""]
    for word in text.split(" "):
        joined = f"{broken[-1]} {word}" if broken[-1] else word
        if broken[-1] and cell_len(joined) > room:
            broken.append(word)
        else:
            broken[-1] = joined
    return broken


def todos(found: Iterable[ToDo], *, indent: int = 0) -> None:
    """What a person must do, to be seen at once; each command on a line of its own, never broken."""
    from rich.text import Text

    out, margin = console(), " " * indent
    for todo in found:
        lines([f"To do: {todo.what}"], indent=indent, style="bold")
        for case, command in todo.commands:
            label = f"{margin}  {case}: " if case else f"{margin}  "
            if len(label + command) > min(out.width, _WIDTH):
                label = f"{label.rstrip()}\n{margin}    "
            out.print(Text(label).append(command, style="bold"), soft_wrap=True)


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
