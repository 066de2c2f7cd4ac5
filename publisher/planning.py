"""Planning: from an approved revision and an hour to the deliveries that bring it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from publisher.announcement import AnnouncementState, Person, Revision
from publisher.channel import Variant
from publisher.clock import WallTime
from publisher.delivery import DELIVERED, UNSENT, Action, State, posts_out
from publisher.errors import NotAllowedError, UsageError
from publisher.registry import AnyAdapter
from publisher.render import links
from publisher.render.dates import view as event_view
from publisher.render.house import load as load_house
from publisher.store import Transaction
from publisher.store.announcements import Filed
from publisher.store.log import MACHINE
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
    everything = tx.deliveries.of(filed.key)
    planned = {d.key: d for d in everything if d.revision == filed.number and d.action is Action.PUBLISH}
    if any(d.revision < filed.number for d in posts_out(everything).values()):
        raise NotAllowedError(
            f"{filed.key} is already published; bring the new revision out with: publisher correct {filed.key}"
        )
    if planned and not any(d.state in UNSENT for d in planned.values()):
        raise NotAllowedError(f'{filed.key} is already out or on its way; see "publisher show {filed.key}".')
    link_known = bool(planned) and all(
        d.state in DELIVERED and not d.unseen for d in planned.values() if d.canonical
    )
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


_ZONES_DIFFER = timedelta(hours=26)
"""From UTC-12 to UTC+14: no change of a zone's rules moves an instant further."""


def replan(
    tx: Transaction, channels: Mapping[str, AnyAdapter], home: Path | None, now: datetime
) -> list[tuple[str, str]]:
    """Computes the coming instants anew from wall time and zone, by the rules as they are known now.

    What a person signed is an hour on a wall; which instant that is, a government may change after the signing.
    Returns key and a sentence for each announcement that was moved, or whose hour does not exist any more and which
    therefore keeps its instant.
    """
    told = []
    for key in dict.fromkeys(d.announcement for d in tx.deliveries.planned(now, now + _ZONES_DIFFER)):
        filed = tx.announcements.get(key)
        hour = filed.publish_at
        if hour is None:
            continue
        try:
            instant = hour.instant()
        except UsageError as error:
            told.append((key, str(error)))
            continue
        mine = [d for d in tx.deliveries.of(key, filed.number) if d.state is State.WAITING and not d.attempt]
        stale = {d.due_at for d in mine if d.due_at is not None and d.due_at > now and d.due_at != instant}
        if not stale:
            continue
        for delivery in mine:
            due = instant if delivery.due_at in stale else delivery.due_at
            until = _not_after(filed.revision, hour, channels.get(delivery.channel), home)
            tx.deliveries.reschedule(delivery, due, until, now, MACHINE)
        tx.log.add(now, key, "announcement.replanned", hour=str(hour), instant=instant.isoformat())
        told.append((key, f"{hour} is now {instant:%Y-%m-%d %H:%M} UTC"))
    return told


def _not_after(revision: Revision, hour: WallTime, adapter: AnyAdapter | None, home: Path | None) -> datetime:
    """How late it may go out: the channel's grace, but an invitation not after its event."""
    grace = adapter.settings.grace_hours if adapter else 24.0
    until = hour.instant() + timedelta(hours=grace)
    if revision.event:
        event = event_view(revision.event, load_house(home))
        ends = datetime.fromisoformat(event.end_iso or event.start_iso).astimezone(UTC)
        if ends >= hour.instant():
            until = min(until, ends)
    return until


@dataclass(frozen=True, slots=True)
class Step:
    """What a correction or a retraction does on one channel; ``action`` is ``None`` where nothing can be done."""

    channel: str
    scope: str
    action: Action | None
    told: str


def correction(
    tx: Transaction, filed: Filed, seal: Seal, channels: Mapping[str, AnyAdapter]
) -> list[tuple[Step, int, Variant]]:
    """What bringing out a newer revision does, a step for every sealed variant, with its id and itself."""
    out = posts_out(tx.deliveries.of(filed.key))
    steps = []
    for variant_id, variant in tx.seals.variants(seal.id):
        adapter, place = channels.get(variant.channel), (variant.channel, variant.scope)
        if adapter is None:
            step = Step(*place, None, "not configured any more; nothing happens there")
        elif place not in out:
            step = Step(*place, Action.PUBLISH, "published for the first time")
        elif out[place].revision == filed.number:
            step = Step(*place, None, "has this revision already")
        elif adapter.can_update:
            step = Step(*place, Action.UPDATE, "changed in place")
        else:
            step = Step(*place, None, "cannot be changed; what went out stays as it is")
        steps.append((step, variant_id, variant))
    return steps


def plan_correction(
    tx: Transaction,
    filed: Filed,
    seal: Seal,
    channels: Mapping[str, AnyAdapter],
    person: Person,
    now: datetime,
) -> None:
    """Plans every step of a correction for now; what links to the canonical post waits for it."""
    steps = correction(tx, filed, seal, channels)
    existing = {d.key: d for d in tx.deliveries.of(filed.key, filed.number)}
    first = any(step.action and variant.channel == seal.canonical for step, _, variant in steps)
    for step, variant_id, variant in steps:
        if step.action is None:
            continue
        canonical = variant.channel == seal.canonical
        due = None if first and not canonical and links.needs_link(variant) else now
        key = delivery_key(variant)
        if key not in existing:
            tx.deliveries.plan(
                variant, variant_id, key, canonical=canonical, due_at=due, not_after=None, action=step.action
            )
        elif existing[key].state in UNSENT:
            tx.deliveries.reschedule(existing[key], due, None, now, person)
    tx.announcements.set_state(filed.key, AnnouncementState.SCHEDULED)
    tx.log.add(now, filed.key, "announcement.corrected", person, number=filed.number)


def retraction(tx: Transaction, key: str, channels: Mapping[str, AnyAdapter]) -> list[tuple[Step, int]]:
    """What taking an announcement back does, a step for every post that is out, with the id of its delivery."""
    steps = []
    for (channel, scope), delivery in posts_out(tx.deliveries.of(key)).items():
        adapter = channels.get(channel)
        if adapter is None:
            step = Step(channel, scope, None, "not configured any more; nothing happens there")
        elif adapter.can_retract:
            step = Step(channel, scope, Action.RETRACT, "taken back")
        else:
            step = Step(channel, scope, None, "cannot be taken back; what went out stays")
        steps.append((step, delivery.id))
    return steps


def plan_retraction(
    tx: Transaction, filed: Filed, channels: Mapping[str, AnyAdapter], person: Person, now: datetime
) -> None:
    """Plans every step of a retraction for now."""
    existing = {d.key: d for d in tx.deliveries.of(filed.key)}
    for step, delivery_id in retraction(tx, filed.key, channels):
        if step.action is None:
            continue
        published = tx.deliveries.get(delivery_id)
        key = f"{published.key}-retract"
        if key in existing:
            if existing[key].state in UNSENT:
                tx.deliveries.reschedule(existing[key], now, None, now, person)
            continue
        tx.deliveries.plan(
            tx.seals.variant(published.variant),
            published.variant,
            key,
            canonical=False,
            due_at=now,
            not_after=None,
            action=Action.RETRACT,
        )
    tx.announcements.set_state(filed.key, AnnouncementState.RETRACTED)
    tx.log.add(now, filed.key, "announcement.retracted", person)
