"""Mail addresses as people write them, as they are sent to, and as they are compared.

Syntax is email-validator's (RFC 5322, 6531, 6532); nothing is asked over the network. Quoted local parts and address
literals are legal and refused: nobody has one by intention.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

_NAMED = re.compile(r"(?P<name>[^<>＜＞]*?)\s*[<＜](?P<address>[^<>＜＞]+)[>＞]")
_LONGEST, _LONGEST_LOCAL = 254, 64
"""Octets of an address in a command, less the brackets, and of its local part (RFC 5321, 4.5.3.1)."""
_LONGEST_NAME = 200
_WIDE = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | {"\u3002": ".", "\uff61": ".", "\u3000": " ", "\u00a0": " ", "\ufeff": "", "\u200b": ""}
)
"""What Chinese input methods and tables leave in addresses: full-width forms, the full stop, invisible marks."""
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Address:
    """One address. ``sent`` has an ASCII domain, its local part may be UTF-8; ``normal`` is how two are compared."""

    sent: str
    normal: str
    name: str = ""


def read(text: str) -> Address:
    """``reader@example.org`` or ``Name <reader@example.org>``. Raises ``ValueError`` with a sentence for a person."""
    match = _NAMED.fullmatch(text.strip())
    name, bare = (match["name"], match["address"]) if match else ("", text)
    plain = bare.strip() if bare.isascii() else unicodedata.normalize("NFC", bare.translate(_WIDE)).strip()
    return _checked(re.sub(r"^mailto:", "", plain, flags=re.IGNORECASE), cleaned_name(name))


def cleaned_name(name: str) -> str:
    """A name as it can stand in a header and on a page: one line, no quotes around it, not endlessly long."""
    name = unicodedata.normalize("NFC", name)
    kept = name
    if not name.isprintable():
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

    shown = "".join(c if c.isprintable() else "\ufffd" for c in text)
    shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
    if not text.strip("@") or "@" not in text:
        raise ValueError(f'"{shown}" is not a mail address; write it like reader@example.org')
    if not text.isprintable() or re.search(r"[\s,;]", text):
        raise ValueError(f'"{shown}" has a space, a comma or an invisible character in it; write one address')
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(f'"{shown}" cannot be a mail address: {_reason(error)}') from None
    domain = found.ascii_domain.lower()
    sent = f"{found.local_part}@{domain}"
    if len(sent.encode()) > _LONGEST or len(found.local_part.encode()) > _LONGEST_LOCAL:
        raise ValueError(f'"{shown}" is longer than a mail address can be; check it')
    return Address(sent, f"{_folded(found.local_part)}@{domain}", name)


def _reason(error: Exception) -> str:
    """The library's words as a part of a sentence of ours."""
    return re.sub(r"\.\s+", "; ", str(error).strip().rstrip("."))


def _folded(local: str) -> str:
    """Without case, in one form however often it is done (Unicode Standard, 3.13, canonical caseless matching)."""
    if local.isascii():
        return local.lower()
    for _ in range(3):
        local = unicodedata.normalize("NFC", unicodedata.normalize("NFD", local).casefold())
    return local
