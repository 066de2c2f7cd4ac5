"""Our texts with Mailchimp's merge tags, and none that people wrote.

A merge tag is ``*|NAME|*``. In HTML the first bar of what looks like one is written as an entity, which readers see as
the same bar; in the subject and the plain text, where there are none, an invisible U+2060 (word joiner) parts it.
"""

from __future__ import annotations

from channels.campaign import content
from channels.campaign.content import Syntax

UNSUBSCRIBE, READER = "*|UNSUB|*", "*|EMAIL|*"


def html(text: str) -> str:
    """The HTML."""
    return content.filled(text, lambda literal: literal.replace("*|", "*&#124;"), UNSUBSCRIBE, READER)


def plain(text: str) -> str:
    """The plain text."""
    return content.filled(text, subject, UNSUBSCRIBE, READER)


def subject(text: str) -> str:
    """The subject, or the preview."""
    return text.replace("*|", "*\u2060|")


SYNTAX = Syntax(subject, html, plain, longest=150, preview=150)
"""Mailchimp's own advice is 60 characters for a subject and 150 for a preview; the API names no limit."""
