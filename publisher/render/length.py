"""How long a text is, as the platform that limits it counts.

Sources: UAX 29 extended grapheme clusters; Mastodon's ``status_length_validator.rb`` and the address and
handle patterns it uses. Every pattern here runs in linear time, whatever an author pastes.
"""

from __future__ import annotations

import regex

from publisher.channel import LengthRule, Unit

_LINK = regex.compile(r"(?i)(?<!\S)https?://[A-Za-z0-9]\S*\.\S+")
"""A link between white space, where all platforms agree on where it ends (see ``publisher.render.summary``)."""
_HANDLE = regex.compile(
    # The possessive run and the look-behind say "starts and ends with a word character" without backtracking.
    r"(?<![=/\w])(@(?=[A-Za-z0-9_])[A-Za-z0-9_.-]++(?<=[A-Za-z0-9_]))@[\p{L}\p{N}.-]+[\p{L}\p{N}]"
)
_FLAG = regex.compile(r"\p{Regional_Indicator}{2}")
_GRAPHEME = regex.compile(r"\X")


def measure(text: str, rule: LengthRule) -> int:
    """The length of ``text`` in the units of ``rule``, with links and handles at what they cost there."""
    if rule.link is not None:
        text = _LINK.sub("x" * rule.link, text)
    if rule.short_handles:
        text = _HANDLE.sub(r"\1", text)
    return len(text) if rule.unit is Unit.CODE_POINTS else graphemes(text)


def graphemes(text: str) -> int:
    """How many characters a reader sees: extended grapheme clusters.

    Flags are taken out first: deciding where one begins makes ``\\X`` look back over the whole run of them.
    """
    return len(_GRAPHEME.findall(_FLAG.sub("x", text)))
