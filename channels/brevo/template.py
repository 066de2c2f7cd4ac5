"""Our texts in Brevo's template language, so that they come out as they went in.

Brevo has no way of saying "as it is" that its documents name. In HTML a brace is written as an entity, which readers
see as the same brace; in the subject, where there are no entities, an invisible U+2060 (word joiner) parts it from what
follows. Brevo makes the plain text from the HTML by itself.
"""

from __future__ import annotations

import re

from channels.campaign import content
from channels.campaign.content import Syntax

UNSUBSCRIBE, READER = "{{ unsubscribe }}", "{{ contact.EMAIL }}"
_OPENS = re.compile(r"\{(?=[{%#A-Z]|\Z)")
"""What begins a place to fill in; with a capital, one of Brevo's older language."""


def html(text: str) -> str:
    """The HTML."""
    return content.filled(text, lambda literal: _OPENS.sub("&#123;", literal), UNSUBSCRIBE, READER)


def subject(text: str) -> str:
    """The subject, or the preview."""
    return _OPENS.sub("{\u2060", text)


def _no_text(text: str) -> str:
    return ""


SYNTAX = Syntax(subject, html, _no_text, longest=500, preview=200)
