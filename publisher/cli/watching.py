"""alerts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from publisher import alerts as watched
from publisher import registry
from publisher.alerts.cause import Cause
from publisher.alerts.plan import Notice, headline
from publisher.cli import output, words
from publisher.cli.office import load_settings, open_control
from publisher.words import halted


def alerts(arguments: argparse.Namespace) -> int:
    """What gives cause for an alert, and with --tell who had to be told; code 1 if there is any cause."""
    loaded = load_settings(arguments)
    office, told = loaded.office, list[Notice]()
    with open_control(arguments) as (control, desk):
        pace = {name: channel.settings.per_minute for name, channel in desk.channels.items()}
        if arguments.tell:
            from publisher.worker import configure_logging

            configure_logging([*registry.secrets(loaded), *watched.secrets(office.alerts)])
            told = watched.tell(desk.store, office.alerts, pace, office.timezone)
        found = watched.causes(desk.store, pace, office.timezone)
        halt = halted(control.outlook(office.timezone))
    if arguments.json:
        output.as_json({"alerts": [_data(cause) for cause in found], "told": [n.title for n in told]})
    elif arguments.tell:
        _print_told(told)
    else:
        _print(found)
        output.todos([halt] if halt else [])
    return int(bool(found))


def _data(cause: Cause) -> dict[str, object]:
    return {
        "id": cause.id,
        "kind": cause.kind,
        "what": cause.what,
        "to_do": words.todo_data(cause.to_do),
        "since": cause.since,
    }


def _print_told(told: Sequence[Notice]) -> None:
    for notice in told:
        print(f"Told: {notice.title}.")
    if not told and sys.stdout.isatty():  # cron would send a mail for every line
        print(
            "Nothing had to be told from here: there is no cause, it was told already, or a worker tells it."
        )


def _print(found: Sequence[Cause]) -> None:
    if not found:
        print("Nothing gives cause for an alert.")
    for cause in found:
        output.lines([headline(cause)], style="bold")
        output.lines([cause.what], indent=2)
        output.todos([cause.to_do], indent=2)
