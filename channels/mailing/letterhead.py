"""What every letter of a channel has on it: who it is from, where answers and bounces go, which list it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from channels.mailing.dkim import Signer
from channels.smtp.address import Mailbox, checked

_BASE = 15
"""The longest local part of a bounce address: with a tag of 49 characters it fills 64 (RFC 5321, 4.5.3.1.1)."""
_LIST_ID = re.compile(r"(?!.{256})[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_WEB = re.compile(r"https?://[!#-+\--;=?-\[\]_a-z~]{1,900}")


@dataclass(frozen=True)
class Letterhead:
    """The office's side of every letter.

    ``sender`` stands in From, ``reply_to`` in Reply-To where it is not empty. ``bounces`` is the address whose tagged
    forms (``bounces+b-…@``, ``bounces+u-…@``) take reports and requests to unsubscribe; empty: the return path is the
    sender, and a subscription ends only by web. ``list_id`` is a name under a domain of the office's
    (``announce.example.org``), ``list_name`` what people call the list, in both languages; without ``list_id`` there
    is no List-Id. ``help`` and ``archive`` are web addresses, or empty. Every letter gets a signature of each of
    ``signers``. Addresses are as :func:`channels.smtp.address.checked` writes them. Raises ``ValueError``.
    """

    sender: Mailbox
    reply_to: str = ""
    bounces: str = ""
    list_id: str = ""
    list_name: str = ""
    help: str = ""
    archive: str = ""
    signers: tuple[Signer, ...] = ()

    def __post_init__(self) -> None:
        for written in (self.sender.address, self.reply_to, self.bounces):
            if written and checked(written) != written:
                raise ValueError(f'"{written}" must be written as {checked(written)}')
        if len(self.bounces.rpartition("@")[0]) > _BASE:
            raise ValueError(
                f'"{self.bounces}" is too long before the @ to be tagged; use at most {_BASE} characters'
            )
        if self.list_id and not _LIST_ID.fullmatch(self.list_id):
            raise ValueError(f'"{self.list_id}" is no List-Id; write it like announce.example.org')
        for name in (self.sender.name, self.list_name):
            if not name.isprintable():
                raise ValueError("the name of the sender or of the list has a control character; remove it")
        for address in (self.help, self.archive):
            if address and not _WEB.fullmatch(address):
                raise ValueError(f'"{address}" is no web address for a header; write commas in it as %2C')

    def tagged(self, tag: str) -> str:
        """``bounces`` with ``+tag`` before its @."""
        local, _, domain = self.bounces.rpartition("@")
        return f"{local}+{tag}@{domain}"
