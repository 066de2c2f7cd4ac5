"""Tells people through Apprise: each address in a thread of its own, for a bounded time, and never by name."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import SecretStr

from publisher.errors import SettingsError

log = structlog.get_logger("publisher.alerts")

_SECONDS = 20.0
_BETWEEN = re.compile(r"[\s,]*\s[\s,]*|,+(?=[A-Za-z][A-Za-z0-9+.-]*://)|,+$")
"""Between two addresses: white space, or a comma before a scheme; other commas belong to the address."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,}", re.ASCII)


def addresses(setting: SecretStr) -> list[str]:
    """The addresses in ``PUBLISHER_ALERTS``, in their order."""
    return [address for address in _BETWEEN.split(setting.get_secret_value()) if address.strip(",")]


def secrets(setting: SecretStr) -> list[str]:
    """What no log may show of ``setting``: each address, and the passwords and tokens in it."""
    found = []
    for address in addresses(setting):
        credentials = urlsplit(address).netloc.rpartition("@")[0] if "[" not in address else ""
        password = credentials.partition(":")[2]
        found += [address, password, unquote(password), *_TOKEN.findall(address)]
    return [secret for secret in found if secret]


class Teller:
    """The people who are told. An address that does not take a message is logged by its position."""

    def __init__(self, setting: SecretStr, seconds: float = _SECONDS) -> None:
        """Raises :class:`SettingsError` for an address that Apprise cannot use, by its position."""
        import apprise  # heavy, and needed only where somebody is to be told

        _silence()
        asset = apprise.AppriseAsset(
            app_id="Bilingual publisher",
            app_desc="Bilingual publisher",
            app_url="",
            image_url_mask="",
            image_url_logo="",
            storage_mode="memory",
        )
        self._targets: list[_Target] = []
        for position, address in enumerate(addresses(setting), 1):
            route = apprise.Apprise(asset=asset)
            if not route.add(address):
                raise SettingsError(
                    f"PUBLISHER_ALERTS: address {position} cannot be used; "
                    "write it as https://appriseit.com/services/ shows."
                )
            self._targets.append(_Target(position, route, seconds))
        if not self._targets:
            raise SettingsError("PUBLISHER_ALERTS holds no address; write one, or leave it empty.")

    async def tell(self, title: str, body: str) -> bool:
        """Tells everybody at once; whether anybody was reached.

        One broken address must not make the others get the same message every minute; it hears the next reminder.
        """
        reached = await asyncio.gather(*(target.tell(title, body) for target in self._targets))
        return any(reached)


class _Target:
    """One address. A thread that hangs is left behind, and not joined by a second one."""

    def __init__(self, position: int, route: Any, seconds: float) -> None:
        self._position, self._route, self._seconds = position, route, seconds
        self._answer: Future[bool] | None = None

    async def tell(self, title: str, body: str) -> bool:
        """Whether it took the message. Apprise says no more than yes or no."""
        # A thread that has answered may live on for a moment; only one that has not is in the way.
        if self._answer is not None and not self._answer.done():
            return self._untold("an earlier message is still under way")
        answer = self._answer = Future()
        answer.set_running_or_notify_cancel()
        # A daemon, so that a service that never answers does not keep the worker from ending.
        threading.Thread(target=self._send, args=(title, body, answer), name="alert", daemon=True).start()
        try:
            told = await asyncio.wait_for(asyncio.wrap_future(answer), self._seconds)
        except TimeoutError:
            return self._untold(f"no answer within {self._seconds:.0f} seconds")
        except Exception as error:  # its text may hold the address
            return self._untold(f"unexpected {type(error).__name__}")
        return told or self._untold("the service did not take it")

    def _send(self, title: str, body: str, answer: Future[bool]) -> None:
        try:
            answer.set_result(bool(self._route.notify(title=title, body=body, body_format="text")))
        except Exception as error:
            answer.set_exception(error)

    def _untold(self, reason: str) -> bool:
        log.error(
            "an alert could not be told",
            event_name="alert.untold",
            setting="PUBLISHER_ALERTS",
            position=self._position,
            reason=reason,
        )
        return False


def _silence() -> None:
    """Apprise and what it sends with write addresses into their logs; we say what is to be said."""
    for name in ("apprise", "requests", "urllib3", "requests_oauthlib", "oauthlib"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
