"""Our texts as listmonk's Go templates, so that they come out as they went in.

Source: ``models/campaigns.go`` (``CompileTemplate``) and ``models/common.go`` (``regTplFuncs``): HTML and the plain
text are compiled by ``html/template``, the subject by ``text/template``, once each has ``{{`` and ``}}``.
``html/template`` drops comments, which Outlook reads, and escapes what it fills in by where it stands; in the plain
text every ``<`` is the beginning of a tag to it. ``Safe`` is listmonk's own function for what must stay as it is.
"""

from __future__ import annotations

import json
import re

from channels.campaign import content
from channels.campaign.content import Syntax

UNSUBSCRIBE, READER = "{{ UnsubscribeURL }}", "{{ .Subscriber.Email }}"
_PLAIN_READER = "{{ Safe .Subscriber.Email }}"
_TRACK = "@TrackLink"
"""Behind an address this makes listmonk count clicks, wherever it stands."""


def html(text: str) -> str:
    """The HTML: comments are handed through whole, everything else is read by Go as HTML."""
    return "".join(
        content.filled(piece, _safe, UNSUBSCRIBE, READER)
        if comment
        else content.filled(piece, _markup, UNSUBSCRIBE, READER)
        for comment, piece in content.comments(text)
    )


def plain(text: str) -> str:
    """The plain text, which must not be taken for HTML."""
    return content.filled(text, _words, UNSUBSCRIBE, _PLAIN_READER)


def subject(text: str) -> str:
    """The subject, which has no place for the reader."""
    return _braces(text).replace(_TRACK, '{{ "@" }}TrackLink')


SYNTAX = Syntax(subject, html, plain, longest=500)
"""listmonk takes 5,000 characters, with the templates in it; mail programs show some 70."""


def _markup(literal: str) -> str:
    return _braces(literal).replace(_TRACK, "&#64;TrackLink")


def _words(literal: str) -> str:
    # Braces first: what is put for "<" has some of its own.
    return _braces(literal).replace("<", '{{ Safe "<" }}').replace(_TRACK, '{{ "@" }}TrackLink')


def _braces(literal: str) -> str:
    """``literal`` with every ``{`` written out that could, with what follows it, begin a place to fill in."""
    return re.sub(r"\{\{|\{(?=[<@]|$)", lambda match: '{{ "' + match[0] + '" }}', literal)


def _safe(literal: str) -> str:
    if not literal:
        return ""
    # The escapes of JSON are among those of Go.
    quoted = json.dumps(literal, ensure_ascii=False).replace(_TRACK, r"\u0040TrackLink")
    return f"{{{{ Safe {quoted} }}}}"
