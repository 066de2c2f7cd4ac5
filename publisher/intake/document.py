"""What intake hands on."""

from __future__ import annotations

from dataclasses import dataclass

from publisher.announcement import Finding, Revision
from publisher.pictures import Kept


@dataclass(frozen=True, slots=True)
class Document:
    """A document that has been read.

    ``publish_at`` is the wish of the front matter, as typed, and ``channels`` the names it lists; both are empty
    where it says nothing. ``findings`` is what intake left out or replaced on the way, ``pictures`` what is kept of
    its pictures.
    """

    revision: Revision
    publish_at: str = ""
    channels: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    pictures: tuple[Kept, ...] = ()
