"""Both titles must be there: nothing can be published without a headline, and none is ever invented."""

from __future__ import annotations

from collections.abc import Iterator

from publisher.announcement import Finding, Language, Revision, Severity

_NAMES = {Language.ZH: "Chinese", Language.EN: "English"}


def check(revision: Revision) -> Iterator[Finding]:
    """``titles.missing``, an error, for each language without a title."""
    for language in Language:
        if not revision.title[language].strip():
            yield Finding(
                "titles.missing",
                Severity.ERROR,
                f"The {_NAMES[language]} title is missing; supply it with --title-{language}, "
                "or under title: in the front matter of a Markdown document.",
                zh=revision.title.zh,
                en=revision.title.en,
            )
