"""serve."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from urllib.parse import urlsplit

from publisher import registry, web
from publisher.cli.office import load_settings, open_desk
from publisher.cli.publishing import worker_of
from publisher.desk import Desk

_HERE = ("localhost", "127.0.0.1", "::1")


def serve(arguments: argparse.Namespace) -> int:
    """Serves the pages for subscribers and publishes beside, until it is stopped."""
    from publisher import alerts
    from publisher.worker import configure_logging

    loaded = load_settings(arguments)
    web.require(loaded)
    if loaded.office.url.startswith("http://") and urlsplit(loaded.office.url).hostname not in _HERE:
        print(
            "Warning: PUBLISHER_URL is no https address; mail programs offer one click over https only.",
            file=sys.stderr,
        )
    configure_logging([*registry.secrets(loaded), *alerts.secrets(loaded.office.alerts)])
    with open_desk(arguments) as desk, web.listen(arguments.host, arguments.port) as listening:
        asyncio.run(_run(arguments, desk, listening))
    return 0


async def _run(arguments: argparse.Namespace, desk: Desk, listening: socket.socket) -> None:
    from publisher.worker import close

    worker = None if arguments.without_worker else worker_of(desk)
    service = web.assemble(desk.settings, desk.store, desk.channels)
    try:
        await web.run(web.make_server(service.app, arguments.trust_proxy), listening, worker)
    finally:
        await service.close()
        await close(desk.channels.values())
