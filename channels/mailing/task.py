"""A letter on its way: the message, and the commands that put it into an envelope.

Sources: RFC 5321, 4.1.1 (MAIL, RCPT), RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 3461 (DSN).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from publisher.channel import Letter

_NO_XTEXT = re.compile(r"[^!-~]|[+=]")


class Step(Enum):
    """What a server answers to. Compared by identity, so that it costs nothing."""

    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    BODY = "the message"
    LONE_DOT = "a message without recipients"
    RESET = "RSET"
    QUIT = "QUIT"


@dataclass(eq=False, slots=True)
class Task:
    """One letter and its complete message, with CRLF line ends, transparent, without the final dot."""

    letter: Letter
    return_path: str
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Offers:
    """What a server can do: ``size`` in octets is the largest message it takes, 0 where it does not say."""

    pipelining: bool = False
    smtputf8: bool = False
    eight_bit: bool = False
    dsn: bool = False
    sizes: bool = False
    size: int = 0

    @classmethod
    def read(cls, extensions: Mapping[str, str]) -> Offers:
        """From the keywords of EHLO and their parameters."""
        size = extensions.get("SIZE", "")
        return cls(
            pipelining="PIPELINING" in extensions,
            smtputf8="SMTPUTF8" in extensions,
            eight_bit="8BITMIME" in extensions,
            dsn="DSN" in extensions,
            sizes="SIZE" in extensions,
            size=int(size) if re.fullmatch(r"[0-9]{1,18}", size) else 0,
        )


def mail_from(task: Task, offers: Offers) -> bytes:
    """The MAIL command, with what the server offers: a report of a failure shall name the letter and repeat nothing."""
    line = f"MAIL FROM:<{task.return_path}>"
    if offers.sizes:
        line += f" SIZE={len(task.message)}"
    if not task.letter.address.isascii():
        line += " BODY=8BITMIME SMTPUTF8" if offers.eight_bit else " SMTPUTF8"
    if offers.dsn:
        line += f" RET=HDRS ENVID={task.letter.bounce}"
    return f"{line}\r\n".encode()


def rcpt_to(task: Task, offers: Offers) -> bytes:
    """The RCPT command. A delay is not reported: the server goes on trying, and nobody has to act."""
    address = task.letter.address
    line = f"RCPT TO:<{address}>"
    if offers.dsn:
        line += " NOTIFY=FAILURE"
        if address.isascii():
            line += f" ORCPT=rfc822;{_NO_XTEXT.sub(_hex, address)}"
    return f"{line}\r\n".encode()


def _hex(match: re.Match[str]) -> str:
    return f"+{ord(match[0]):02X}"
