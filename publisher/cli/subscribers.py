"""subscribers: import, export, list, show, add, change, remove."""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from publisher import addresses, clock, roster
from publisher.audience import Audience, Imported, Line, list_name
from publisher.cli import output
from publisher.cli.office import load_settings, person
from publisher.errors import NotFoundError, UsageError
from publisher.roster.writing import safe
from publisher.settings import Settings
from publisher.store import Store
from publisher.subscriber import Consent, Reading, Subscriber, SubscriberState

_MOST = 20
"""So many refused lines are shown; the others are in the report."""


@contextmanager
def _open(arguments: argparse.Namespace) -> Iterator[tuple[Audience, Settings]]:
    loaded = load_settings(arguments)
    store = Store.open(loaded.home, loaded.office.database_url.get_secret_value())
    try:
        yield Audience(store), loaded
    finally:
        store.close()


# --- import, export ---------------------------------------------------------------------------------------------


def bring_in(arguments: argparse.Namespace) -> int:
    """Imports a file; code 1 if a line was refused."""
    path = Path(arguments.file)
    lists = tuple(list_name(name) for name in filter(None, arguments.list.split(",")))
    who = person(arguments)
    # When they agreed is not known unless the file says it; the day of the import is another one.
    consent = Consent(None, arguments.consent_how.strip(), arguments.consent_text.strip())
    with _open(arguments) as (audience, loaded), _binary(path) as file, _report(arguments) as report:
        source, zone = arguments.source or path.name, loaded.office.timezone
        defaults = roster.Defaults(Reading(arguments.language), lists, consent, source, zone)
        rows = roster.read(file, path.name, defaults)
        lines = (Line(row.number, row.text, row.subscriber, row.refusal) for row in rows)
        done = audience.bring_in(lines, who, rehearsal=arguments.dry_run)
        report.writerows((one.number, safe(one.text), one.why) for one in done.refused)
    if arguments.json:
        output.as_json(asdict(done) | {"dry_run": arguments.dry_run})
    else:
        _print_import(done, arguments)
    return int(bool(done.refused))


