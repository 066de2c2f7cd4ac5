"""Mail addresses, checked strictly: what passes can stand in a header and in an SMTP command as it is.

Source: RFC 5321, 4.1.2 and 4.5.3.1 (syntax and lengths); RFC 5322, 3.2.3 (dot-atom). Quoted local parts and
address literals are legal and refused: nobody has one by intention.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAMED = re.compile(r"(?P<name>[^<>]*?)\s*<(?P<address>[^<>]+)>")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A sender: ``name`` as people read it, may be empty, and ``address`` in ASCII."""

    name: str
    address: str


def checked(text: str) -> str:
    """``text`` as an ASCII address, its domain in small letters and punycode. Raises ``ValueError``."""
    local, at, domain = text.strip().rpartition("@")
    if not at or "@" in local or not text.strip().isprintable() or " " in text.strip():
        raise ValueError(f"{text!r} is not a mail address; write it like news@example.org")
    if not local.isascii():
        raise ValueError(f'"{text}" has letters before the @ that mail servers refuse; use an ASCII address')
    if len(local) > 64 or not _LOCAL.fullmatch(local):
        raise ValueError(f'"{text}" has something before the @ that is not allowed there; check the spelling')
    return f"{local}@{_domain(domain, text)}"


def _domain(domain: str, text: str) -> str:
    wrong = ValueError(f'"{text}" has no valid domain after the @; check the spelling')
    if len(domain) > 253:  # before the codec, whose time grows faster than the length
        raise wrong
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise wrong from None
    labels = ascii_domain.split(".")
    numeric = labels[-1].isdigit()
    if len(ascii_domain) > 253 or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise wrong
    if len(labels) < 2 and ascii_domain != "localhost":
        raise wrong
    return ascii_domain


def mailbox(text: str) -> Mailbox:
    """``Name <address>``, or an address alone. Raises ``ValueError``."""
    if not text.isprintable():
        raise ValueError("the sender contains a control character; write it like Name <news@example.org>")
    match = _NAMED.fullmatch(text.strip())
    if not match:
        return Mailbox("", checked(text))
    name = match["name"].strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('\\"', '"')
    return Mailbox(" ".join(name.split()), checked(match["address"]))


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, by what it is called and without asking a name server."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
