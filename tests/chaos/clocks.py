"""The clock of a worker's machine, set back or forward while it runs."""

from __future__ import annotations

import importlib
from datetime import datetime, timedelta, tzinfo
from typing import Any

_READERS = (
    "publisher.clock",
    "apscheduler.executors.base",
    "apscheduler.schedulers.base",
    "apscheduler.triggers.date",
    "apscheduler.triggers.interval",
)
"""The modules that ask what time it is. How long something takes is measured by another clock, which nobody sets."""


def turn(by: timedelta) -> None:
    """From now on, the clock of this process says the time plus ``by``."""

    class Kind(type(datetime)):  # type: ignore[misc]  # so that any datetime is one of these
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, datetime)

    class Turned(datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + by

    for name in _READERS:
        vars(importlib.import_module(name))["datetime"] = Turned
