"""Hashtags that are hashtags everywhere.

The form that Mastodon, X, Bluesky and Telegram all recognise: an ASCII ``#`` after a space, then letters, marks,
digits, ``_`` and ``·``, at least one of them a letter, ended by a space (Mastodon ``tag.rb``, twitter-text 3.1).
"""

from __future__ import annotations

from collections.abc import Iterable

import regex

from publisher.announcement import Language, Tags

_STRAY = regex.compile(r"[^\p{L}\p{M}\p{N}_·]")


def hashtag(tag: str) -> str:
    """``tag`` with its ``#``: words joined, strays dropped; empty where no letter is left.

    Latin words keep a capital each, so that screen readers find them again: "open source" is ``#OpenSource``.
    """
    words = [word for word in (_STRAY.sub("", part) for part in tag.split()) if word]
    joined = words[0] if len(words) == 1 else "".join(word[:1].upper() + word[1:] for word in words)
    # A mark without a letter before it would join the "#" itself.
    joined = regex.sub(r"^[\p{M}·]+", "", joined)
    return f"#{joined}" if regex.search(r"\p{L}", joined) else ""


def hashtags(tags: Tags, languages: Iterable[Language]) -> str:
    """The tags of ``languages`` in one line, each once whatever its capitals."""
    found: dict[str, str] = {}
    for language in languages:
        for tag in filter(None, map(hashtag, tags[language])):
            found.setdefault(tag.casefold(), tag)
    return " ".join(found.values())
