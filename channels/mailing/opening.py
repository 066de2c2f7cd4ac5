"""Opens connections beside the loop that uses them: a session is set up in a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from channels.mailing.task import Offers
from channels.smtp.session import Session
from channels.smtp.settings import ServerSettings
from publisher.channel import DeliveryError


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that can take mail: its socket, non-blocking, and what the server offers."""

    connection: socket.socket
    offers: Offers


Told = Callable[[Opened | Exception], None]


class Opening:
    """One attempt to open a session. ``tell`` is called once, from another thread, unless it was called off."""

    def __init__(self, channel: str, settings: ServerSettings, tell: Told) -> None:
        self._session = Session(channel, settings)
        self._tell = tell
        self._lock = threading.Lock()
        self._off = False
        self._thread = threading.Thread(target=self._run, name=f"mailing {channel} opening", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def call_off(self) -> None:
        """Ends it; nothing is told any more."""
        with self._lock:
            self._off = True
        self._session.abort()

    def _run(self) -> None:
        found = self._opened()
        with self._lock:
            if not self._off:
                self._tell(found)
                return
        if isinstance(found, Opened):
            found.connection.close()

    def _opened(self) -> Opened | Exception:
        session = self._session
        try:
            with session.certain():
                session.open()
                return Opened(session.wire.detach(), Offers.read(session.extensions))
        except DeliveryError as error:
            session.leave(False)
            return error
        except Exception as error:  # a mistake of ours: whoever waits for the connection has to hear of it
            session.leave(False)
            return error
