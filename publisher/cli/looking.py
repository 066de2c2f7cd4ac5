"""list, show, log."""

from __future__ import annotations

import argparse

from publisher import clock
from publisher.announcement import AnnouncementState
from publisher.cli import output, words
from publisher.cli.office import open_desk
from publisher.delivery import DELIVERED
from publisher.desk import Dossier


def list_all(arguments: argparse.Namespace) -> int:
    """All announcements."""
    with open_desk(arguments) as desk:
        dossiers = desk.all()
        zone = desk.settings.office.timezone
    if arguments.json:
        output.as_json([_summary(dossier) for dossier in dossiers])
        return 0
    if not dossiers:
        print("There are no announcements yet. Bring one in: publisher add FILE")
        return 0
    rows = [
        (
            d.filed.key,
            _standing(d),
            clock.show(d.filed.publish_at.instant(), zone) if d.filed.publish_at else "",
            d.filed.revision.title.zh or "(no Chinese title)",
            d.filed.revision.title.en or "(no English title)",
        )
        for d in dossiers
    ]
    output.table(("Id", "Stands", "Goes out", "Chinese title", "English title"), rows)
    return 0


def _standing(dossier: Dossier) -> str:
    if dossier.filed.state is not AnnouncementState.SCHEDULED:
        return str(dossier.filed.state)
    mine = [d for d in dossier.deliveries if d.revision == dossier.filed.number]
    out = sum(d.state in DELIVERED for d in mine)
    if out == len(mine):
        return "published"
    if any(words.needs(d) for d in mine):
        return f"needs a person ({out} of {len(mine)} out)"
    return f"publishing ({out} of {len(mine)} out)" if out else "scheduled"


def _summary(dossier: Dossier) -> dict[str, object]:
    filed = dossier.filed
    return {
        "id": filed.key,
        "revision": filed.number,
        "state": filed.state,
        "stands": _standing(dossier),
        "title": {"zh": filed.revision.title.zh, "en": filed.revision.title.en},
        "publish_at": str(filed.publish_at) if filed.publish_at else "",
        "author": filed.author,
        "submitter": filed.submitter,
        "source": filed.source,
    }


def show(arguments: argparse.Namespace) -> int:
    """One announcement: where it stands on each channel, and what to do."""
    with open_desk(arguments) as desk:
        dossier = desk.show(arguments.id)
        zone = desk.settings.office.timezone
    filed, seal = dossier.filed, dossier.seal
    if arguments.json:
        approval = {"approver": seal.approver, "at": seal.at, "seal": seal.hash} if seal else None
        data = _summary(dossier) | {"approval": approval}
        output.as_json(data | {"deliveries": [words.delivery_data(d) for d in dossier.deliveries]})
        return 0
    print(f"{filed.key}, revision {filed.number}: {_standing(dossier)}")
    for language, text in (("zh", filed.revision.title.zh), ("en", filed.revision.title.en)):
        print(f"  {language}  {text or '(no title yet)'}")
    print(f"  written by {filed.author}" + (f", submitted by {filed.submitter}" if filed.submitter else ""))
    if seal:
        print(f"  approved by {seal.approver}, {clock.show(seal.at, zone)}, seal {seal.hash[:12]}")
    if filed.publish_at:
        print(f"  goes out {clock.show(filed.publish_at.instant(), zone)}")
    _print_deliveries(dossier, zone)
    return 0


def _print_deliveries(dossier: Dossier, zone: str) -> None:
    rows = [
        (
            d.key,
            words.state(d),
            clock.show(d.due_at, zone) if d.due_at else "",
            words.where(d) or d.reason,
        )
        for d in dossier.deliveries
    ]
    if rows:
        output.table(("Delivery", "State", "Next step at", "Where, or why"), rows)
    for delivery in dossier.deliveries:
        if step := words.needs(delivery):
            print(f"To do: {step}")


def log(arguments: argparse.Namespace) -> int:
    """Everything that happened."""
    with open_desk(arguments) as desk:
        events = desk.log(arguments.id)
        zone = desk.settings.office.timezone
        deliveries = {d.id: (d.key, d.channel) for d in desk.show(arguments.id).deliveries}
    if arguments.json:
        output.as_json(
            [
                {
                    "at": e.at,
                    "event": e.name,
                    "by": e.actor,
                    "account": e.account,
                    "delivery": deliveries.get(e.delivery or 0, (None, ""))[0],
                    "attempt": e.attempt,
                    **e.detail,
                }
                for e in events
            ]
        )
        return 0
    rows = []
    for e in events:
        who = e.actor if e.account in ("", e.actor) else f"{e.actor} ({e.account})"
        rows.append(
            (clock.show(e.at, zone), who, words.event(e, deliveries.get(e.delivery or 0, ("", ""))[1]))
        )
    output.table(
        (f"When ({zone})", "Who", "What"), [(when.removesuffix(f" {zone}"), *rest) for when, *rest in rows]
    )
    return 0
