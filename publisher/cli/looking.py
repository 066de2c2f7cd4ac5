"""list, show, log."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from publisher import clock
from publisher.cli import output, words
from publisher.cli.office import open_control
from publisher.desk import Dossier
from publisher.mailing import told
from publisher.readership import Progress, progress
from publisher.store.log import Event
from publisher.words import Report, ToDo, halted, unmanned

_MOST = 10
"""So many announcements that need a person are named below the list."""


def list_all(arguments: argparse.Namespace) -> int:
    """All announcements."""
    with open_control(arguments) as (control, desk):
        zone = desk.settings.office.timezone
        outlook = control.outlook(zone)
        reports = [Report(d.filed, d.deliveries, outlook) for d in desk.all()]
    if arguments.json:
        output.as_json([_summary(report) for report in reports])
        return 0
    if not reports:
        print("There are no announcements yet. Bring one in: publisher add FILE")
    else:
        output.table(
            ("Id", "Stands", f"Goes out\n{zone}", "Chinese title", "English title"),
            [_row(report, zone) for report in reports],
            whole=("Id", "Stands", f"Goes out\n{zone}"),
        )
    output.todos([todo for todo in (halted(outlook), unmanned(outlook), _needing(reports)) if todo])
    return 0


def _row(report: Report, zone: str) -> tuple[str, ...]:
    filed, title = report.filed, report.filed.revision.title
    hour = clock.show(filed.publish_at.instant(), zone).removesuffix(f" {zone}") if filed.publish_at else ""
    hour = "once approved" if filed.at_once and not hour else hour
    return (
        filed.key,
        report.standing(),
        hour,
        title.zh or "(no Chinese title)",
        title.en or "(no English title)",
    )


def _needing(reports: list[Report]) -> ToDo | None:
    keys = [report.filed.key for report in reports if report.needing]
    if not keys:
        return None
    what = (
        f"{len(keys)} announcements need a person." if len(keys) > 1 else "One announcement needs a person."
    )
    more = f" The {_MOST} newest are:" if len(keys) > _MOST else ""
    return ToDo(what + more, tuple(("", f"publisher show {key}") for key in keys[:_MOST]))


def _summary(report: Report) -> dict[str, object]:
    filed = report.filed
    return {
        "id": filed.key,
        "revision": filed.number,
        "state": filed.state,
        "stands": report.standing(),
        "needs_a_person": bool(report.needing),
        "title": {"zh": filed.revision.title.zh, "en": filed.revision.title.en},
        "publish_at": str(filed.publish_at) if filed.publish_at else "",
        "author": filed.author,
        "submitter": filed.submitter,
        "source": filed.source,
    }


def show(arguments: argparse.Namespace) -> int:
    """One announcement: where it stands on each channel, and what to do."""
    with open_control(arguments) as (control, desk):
        dossier = desk.show(arguments.id)
        outlook = control.outlook(desk.settings.office.timezone)
        report = Report(dossier.filed, dossier.deliveries, outlook, desk.log(arguments.id))
        letters = {d.id: found for d in dossier.deliveries if (found := progress(desk.store, d))}
    seal, todos = dossier.seal, report.todos()
    if arguments.json:
        approval = {"approver": seal.approver, "at": seal.at, "seal": seal.hash} if seal else None
        data = _summary(report) | {"approval": approval, "to_do": [words.todo_data(todo) for todo in todos]}
        output.as_json(
            data
            | {"deliveries": [words.delivery_data(d, report, letters.get(d.id)) for d in dossier.deliveries]}
        )
        return 0
    _print_head(dossier, report)
    _print_deliveries(report, letters)
    print()
    if todos:
        output.todos(todos)
    else:
        output.lines([report.calm()], style="bold")
    return 0


def _print_head(dossier: Dossier, report: Report) -> None:
    filed, seal, zone = dossier.filed, dossier.seal, report.outlook.zone
    print(f"{filed.key}, revision {filed.number}: {report.standing()}")
    for language, text in (("zh", filed.revision.title.zh), ("en", filed.revision.title.en)):
        output.lines([f"{language}  {text or '(no title yet)'}"], indent=2)
    print(f"  written by {filed.author}" + (f", submitted by {filed.submitter}" if filed.submitter else ""))
    if seal:
        print(f"  approved by {seal.approver}, {clock.show(seal.at, zone)}, seal {seal.hash[:12]}")
    if filed.publish_at:
        print(f"  planned for {clock.show(filed.publish_at.instant(), zone)}")
    elif filed.at_once:
        print("  goes out as soon as it is approved")
    if rejected := report.sent_back:
        output.lines([rejected], indent=2)


def _print_deliveries(report: Report, letters: Mapping[int, Progress]) -> None:
    for delivery in report.deliveries:
        print()
        output.lines([f"{report.name(delivery)}: {report.state(delivery)}"], style="bold")
        output.lines(filter(None, [*report.story(delivery), report.address(delivery)]), indent=2)
        if found := letters.get(delivery.id):
            output.lines(_letters(found), indent=2)


def _letters(found: Progress) -> list[str]:
    """How a newsletter stands with its subscribers; those in doubt by name, as many as a person can look up."""
    lines = [f"Messages: {told(found.counts)}."]
    lines += [
        f"In doubt: {d.address or 'somebody who was removed since'} ({d.answer})"
        for d in found.doubtful[:_MOST]
    ]
    if len(found.doubtful) > _MOST:
        lines.append(f"In doubt are {len(found.doubtful) - _MOST} more; all of them: add --json")
    return lines


def log(arguments: argparse.Namespace) -> int:
    """Everything that happened to an announcement, or without one to the office as a whole."""
    with open_control(arguments) as (control, desk):
        zone = desk.settings.office.timezone
        if arguments.id is None:
            events, deliveries = control.log(), {}
        else:
            events = desk.log(arguments.id)
            deliveries = {d.id: (d.key, d.channel) for d in desk.show(arguments.id).deliveries}
    if arguments.json:
        output.as_json([_event_data(e, deliveries.get(e.delivery or 0, ("", ""))[0]) for e in events])
        return 0
    if not events:
        print("Nothing was halted or paused so far. The log of an announcement: publisher log ID")
        return 0
    rows = []
    for e in events:
        who = e.actor if e.account in ("", e.actor) else f"{e.actor} ({e.account})"
        channel = deliveries.get(e.delivery or 0, ("", ""))[1]
        rows.append((clock.show(e.at, zone).removesuffix(f" {zone}"), who, words.event(e, channel, zone)))
    output.listing((f"When ({zone})", "Who", "What"), rows)
    return 0


def _event_data(entry: Event, delivery: str) -> dict[str, object]:
    return {
        "at": entry.at,
        "event": entry.name,
        "by": entry.actor,
        "account": entry.account,
        "delivery": delivery or None,
        "attempt": entry.attempt,
        **entry.detail,
    }