@contextmanager
def _binary(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; check the name and the folder.") from None
    except (IsADirectoryError, PermissionError) as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


@contextmanager
def _report(arguments: argparse.Namespace) -> Iterator[Any]:
    """Where every refused line goes with its reason: a table that Excel opens, made before anything is imported."""
    path = Path(arguments.report or os.devnull)
    if path.exists() and path.samefile(arguments.file):
        raise UsageError(f"{path} is the file to be imported; name another one for the report.")
    try:
        file = open(path, "w", encoding="utf-8-sig", newline="", opener=_private)  # noqa: SIM115  # closed below
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    with file:
        rows = csv.writer(file)
        rows.writerow(("line", "text", "why"))
        yield rows


def _private(path: str, flags: int) -> int:
    """Opens a file of addresses: if it is new, only its owner can read it."""
    return os.open(path, flags, 0o600)


def _print_import(done: Imported, arguments: argparse.Namespace) -> None:
    would = "would be " if arguments.dry_run else ""
    print(
        f"{done.lines:,} lines: {done.added:,} {would}added, {done.joined:,} {would}put on more lists, "
        f"{done.known:,} there already."
    )
    if not done.refused:
        return
    print(f"{len(done.refused):,} were refused:")
    output.listing(("Line", "Text", "Why"), [(str(r.number), r.text, r.why) for r in done.refused[:_MOST]])
    if arguments.report:
        print(f"All of them with their reasons: {arguments.report}")
    elif len(done.refused) > _MOST:
        print("For all of them with their reasons, add: --report FILE")


def bring_out(arguments: argparse.Namespace) -> int:
    """Exports to a file, or to the output."""
    state = SubscriberState(arguments.state) if arguments.state else None
    list_ = list_name(arguments.list) if arguments.list else ""
    if arguments.json and arguments.file == "-":
        raise UsageError("Name a file to export to with --json, or leave --json out.")
    with _open(arguments) as (audience, _):
        found = audience.all(list_, state)
        if arguments.file == "-":
            assert isinstance(sys.stdout, TextIOWrapper)
            sys.stdout.reconfigure(encoding="utf-8", newline="")
            roster.write(found, sys.stdout)
            return 0
        path = Path(arguments.file)
        try:
            with open(path, "x", encoding="utf-8", newline="", opener=_private) as file:
                count = roster.write(found, file)
        except FileExistsError:
            raise UsageError(f"{path} is there already; name a new file.") from None
        except (FileNotFoundError, PermissionError) as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    if arguments.json:
        output.as_json({"file": str(path), "subscribers": count})
    else:
        print(f"{count:,} subscribers written to {path}, which only you can read.")
    return 0


# --- one and all ------------------------------------------------------------------------------------------------


def list_all(arguments: argparse.Namespace) -> int:
    """How many there are; with --list or --state, who."""
    state = SubscriberState(arguments.state) if arguments.state else None
    with _open(arguments) as (audience, loaded):
        if arguments.list or state or arguments.all:
            found = list(audience.all(list_name(arguments.list) if arguments.list else "", state))
            return _print_many(found, arguments, loaded)
        counts, lists = audience.counts()
    if arguments.json:
        states = {state: {r: n for (s, r), n in counts.items() if s == state} for state, _ in counts}
        output.as_json({"subscribers": states, "lists": dict(lists)})
        return 0
    if not counts:
        print("There are no subscribers yet. Bring some in: publisher subscribers import FILE")
        return 0
    rows = [
        (str(state), *(f"{counts.get((state, code), 0):,}" for code in Reading))
        for state in SubscriberState
        if any(s == state for s, _ in counts)
    ]
    output.table(("State", "Chinese", "English", "Both"), rows)
    if lists:
        output.table(("List", "Active subscribers"), [(name, f"{count:,}") for name, count in lists.items()])
    return 0


def _print_many(found: list[Subscriber], arguments: argparse.Namespace, loaded: Settings) -> int:
    if arguments.json:
        output.as_json([_data(one) for one in found])
        return 0
    rows = [(one.address, one.name, str(one.reading), " ".join(one.lists), str(one.state)) for one in found]
    output.listing(("Address", "Name", "Reads", "Lists", "State"), rows)
    print(f"{len(found):,} subscribers.")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """What is known of one address; code 1 if nothing is."""
    with _open(arguments) as (audience, loaded):
        one, barred = audience.find(arguments.address)
    if one is None and barred is None:
        raise NotFoundError(f"There is no subscriber {arguments.address}; check the spelling.")
    if arguments.json:
        output.as_json({"subscriber": _data(one) if one else None, "not_written_to": barred})
        return 0
    zone = loaded.office.timezone
    if one:
        print(f"{one.name} <{one.address}>" if one.name else one.address)
        agreed = (
            f"{clock.show(one.consent.at, zone)}, {one.consent.how}" if one.consent.at else one.consent.how
        )
        facts = {
            "state": one.state,
            "reads": one.reading,
            "lists": " ".join(one.lists) or "none",
            "agreed": agreed or "not recorded",
            "to": one.consent.text,
            "from": one.source,
        }
        output.lines([f"{name}: {value}" for name, value in facts.items() if value], indent=2)
    if barred:
        print(f"Nothing is sent to this address: {barred}.")
    return 0


def add(arguments: argparse.Namespace) -> int:
    """Adds one subscriber."""
    try:
        address = addresses.read(arguments.address)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    lists = tuple(list_name(name) for name in filter(None, arguments.list.split(",")))
    consent = Consent(clock.now(), arguments.consent_how, arguments.consent_text)
    name = addresses.cleaned_name(arguments.name) or address.name
    new = Subscriber(
        address.sent,
        address.normal,
        name,
        Reading(arguments.language),
        lists,
        consent=consent,
        source="by hand",
    )
    with _open(arguments) as (audience, _):
        changed = audience.add(new, person(arguments))
        one, _barred = audience.find(arguments.address)
    if arguments.json:
        output.as_json({"added": changed, "subscriber": _data(one) if one else None})
    else:
        print(f"{address.sent} is subscribed." if changed else f"{address.sent} was there already.")
    return 0


def change(arguments: argparse.Namespace) -> int:
    """Changes name, language or lists of one subscriber."""
    if arguments.name is None and arguments.language is None and arguments.list is None:
        raise UsageError("Say what to change: --name, --language or --list.")
    lists = None
    if arguments.list is not None:
        lists = [list_name(name) for name in filter(None, arguments.list.split(","))]
    reading = Reading(arguments.language) if arguments.language else None
    with _open(arguments) as (audience, _):
        one = audience.change(
            arguments.address, person(arguments), name=arguments.name, reading=reading, lists=lists
        )
    if arguments.json:
        output.as_json(_data(one))
    else:
        print(f"{one.address} is changed.")
    return 0


def remove(arguments: argparse.Namespace) -> int:
    """Deletes one subscriber for good."""
    with _open(arguments) as (audience, _):
        audience.remove(arguments.address, person(arguments))
    if arguments.json:
        output.as_json({"removed": arguments.address})
    else:
        print(f"{arguments.address} is removed, and is not written to again, even if a file brings it in.")
    return 0


def _data(one: Subscriber) -> dict[str, Any]:
    return {
        "address": one.address,
        "name": one.name,
        "language": one.reading,
        "lists": list(one.lists),
        "state": one.state,
        "consent": asdict(one.consent),
        "source": one.source,
        "ref": one.ref,
    }
