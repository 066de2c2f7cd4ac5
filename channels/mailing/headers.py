"""The header fields of a letter: those that all letters share, and the parts of those that differ.

Sources: RFC 5322 (headers), RFC 6532 (addresses that are not ASCII), RFC 2919 (List-Id), RFC 2369 and RFC 8058 (the
other list fields), RFC 3282 (Content-Language), RFC 3834 (Auto-Submitted). No ``Precedence``: it was never a standard,
and what heeds it heeds List-Id and Auto-Submitted.
"""

from __future__ import annotations

import re
import unicodedata

from channels.mailing.letterhead import Letterhead
from channels.smtp.headers import from_header, phrase, subject_header
from publisher.announcement import Language
from publisher.channel import Letter, Rejected, Variant

_ATOM = r"[^\x00-\x20\x7f\"(),.:;<>@\[\\\]]+"
# One look at all that is written into a letter's headers. Commas and brackets would end an address in List-Unsubscribe.
_FIT = re.compile(
    r"(?:zh|en|both)(?: [a-z0-9-]{1,64}){3} https?://[!#-+\--;=?-\[\]_a-z~]{1,900} "
    rf"(?=[^@]{{1,64}}@){_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9][A-Za-z0-9.-]{{0,252}}"
)
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls of the direction of writing: in a name they would turn the address beside it."""


def shared(variant: Variant, letterhead: Letterhead, scope: str, subject: str) -> list[str]:
    """The fields, folded, that all letters of a scope have in common; MIME's own come after them.

    Raises :class:`~publisher.channel.Unsupported` for a subject that no header can hold.
    """
    head = letterhead
    fields = [
        from_header(head.sender),
        f"Reply-To: {head.reply_to}" if head.reply_to else "",
        subject_header(subject),
        _list_id(head) if head.list_id else "",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "List-Post: NO",
        f"List-Help: <{head.help}>" if head.help else "",
        f"List-Archive: <{head.archive}>" if head.archive else "",
        f"Content-Language: {_tags(variant, scope)}",
        "Auto-Submitted: auto-generated",
        f"X-Announcement-Key: {variant.key}/r{variant.revision}",
    ]
    return [field for field in fields if field]


def _list_id(head: Letterhead) -> str:
    name = f"{phrase(head.list_name, len('List-Id: '))}\r\n " if head.list_name else ""
    return f"List-Id: {name}<{head.list_id}>"


def _tags(variant: Variant, scope: str) -> str:
    """The languages of what a letter of ``scope`` holds."""
    own = scope != "both" and f"html_{scope}" in variant.parts
    languages = (Language(scope),) if own else variant.languages
    return ", ".join(variant.facts["language_tags"][code] for code in languages)


def examine(letter: Letter) -> None:
    """Raises :class:`Rejected` for a letter with something in it that no header can hold, which stays unsaid."""
    address = letter.address
    written = f"{letter.scope} {letter.ref} {letter.token} {letter.bounce} {letter.unsubscribe} {address}"
    if not _FIT.fullmatch(written) or not address.isprintable():
        raise Rejected(
            f"Letter {letter.number} has an address or a link that no message can carry; correct it."
        )


def recipient(name: str, address: str) -> str:
    """The value of ``To``, folded before the address; a name loses what would break or turn the line."""
    name = " ".join(name.split()) if name.isprintable() else _cleaned(name)
    return f"{phrase(name, len('To: '))}\r\n <{address}>" if name else address


def _cleaned(name: str) -> str:
    kept = (
        " " if unicodedata.category(character) == "Cc" else character
        for character in name
        if character not in _TURNS and unicodedata.category(character) != "Cs"
    )
    return " ".join("".join(kept).split())
