"""Listens: one uvicorn server in the loop of whoever runs it, guarded against visitors who never finish."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from publisher.errors import PublisherError

_CONNECTIONS = 200
"""At once. The worker beside needs connections of its own, and a process has about a thousand."""
_LIFE = 60.0
"""Seconds that a connection may last; whoever sends one header a minute is not waited for."""
_HEAD = 16 * 1024
_GRACE = 5
"""Seconds that answers under way are waited for at the end."""


class _Connection(H11Protocol):
    """A connection that ends, and that does not begin where there are too many."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Sets its end."""
        super().connection_made(transport)
        if len(self.connections) > _CONNECTIONS:
            transport.abort()
            return
        self._end = self.loop.call_later(_LIFE, self.shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets its end."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """Leaves signals to whoever runs it, and tells when it is ready."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    def stop(self) -> None:
        """Asks it to end, once the answers under way are given."""
        self.should_exit = True


def make_server(app: Any, trusted: str = "") -> Server:
    """A server of ``app``; the addresses or networks in ``trusted`` may say with X-Forwarded-For who the client is."""
    return Server(
        uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what a visitor sends that is no HTTP is no news
            access_log=False,  # an address holds a token
            server_header=False,
            proxy_headers=bool(trusted),
            forwarded_allow_ips=trusted or None,
            h11_max_incomplete_event_size=_HEAD,
            timeout_graceful_shutdown=_GRACE,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one. Raises :class:`PublisherError` in words for a person."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise PublisherError(
            f"Nothing can be served at {host}, port {port}: {error.strerror or error}; "
            "choose another with --host and --port."
        ) from None
    except (OverflowError, UnicodeError):
        raise PublisherError(
            f"{host}, port {port}, is no address to listen at; see --host and --port."
        ) from None
