"""Planning: from an approved revision and an hour to the deliveries that bring it out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from publisher.announcement import AnnouncementState, Person, Revision
from publisher.channel import Variant
from publisher.clock import WallTime
from publisher.delivery import DELIVERED, UNSENT
from publisher.errors import NotAllowedError
from publisher.registry import AnyAdapter
from publisher.render import links
from publisher.render.dates import view as event_view
from publisher.render.house import load as load_house
from publisher.store import Transaction
from publisher.store.announcements import Filed
from publisher.store.seals import Seal


def delivery_key(variant: Variant) -> str:
    """The key of a delivery: the same for every attempt, unlike that of any other, and only ``[a-z0-9-]``."""
    return f"{variant.key}-r{variant.revision}-{variant.channel}-{variant.scope}".replace("_", "-")


def plan(
    tx: Transaction,
    filed: Filed,
    seal: Seal,
    hour: WallTime,
    channels: Mapping[str, AnyAdapter],
    home: Path,
    person: Person,
    now: datetime,
) -> None:
    """Plans a delivery of every sealed variant for ``hour``, or moves those that are not out to it.

    The canonical channel is due at the hour; what links to it becomes due when its address is known.
    Raises :class:`NotAllowedError` where everything is out or on its way.
    """
    planned = {d.key: d for d in tx.deliveries.of(filed.key, filed.number)}
    if planned and not any(d.state in UNSENT for d in planned.values()):
        raise NotAllowedError(f'{filed.key} is already out or on its way; see "publisher show {filed.key}".')
    link_known = bool(planned) and all(d.state in DELIVERED for d in planned.values() if d.canonical)
    for variant_id, variant in tx.seals.variants(seal.id):
        canonical = variant.channel == seal.canonical
        waits = not canonical and not link_known and links.needs_link(variant)
        due = None if waits else hour.instant()
        until = _not_after(filed.revision, hour, channels.get(variant.channel), home)
        existing = planned.get(delivery_key(variant))
        if existing is None:
            tx.deliveries.plan(
                variant, variant_id, delivery_key(variant), canonical=canonical, due_at=due, not_after=until
            )
        elif existing.state in UNSENT:
            tx.deliveries.reschedule(existing, due, until, now, person)
    tx.announcements.set_publish_at(filed.key, hour)
    tx.announcements.set_state(filed.key, AnnouncementState.SCHEDULED)
    instant = hour.instant().isoformat()
    tx.log.add(now, filed.key, "announcement.scheduled", person, hour=str(hour), instant=instant)


def _not_after(revision: Revision, hour: WallTime, adapter: AnyAdapter | None, home: Path) -> datetime:
    """How late it may go out: the channel's grace, but an invitation not after its event."""
    grace = adapter.settings.grace_hours if adapter else 24.0
    until = hour.instant() + timedelta(hours=grace)
    if revision.event:
        event = event_view(revision.event, load_house(home))
        ends = datetime.fromisoformat(event.end_iso or event.start_iso).astimezone(UTC)
        if ends >= hour.instant():
            until = min(until, ends)
    return until
