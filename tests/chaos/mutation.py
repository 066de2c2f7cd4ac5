"""The product with one of its safeguards taken out, so that the harness can be seen to notice.

Each acts on SQL as it leaves the worker, so that it does not depend on how the store is written.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Engine, event

NO_INTENTION = "no intention"
"""A claim does not say *sending*: after a crash nothing tells that a post may be out."""
NO_LEASE = "no lease"
"""A lease that another worker holds does not keep this one from the delivery."""
NO_RECONCILE = "no reconcile"
"""What is in doubt is sent again without asking."""

_CLAIM = re.compile(r"SELECT .*state IN .*lease_until", re.DOTALL)
_INSTEAD = {NO_INTENTION: "sending", NO_RECONCILE: "uncertain"}


def install(name: str) -> None:
    """Takes the safeguard ``name`` out of this process."""

    def rewrite(_: Any, cursor: Any, statement: str, given: Any, __: Any, many: bool) -> tuple[str, Any]:
        if name == NO_LEASE:
            if _CLAIM.match(statement):
                cursor.execute(
                    "UPDATE deliveries SET state = 'waiting', lease_until = NULL WHERE state = 'sending'"
                )
        elif statement.startswith(("UPDATE deliveries", "SELECT deliveries.lease_until")) and not many:
            given = _without(given, _INSTEAD[name])
        return statement, given

    event.listen(Engine, "before_cursor_execute", rewrite, retval=True)


def _without(given: Any, state: str) -> Any:
    """The parameters of a statement, in order for SQLite and by name for PostgreSQL, that never say ``state``."""
    if isinstance(given, dict):
        return {name: "waiting" if value == state else value for name, value in given.items()}
    return tuple("waiting" if value == state else value for value in given)
