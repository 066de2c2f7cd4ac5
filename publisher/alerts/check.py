"""A look at what is wrong from outside the worker, so that somebody is told also when the only worker is dead."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from pydantic import SecretStr

from publisher import clock
from publisher.alerts.cause import Cause, current
from publisher.alerts.plan import Notice
from publisher.alerts.telling import Teller
from publisher.alerts.watch import Watch
from publisher.errors import SettingsError
from publisher.store import Store

T = TypeVar("T")


def causes(store: Store, pace: Mapping[str, int], zone: str, now: clock.Clock = clock.now) -> list[Cause]:
    """All that gives cause for an alert at this moment; ``pace`` and ``zone`` as for :func:`current`."""
    with store.read() as tx:
        return current(tx, pace, zone, now(), [alert.cause for alert in tx.alerts.all()])


def tell(
    store: Store, setting: SecretStr, pace: Mapping[str, int], zone: str, now: clock.Clock = clock.now
) -> list[Notice]:
    """Tells whom ``setting`` names what is to be told now, unless a live worker does; what was told.

    Raises :class:`SettingsError` where there is nobody to tell, or an address cannot be used.
    """
    if not setting.get_secret_value():
        raise SettingsError("PUBLISHER_ALERTS is empty, so nobody can be told; write an address into it.")
    owner = f"alerts-{secrets.token_hex(8)}"  # never on the list of workers, since it delivers nothing
    watch = Watch(store, _in_thread, owner, pace, teller=Teller(setting), zone=zone, now=now)
    return asyncio.run(watch.look())


def _in_thread(work: Callable[[], T], /) -> Awaitable[T]:
    return asyncio.to_thread(work)
