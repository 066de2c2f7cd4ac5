"""Letters, complete and signed: everything that is the same for all is made once, before the first one."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from channels.mailing.dkim import Signatures, relaxed, unfolded
from channels.mailing.headers import examine, recipient
from channels.mailing.letterhead import Letterhead
from channels.mailing.sheet import Sheet
from publisher.channel import Letter

_OWN = ("to", "date", "message-id", "list-unsubscribe")
"""The fields that each letter has for itself, in the order in which they are signed."""


class _Prepared:
    """A sheet as it is used: its fields and the beginning of its body, raw, canonical and hashed."""

    def __init__(self, sheet: Sheet) -> None:
        self.rest = sheet.rest
        self.fields = "".join(f"{field}\r\n" for field in sheet.fields)
        self.canonical = "".join(f"{relaxed(field)}\r\n" for field in sheet.fields)
        self.opening = sheet.opening
        self.hash = hashlib.sha256(sheet.opening)


class Composer:
    """Composes the letters of one mailing. Safe to call from several threads: nothing in it changes."""

    def __init__(self, letterhead: Letterhead, sheets: Mapping[str, Sheet], issue: str) -> None:
        """``issue`` begins every Message-ID: the announcement, its revision and the channel, of ``[A-Za-z0-9._-]``."""
        head = letterhead
        self._issue, self._sender = issue, head.sender.address
        self._domain = head.sender.address.rpartition("@")[2]
        self._bounces, _, self._bounces_domain = head.bounces.rpartition("@")
        self._sheets = {scope: _Prepared(sheet) for scope, sheet in sheets.items()}
        shared = next(iter(sheets.values())).fields
        names = [field.partition(":")[0].lower() for field in shared]
        self._signatures = Signatures(head.signers, [*names, *_OWN]) if head.signers else None
        before, _, after = head.tagged("u-%").partition("%") if head.bounces else ("", "", "")
        self._mailto = f",\r\n <mailto:{quote(before, safe='+')}", f"{after}?subject=unsubscribe>"

    def return_path(self, letter: Letter) -> str:
        """The envelope's sender: ``bounces+b-{letter.bounce}@domain``, or the sender where there are no bounces."""
        if not self._bounces:
            return self._sender
        return f"{self._bounces}+b-{letter.bounce}@{self._bounces_domain}"

    @staticmethod
    def needs_smtputf8(letter: Letter) -> bool:
        """Whether the server must offer SMTPUTF8 (RFC 6531): the address is not ASCII before its @."""
        return not letter.address.isascii()

    def compose(self, letter: Letter, moment: datetime) -> bytes:
        """The complete, signed message: CRLF line ends, the last line ended, without the final dot of DATA.

        ``moment`` is aware. No line begins with a dot, so that nothing has to be doubled on the way: a line is a
        header field, the continuation of one, a boundary, base64 or empty. Raises
        :class:`~publisher.channel.Rejected` for a letter whose address or link no header can hold: it is refused, the
        others go on.
        """
        assert moment.tzinfo, "a letter's moment has a zone"
        examine(letter)
        sheet, second = self._sheets[letter.scope], int(moment.timestamp())
        link, address = letter.unsubscribe, letter.address
        rest = sheet.rest(
            (link.encode(), address.encode()), (html.escape(link).encode(), html.escape(address).encode())
        )
        to = recipient(letter.name, address)
        message_id = f"<{self._issue}.{letter.ref}@{self._domain}>"
        unsubscribe = f"<{link}>{self._by_mail(letter)}"
        date = _date(second)
        signed = ""
        if self._signatures:
            fields = (
                f"{sheet.canonical}to:{unfolded(to)}\r\ndate:{date}\r\nmessage-id:{message_id}\r\n"
                f"list-unsubscribe:{unfolded(unsubscribe)}\r\n"
            )
            # The body is canonical as it is: single spaces, none before a line's end, and the last line is ended.
            signed = self._signatures.over(fields, sheet.hash, rest, second)
        head = (
            f"{signed}{sheet.fields}To: {to}\r\nDate: {date}\r\nMessage-ID: {message_id}\r\n"
            f"List-Unsubscribe: {unsubscribe}\r\n\r\n"
        )
        return b"".join((head.encode(), sheet.opening, rest))

    def _by_mail(self, letter: Letter) -> str:
        """The second way to unsubscribe, for mail programs that only write mails (RFC 2369)."""
        before, after = self._mailto
        return f"{before}{letter.token}{after}" if self._bounces else ""


@lru_cache(maxsize=16)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))
