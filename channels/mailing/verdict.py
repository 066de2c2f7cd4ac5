"""What was found in the DNS, and what to publish there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_TXT = 255
"""Bytes of one string of a TXT record (RFC 1035, 3.3.14)."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record to publish: ``value`` is as a web form wants it, in one piece; a name is without a dot at its end."""

    name: str
    type: str
    value: str

    @property
    def line(self) -> str:
        """The line of a zone file: a TXT value in quoted strings of at most 255 bytes."""
        return f"{self.name}. IN {self.type} {self._quoted if self.type == 'TXT' else self.value}"

    @property
    def _quoted(self) -> str:
        parts = (self.value[at : at + _TXT] for at in range(0, len(self.value), _TXT))
        return " ".join('"' + re.sub(r'(["\\])', r"\\\1", part) + '"' for part in parts)


class State(StrEnum):
    """How a look at the DNS ended. ``UNKNOWN`` is no failure: it could not be found out."""

    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that was looked at: ``about`` is SPF, DKIM, DMARC or MX; ``publish`` is the record that mends it."""

    about: str
    state: State
    sentence: str
    publish: Record | None = None


def problem(about: str, sentence: str, record: Record | None = None) -> Verdict:
    """Something to mend before a newsletter goes out."""
    return Verdict(about, State.PROBLEM, sentence, record)


def tags(text: str) -> dict[str, str]:
    """A record of tags with equals signs, as DKIM and DMARC have; white space counts nowhere in what we read of it."""
    pairs = (re.sub(r"\s", "", tag).partition("=") for tag in text.split(";"))
    return {name: value for name, equals, value in pairs if equals}
