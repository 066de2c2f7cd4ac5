"""Revision in, findings out: one module a check. An error blocks submission, nothing else does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from publisher.announcement import Finding, Revision
from publisher.preflight import doubled, titles, typography

Check = Callable[[Revision], Iterable[Finding]]
"""Looks at a revision for one kind of fault. Pure: the same revision has the same findings."""

CHECKS: tuple[Check, ...] = (titles.check, typography.check, doubled.check)
"""All checks, in the order their findings are shown."""


def check(revision: Revision) -> list[Finding]:
    """What all checks say about ``revision``."""
    return [finding for look in CHECKS for finding in look(revision)]
