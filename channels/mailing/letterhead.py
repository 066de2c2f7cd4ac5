"""What every letter of a channel has on it: who it is from, where answers and bounces go, which list it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.mailing.dkim import Signer
from channels.smtp.address import Mailbox


@dataclass(frozen=True)
class Letterhead:
    """The office's side of every letter.

    ``sender`` stands in From; ``reply_to`` in Reply-To where it is not empty. ``bounces`` is the address whose tagged
    forms (``bounces+b-…@``, ``bounces+u-…@``) take reports and requests to unsubscribe; empty: the return path is the
    sender, and a subscription ends only by web. ``list_id`` is a name under a domain of the office's
    (``announce.example.org``), ``list_name`` what people call the list, in both languages; without ``list_id`` there
    is no List-Id. ``help`` and ``archive`` are web addresses, or empty. Every letter gets a signature of each of
    ``signers``.
    """

    sender: Mailbox
    reply_to: str = ""
    bounces: str = ""
    list_id: str = ""
    list_name: str = ""
    help: str = ""
    archive: str = ""
    signers: tuple[Signer, ...] = field(default=())
