"""schedule, cancel, resolve, worker."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from publisher import clock, registry
from publisher.cli import output, words
from publisher.cli.office import load_settings, open_control, open_desk, person
from publisher.control import Control
from publisher.delivery import DELIVERED, Delivery
from publisher.desk import Desk
from publisher.planning import Step
from publisher.readership import reaches
from publisher.words import Report, needs, where

if TYPE_CHECKING:
    from publisher.worker import Worker


def schedule(arguments: argparse.Namespace) -> int:
    """Sets the hour."""
    with open_desk(arguments) as desk:
        planned = desk.schedule(arguments.id, " ".join(arguments.when), person(arguments))
        zone = desk.settings.office.timezone
        reached = reaches(desk.store, desk.channels, desk.channels_of(desk.show(arguments.id).filed))
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
        output.lines(map(str, reached))
        print("A running worker publishes it; to publish by hand what is due: publisher worker --once")
    return 0


def cancel(arguments: argparse.Namespace) -> int:
    """Stops what has not begun; code 1 if something is out already."""
    with open_control(arguments) as (control, desk):
        out = desk.cancel(arguments.id, person(arguments))
        report = _reported(desk, control, arguments.id)
    if arguments.json:
        output.as_json({"id": arguments.id, "state": "cancelled", "not_stopped": [d.channel for d in out]})
    else:
        print(f"{arguments.id} is cancelled.")
        for delivery in out:
            print(f"Not stopped: {report.name(delivery)}, {report.state(delivery)}.")
        if out:
            print(f"What can still be done: publisher show {arguments.id}")
    return int(bool(out))


def _reported(desk: Desk, control: Control, key: str) -> Report:
    dossier = desk.show(key)
    outlook = control.outlook(desk.settings.office.timezone)
    return Report(dossier.filed, dossier.deliveries, outlook, desk.log(key))


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
        changed = control.unhalt(person(arguments))
    if arguments.json:
        output.as_json({"halted": False})
    else:
        print(
            "Everything goes on; what is due goes out now, where it is not too late for it."
            if changed
            else "Nothing was halted."
        )
    return 0


def resolve(arguments: argparse.Namespace) -> int:
    """Settles an uncertain delivery; what was known of it before, and what follows."""
    with open_control(arguments) as (control, desk):
        found = desk.uncertain(arguments.delivery)
        before = _reported(desk, control, found.announcement)
        readers = arguments.not_delivered or ()
        delivery = desk.resolve(arguments.delivery, arguments.delivered, person(arguments), readers)
        after = _reported(desk, control, found.announcement)
    if arguments.json:
        output.as_json(words.delivery_data(delivery, after))
        return 0
    for report, one, title in ((before, found, "Known so far"), (after, delivery, "Settled")):
        output.lines([f"{title}, {report.name(one)}: {report.state(one)}"], style="bold")
        output.lines(filter(None, [*report.story(one), report.address(one)]), indent=2)
    return 0


def worker(arguments: argparse.Namespace) -> int:
    """Runs the worker; with --once, code 1 if something that was due is not out."""
    from publisher import alerts
    from publisher.worker import close, configure_logging

    loaded = load_settings(arguments)
    configure_logging([*registry.secrets(loaded), *alerts.secrets(loaded.office.alerts)])

    async def run(desk: Desk) -> int:
        made = worker_of(desk)
        try:
            if not arguments.once:
                await made.run()
                return 0
            return _report(desk, arguments, await made.run_once())
        finally:
            await close(desk.channels.values())

    with open_desk(arguments) as desk:
        return asyncio.run(run(desk))


def worker_of(desk: Desk) -> Worker:
    """A worker over the desk's store and channels, as its settings say."""
    from publisher.engine.letters import Office
    from publisher.returns import Collector
    from publisher.worker import assemble

    settings = desk.settings
    return assemble(
        desk.store,
        desk.channels,
        retry_hours=settings.office.retry_hours,
        alerts=settings.office.alerts,
        zone=settings.office.timezone,
        home=settings.home,
        office=Office.of(settings),
        collector=Collector.of(settings, desk.store),
    )


def _report(desk: Desk, arguments: argparse.Namespace, due: datetime | None) -> int:
    zone = desk.settings.office.timezone
    outlook = Control(desk.store, desk.channels).outlook(zone)
    reports = [Report(dossier.filed, dossier.deliveries, outlook) for dossier in desk.all()]
    touched = [(report, d) for report in reports for d in report.deliveries if d.attempt]
    late = [d for _, d in touched if d.state not in DELIVERED and needs(d)]
    if arguments.json:
        output.as_json({"next_due": due, "deliveries": [words.delivery_data(d) for _, d in touched]})
        return int(bool(late))
    output.listing(
        ("Id", "Channel", "Stands", "Where, or why"),
        [_line(report, delivery) for report, delivery in touched],
    )
    if due is not None:
        print(f"The next step comes at {clock.show(due, zone)}.")
    for key in dict.fromkeys(delivery.announcement for delivery in late):
        print(f"To do: publisher show {key}")
    return int(bool(late))


def _line(report: Report, delivery: Delivery) -> tuple[str, str, str, str]:
    told = where(delivery) or delivery.reason
    return delivery.announcement, report.name(delivery), report.state(delivery), told
