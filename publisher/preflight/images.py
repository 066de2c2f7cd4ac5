"""Pictures: read and kept, and honestly said not to be published."""

from __future__ import annotations

from collections.abc import Iterator

from publisher.announcement import Finding, Revision, Severity


def check(revision: Revision) -> Iterator[Finding]:
    """``images.unpublished``, a note, since no channel takes pictures."""
    if revision.images:
        names = ", ".join(image.file for image in revision.images)
        message = f"Pictures are kept with the announcement but not published: {names}. Put them on the page by hand."
        yield Finding("images.unpublished", Severity.NOTE, message)
