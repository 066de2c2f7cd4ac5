"""submit, approve, reject."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from publisher import clock
from publisher.announcement import AnnouncementState
from publisher.cli import output
from publisher.cli.office import open_desk, person
from publisher.delivery import posts_out
from publisher.readership import Reach, reaches


def submit(arguments: argparse.Namespace) -> int:
    """Hands the newest revision to an approver."""
    with open_desk(arguments) as desk:
        desk.submit(arguments.id, person(arguments))
    if arguments.json:
        output.as_json({"id": arguments.id, "state": "submitted"})
    else:
        print(
            f"{arguments.id} is submitted. Next, another person: publisher approve {arguments.id} --as NAME"
        )
    return 0


def approve(arguments: argparse.Namespace) -> int:
    """Seals every variant."""
    with open_desk(arguments) as desk:
        dossier = desk.approve(arguments.id, person(arguments))
        zone = desk.settings.office.timezone
        reached = reaches(desk.store, desk.channels, desk.channels_of(dossier.filed))
    filed, seal = dossier.filed, dossier.seal
    assert seal is not None
    if arguments.json:
        output.as_json(
            {"id": filed.key, "state": filed.state, "seal": seal.hash, "revision": filed.number}
            | _readers(reached)
        )
        return 0
    print(f"{filed.key} revision {filed.number} is approved and sealed ({seal.hash[:12]}).")
    output.lines(map(str, reached))
    if filed.state is AnnouncementState.SCHEDULED and filed.publish_at:
        print(f"It goes out at {clock.show(filed.publish_at.instant(), zone)}.")
    elif posts_out(dossier.deliveries):
        print(f"An earlier revision is out. Next, to see what would happen: publisher correct {filed.key}")
    else:
        print(f'Next: publisher schedule {filed.key} "2026-10-12 09:00 Asia/Shanghai" (or now)')
    return 0


def _readers(reached: Sequence[Reach]) -> dict[str, object]:
    return {"readers": {one.channel: dict(one.readers) for one in reached}} if reached else {}


def reject(arguments: argparse.Namespace) -> int:
    """Sends a revision back."""
    with open_desk(arguments) as desk:
        desk.reject(arguments.id, person(arguments), arguments.why)
    if arguments.json:
        output.as_json({"id": arguments.id, "state": "draft"})
    else:
        print(
            f"{arguments.id} is a draft again; its author finds the reason in: publisher log {arguments.id}"
        )
    return 0
