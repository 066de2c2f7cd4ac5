"""A word written twice in a row in the English, as in "of the The Association"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.announcement import Finding, Language, Revision, Severity
from publisher.preflight.prose import texts

_TWICE = re.compile(r"(?<![\w'’-])([^\W\d_]+)(?:[ \t\n]+\1)+(?![\w'’-])", re.IGNORECASE)
_SLIP = re.compile(r"the|an|and|or|but|of|to|in|at|by|for|from|with|as|are|were|be|been|this|these|it|its")
_MEANT = re.compile(r"had|that|her|is|was|on|do|very|so|many|more|again|ha|no|long|far|much")


def check(revision: Revision) -> Iterator[Finding]:
    """``language.doubled``, a warning for every text with a word written twice; ``fix`` is the text mended."""
    for index, text in texts(revision, Language.EN):
        found = [match[0] for match in _TWICE.finditer(text) if _is_slip(match)]
        if found:
            quoted = ", ".join(f'"{" ".join(words.split())}"' for words in dict.fromkeys(found))
            yield Finding(
                "language.doubled",
                Severity.WARNING,
                f"A word stands twice in the English: {quoted}.",
                passage=index,
                en=text,
                fix=_TWICE.sub(lambda match: match[1] if _is_slip(match) else match[0], text),
            )


def _is_slip(match: re.Match[str]) -> bool:
    """Capital words may be a name, such as Lang Lang, and some doubles are good English: "she had had"."""
    word = match[1].lower()
    if _SLIP.fullmatch(word):
        return True
    return not _MEANT.fullmatch(word) and match[0] == match[0].lower()
