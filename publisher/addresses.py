"""Mail addresses as people write them, as they are sent to, and as they are compared.

Syntax is email-validator's (RFC 5322, 6531, 6532); nothing is asked over the network. Quoted local parts and address
literals are legal and refused: nobody has one by intention.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

_NAMED = re.compile(r"(?P<name>[^<>]*?)\s*[<＜](?P<address>[^<>＜＞]+)[>＞]")
_LONGEST = 254
"""Octets of an address in a command (RFC 5321, 4.5.3.1.3, less the brackets)."""
_LONGEST_NAME = 200
_WIDE = str.maketrans({"＠": "@", "．": ".", "。": ".", "，": ",", "\u3000": " ", "\ufeff": "", "\u200b": ""})
"""What Chinese input methods and tables leave in addresses."""


@dataclass(frozen=True, slots=True)
class Address:
    """One address. ``sent`` has an ASCII domain, its local part may be UTF-8; ``normal`` is how two are compared."""

    sent: str
    normal: str
    name: str = ""


def read(text: str) -> Address:
    """``reader@example.org`` or ``Name <reader@example.org>``. Raises ``ValueError`` with a sentence for a person."""
    text = unicodedata.normalize("NFC", text.translate(_WIDE)).strip()
    match = _NAMED.fullmatch(text)
    name, bare = (match["name"], match["address"]) if match else ("", text)
    return _checked(bare.strip().removeprefix("mailto:"), cleaned_name(name))


def cleaned_name(name: str) -> str:
    """A name as it can stand in a header and on a page: one line, no quotes around it, not endlessly long."""
    name = unicodedata.normalize("NFC", name)
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in name)
    return " ".join(kept.split()).strip("\"“”' ")[:_LONGEST_NAME]


def digest(normal: str) -> str:
    """What is kept of an address that must not be written to again: enough to recognise it, and nothing else of it."""
    return hashlib.sha256(normal.encode()).hexdigest()


def masked(address: str) -> str:
    """An address as a page may show it to whoever holds a link: ``r•••@example.org``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


def _checked(text: str, name: str) -> Address:
    from email_validator import EmailNotValidError, validate_email  # needed for an import only, and not light

    shown = text if len(text) <= 80 else f"{text[:77]}…"
    if not text or "@" not in text:
        raise ValueError(f'"{shown}" is not a mail address; write it like reader@example.org')
    if not text.isprintable() or re.search(r"[\s,;]", text):
        raise ValueError(
            f'"{shown!s}" has a space, a comma or an invisible character in it; write one address'
        )
    if len(text.encode()) > _LONGEST:
        raise ValueError(f'"{shown}" is longer than a mail address can be')
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f'"{shown}" cannot be a mail address: {str(error).rstrip(".")}') from None
    domain = found.ascii_domain.lower()
    return Address(f"{found.local_part}@{domain}", f"{found.local_part.casefold()}@{domain}", name)
