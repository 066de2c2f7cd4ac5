"""serve."""

from __future__ import annotations

import argparse
import asyncio
import socket

from publisher import registry, web
from publisher.cli.office import load_settings, open_desk
from publisher.desk import Desk
from publisher.settings import Settings


def serve(arguments: argparse.Namespace) -> int:
    """Serves the pages for subscribers and publishes beside, until it is stopped."""
    from publisher import alerts
    from publisher.worker import configure_logging

    loaded = load_settings(arguments)
    web.require(loaded)
    configure_logging([*registry.secrets(loaded), *alerts.secrets(loaded.office.alerts)])
    with open_desk(arguments) as desk, web.listen(arguments.host, arguments.port) as listening:
        asyncio.run(_run(arguments, loaded, desk, listening))
    return 0


async def _run(arguments: argparse.Namespace, loaded: Settings, desk: Desk, listening: socket.socket) -> None:
    from publisher.worker import assemble, close

    worker = None
    if not arguments.without_worker:
        worker = assemble(
            desk.store,
            desk.channels,
            retry_hours=loaded.office.retry_hours,
            alerts=loaded.office.alerts,
            zone=loaded.office.timezone,
            home=loaded.home,
        )
    service = web.assemble(loaded, desk.store, desk.channels)
    try:
        await web.run(web.make_server(service.app, arguments.trust_proxy), listening, worker)
    finally:
        await service.close()
        await close(desk.channels.values())
