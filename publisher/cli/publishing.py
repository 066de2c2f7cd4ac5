"""schedule, cancel, resolve, worker."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict

from publisher import clock, registry
from publisher.cli import output, words
from publisher.cli.office import load_settings, open_control, open_desk, person
from publisher.delivery import DELIVERED
from publisher.desk import Desk
from publisher.planning import Step


def schedule(arguments: argparse.Namespace) -> int:
    """Sets the hour."""
    with open_desk(arguments) as desk:
        planned = desk.schedule(arguments.id, " ".join(arguments.when), person(arguments))
        zone = desk.settings.office.timezone
    if arguments.json:
        data = {"id": arguments.id, "state": "scheduled", "instant": planned.instant.isoformat()}
        output.as_json(data | {"dated": planned.dated})
    else:
        utc = f"{planned.instant:%Y-%m-%d %H:%M:%S} UTC"
        print(f"{arguments.id} goes out at {clock.show(planned.instant, zone)} ({utc}).")
        if planned.dated:
            print(
                f"Note: the approved posts are dated {planned.dated}; to change that, revise and approve again."
            )
        print("A running worker publishes it; to publish by hand what is due: publisher worker --once")
    return 0


def cancel(arguments: argparse.Namespace) -> int:
    """Stops what has not begun; code 1 if something is out already."""
    with open_desk(arguments) as desk:
        out = desk.cancel(arguments.id, person(arguments))
    if arguments.json:
        output.as_json({"id": arguments.id, "state": "cancelled", "not_stopped": [d.channel for d in out]})
    else:
        print(f"{arguments.id} is cancelled.")
        for delivery in out:
            print(f"Not stopped: {delivery.channel}, {words.state(delivery)}.")
    return int(bool(out))


def correct(arguments: argparse.Namespace) -> int:
    """Brings a newer revision out, or shows what would happen."""
    with open_desk(arguments) as desk:
        steps = desk.correct(arguments.id, person(arguments), confirmed=arguments.yes)
    return _steps(arguments, steps)


def retract(arguments: argparse.Namespace) -> int:
    """Takes an announcement back, or shows what would happen."""
    with open_desk(arguments) as desk:
        steps = desk.retract(arguments.id, person(arguments), confirmed=arguments.yes)
    return _steps(arguments, steps)


def _steps(arguments: argparse.Namespace, steps: list[Step]) -> int:
    if arguments.json:
        output.as_json({"id": arguments.id, "done": arguments.yes, "steps": [asdict(step) for step in steps]})
        return 0
    output.table(("Channel", "Language", "What happens"), [(s.channel, s.scope, s.told) for s in steps])
    if not arguments.yes:
        print("Nothing has been done yet. To do this, add --yes.")
    elif any(step.action for step in steps):
        print("A running worker does it now; by hand: publisher worker --once")
    return 0


def halt(arguments: argparse.Namespace) -> int:
    """Stops everything."""
    with open_control(arguments) as (control, _):
        changed = control.halt(person(arguments))
    if arguments.json:
        output.as_json({"halted": True})
    else:
        print(
            "Everything is halted." if changed else "Everything is halted already.",
            "To go on: publisher unhalt",
        )
    return 0


def unhalt(arguments: argparse.Namespace) -> int:
    """Lets everything go on."""
    with open_control(arguments) as (control, _):
        changed = control.unhalt()
    if arguments.json:
        output.as_json({"halted": False})
    else:
        print("Everything goes on; what is overdue goes out now." if changed else "Nothing was halted.")
    return 0


def resolve(arguments: argparse.Namespace) -> int:
    """Settles an uncertain delivery."""
    with open_desk(arguments) as desk:
        delivery = desk.resolve(arguments.delivery, arguments.delivered, person(arguments))
    if arguments.json:
        output.as_json(words.delivery_data(delivery))
    else:
        print(f"{delivery.key} is settled: {words.state(delivery)}.")
    return 0


def worker(arguments: argparse.Namespace) -> int:
    """Runs the worker; with --once, code 1 if something that was due is not out."""
    from publisher import alerts
    from publisher.worker import assemble, close, configure_logging

    loaded = load_settings(arguments)
    configure_logging([*registry.secrets(loaded), *alerts.secrets(loaded.office.alerts)])

    async def run(desk: Desk) -> int:
        made = assemble(
            desk.store,
            desk.channels,
            retry_hours=loaded.office.retry_hours,
            alerts=loaded.office.alerts,
            zone=loaded.office.timezone,
            home=loaded.home,
        )
        try:
            if not arguments.once:
                await made.run()
                return 0
            return _report(desk, arguments, await made.run_once())
        finally:
            await close(desk.channels.values())

    with open_desk(arguments) as desk:
        return asyncio.run(run(desk))


def _report(desk: Desk, arguments: argparse.Namespace, due: object) -> int:
    touched = [d for dossier in desk.all() for d in dossier.deliveries if d.attempt]
    late = [d for d in touched if d.state not in DELIVERED and words.needs(d)]
    if arguments.json:
        output.as_json({"next_due": due, "deliveries": [words.delivery_data(d) for d in touched]})
        return int(bool(late))
    output.table(
        ("Delivery", "State", "Where, or why"),
        [(d.key, words.state(d), words.where(d) or d.reason) for d in touched],
    )
    if due is not None:
        print(f"Next due: {due}")
    return int(bool(late))
