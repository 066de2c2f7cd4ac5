"""The officers' verbs. Every rule of who may do what, and when, is here; the doors only call them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from publisher import clock, intake, registry
from publisher.announcement import (
    NO_TEXT,
    AnnouncementState,
    Bilingual,
    Finding,
    Person,
    Revision,
    Severity,
)
from publisher.channel import Links, MailingAdapter, Outcome, Receipt, Variant
from publisher.clock import WallTime
from publisher.delivery import (
    DELIVERED,
    IN_DOUBT,
    MOVES,
    UNSENT,
    Action,
    Delivery,
    Move,
    State,
    after_receipt,
    posts_out,
)
from publisher.errors import NotAllowedError, UsageError
from publisher.pictures import Open
from publisher.planning import Step, correction, plan, plan_correction, plan_retraction, retraction
from publisher.proof import Proofs
from publisher.registry import AnyAdapter
from publisher.render import length, links
from publisher.settings import Settings
from publisher.store import Store, Transaction
from publisher.store.announcements import Filed
from publisher.store.log import Event
from publisher.store.seals import Seal

_A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """A variant as it would be sealed, with its length as the channel counts and the limit, if it has one."""

    variant: Variant
    length: int | None
    maximum: int | None
    sealed: bool


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The instant, in UTC; ``dated`` is the day printed on the sealed posts where it is another one."""

    instant: datetime
    dated: str = ""


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that is known of one announcement."""

    filed: Filed
    seal: Seal | None
    deliveries: tuple[Delivery, ...]


class Desk:
    """The verbs over one store and one set of configured channels."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        channels: Mapping[str, AnyAdapter],
        now: clock.Clock = clock.now,
    ) -> None:
        self.settings, self.store, self.channels, self._now = settings, store, channels, now
        self.canonical = registry.canonical(settings, channels)
        self._proofs = Proofs(settings, channels, now)

    # --- bringing in ----------------------------------------------------------------------------------------

    def add(
        self,
        data: bytes,
        name: str,
        person: Person,
        *,
        title: Bilingual = NO_TEXT,
        publish_at: str = "",
        channels: Sequence[str] = (),
        beside: Open = intake.nothing_beside,
    ) -> tuple[str, list[Finding]]:
        """Files a document as a new announcement; its key, and what the checks find.

        ``publish_at`` and ``channels`` win over the document's own; ``beside`` reads the pictures it names. Nothing
        is filed if the document or a picture cannot be read.
        """
        document = intake.read(data, name, title=title, beside=beside)
        chosen = self._chosen(channels or document.channels)
        asked = publish_at or document.publish_at
        at_once = _is_now(asked)
        hour = None if at_once else self._hour(asked)
        now = self._now()
        with self.store.write() as tx:
            key = tx.announcements.next_key(now.astimezone(clock.zone(self.settings.office.timezone)).year)
            tx.announcements.add(key, chosen, hour, at_once, now)
            tx.announcements.add_revision(key, 1, document.revision, name, person.name, now)
            tx.pictures.add(document.pictures)
            tx.log.add(now, key, "revision.added", person, number=1, source=name)
            filed = tx.announcements.get(key)
        return key, [*document.findings, *self.findings(filed)]

    def revise(
        self,
        key: str,
        person: Person,
        *,
        data: bytes | None,
        name: str,
        title: Bilingual = NO_TEXT,
        beside: Open = intake.nothing_beside,
    ) -> tuple[int, list[Finding]]:
        """Files a new revision, from a document or of the title alone; its number and what the checks find.

        The new revision is not approved. Deliveries of the old one that have not begun are superseded; what is out
        stays as it is until the new one is approved and brought out with :meth:`correct`.
        """
        document = intake.read(data, name, title=title, beside=beside) if data is not None else None
        chosen = self._chosen(document.channels) if document else ()
        hour = self._hour(document.publish_at) if document else None
        now = self._now()
        with self.store.write() as tx:
            filed = tx.announcements.get(key)
            revision = document.revision if document else _retitled(filed.revision, title)
            same_plan = chosen in ((), filed.channels) and hour in (None, filed.publish_at)
            if revision.content_hash == filed.content_hash and same_plan:
                raise NotAllowedError(f"{key} already says exactly this; nothing was changed.")
            self._supersede(tx, filed, now, person)
            number, source = filed.number + 1, name if document else filed.source
            tx.announcements.add_revision(key, number, revision, source, person.name, now)
            tx.pictures.add(document.pictures if document else ())
            if chosen:
                tx.announcements.plan_anew(key, chosen)
            if hour:
                tx.announcements.set_publish_at(key, hour)
            tx.log.add(now, key, "revision.added", person, number=number, source=source)
            filed = tx.announcements.get(key)
        noticed = list(document.findings) if document else []
        return filed.number, [*noticed, *self.findings(filed)]

    def _supersede(self, tx: Transaction, filed: Filed, now: datetime, person: Person) -> None:
        for delivery in tx.deliveries.of(filed.key):
            if delivery.state in IN_DOUBT:
                raise NotAllowedError(
                    f"{filed.key} is just being published on {delivery.channel}; "
                    f'see "publisher show {filed.key}" and settle that first.'
                )
            if delivery.state in UNSENT:
                move = Move(State.SUPERSEDED, "delivery.superseded", "a new revision was filed")
                _move(tx, delivery, move, now, person)

    def _chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        for name in names:
            if name not in self.channels:
                known = ", ".join(self.channels) or "none"
                raise UsageError(f'There is no channel "{name}"; configured are {known}.')
        if names and self.canonical and self.canonical not in names:
            raise UsageError(
                f'"{self.canonical}" must be among the channels, because the others link to it; add it to the list.'
            )
        return tuple(dict.fromkeys(names))

    def _hour(self, text: str) -> WallTime | None:
        """``text`` as a wall time; ``now`` in UTC, which has no hour twice."""
        if not text:
            return None
        if _is_now(text):
            return WallTime(self._now().replace(tzinfo=None, microsecond=0), "Z")
        return clock.parse_when(text, self.settings.office.timezone)

    # --- looking --------------------------------------------------------------------------------------------

    def findings(self, filed: Filed) -> list[Finding]:
        """What the checks say about the newest revision, and whether each channel can express it."""
        return self._proofs.findings(filed, self._originals(filed))

    def _originals(self, filed: Filed) -> Mapping[str, bytes]:
        with self.store.read() as tx:
            return tx.pictures.data(image.sha256 for image in filed.revision.images)

    def check(
        self, data: bytes, name: str, title: Bilingual = NO_TEXT, beside: Open = intake.nothing_beside
    ) -> tuple[Revision, list[Finding]]:
        """What the checks say about a document that is not filed."""
        document = intake.read(data, name, title=title, beside=beside)
        originals = {one.sha256: one.data for one in document.pictures}
        found = self._proofs.findings_unfiled(document.revision, self._chosen(document.channels), originals)
        return document.revision, [*document.findings, *found]

    def preview(self, key: str, channel: str = "") -> list[Preview]:
        """The sealed variants, or where there is no seal, what would be sealed now."""
        dossier = self.show(key)
        names = self._proofs.channels_of(dossier.filed)
        if channel and channel not in names:
            raise UsageError(f'{key} does not go to "{channel}"; it goes to {", ".join(names)}.')
        with self.store.read() as tx:
            sealed = [v for _, v in tx.seals.variants(dossier.seal.id)] if dossier.seal else []
        variants = sealed or self._proofs.variants(dossier.filed, self._originals(dossier.filed))
        return [self._preview(v, bool(sealed)) for v in variants if not channel or v.channel == channel]

    def _preview(self, variant: Variant, sealed: bool) -> Preview:
        adapter = self.channels.get(variant.channel)
        rule = adapter.capabilities.length if adapter else None
        if rule is None or "text" not in variant.parts:
            return Preview(variant, None, None, sealed)
        return Preview(variant, length.measure(variant.text("text"), rule), rule.maximum, sealed)

    def show(self, key: str) -> Dossier:
        """All that is known of one announcement."""
        with self.store.read() as tx:
            filed = tx.announcements.get(key)
            return Dossier(filed, tx.seals.of(filed.revision_id), tuple(tx.deliveries.of(key)))

    def channels_of(self, filed: Filed) -> tuple[str, ...]:
        """The names of the channels an announcement goes to."""
        return tuple(self._proofs.channels_of(filed))

    def log(self, key: str) -> list[Event]:
        """Everything that happened to an announcement, oldest first."""
        with self.store.read() as tx:
            tx.announcements.get(key)
            return tx.log.of(key)

    def all(self) -> list[Dossier]:
        """Every announcement, the newest first."""
        with self.store.read() as tx:
            return [
                Dossier(filed, None, tuple(tx.deliveries.of(filed.key))) for filed in tx.announcements.all()
            ]

    # --- approving ------------------------------------------------------------------------------------------

    def submit(self, key: str, person: Person) -> None:
        """Hands the newest revision to an approver. Errors found by the checks block it."""
        with self.store.read() as tx:
            seen = tx.announcements.get(key)
        errors = [f for f in self.findings(seen) if f.severity is Severity.ERROR]
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise NotAllowedError(
                f'{key} cannot be submitted: {errors[0].message}{more} "publisher check {key}" shows all findings.'
            )
        now = self._now()
        with self.store.write() as tx:
            filed = _unchanged(tx, seen)
            if filed.state is not AnnouncementState.DRAFT:
                raise NotAllowedError(f"{key} is {filed.state}, not a draft; only a draft can be submitted.")
            tx.announcements.set_submitter(filed.revision_id, person.name)
            tx.announcements.set_state(key, AnnouncementState.SUBMITTED)
            tx.log.add(now, key, "revision.submitted", person, number=filed.number)

    def approve(self, key: str, person: Person) -> Dossier:
        """Seals the bytes of every variant. With a planned hour that has not passed, it is scheduled at once."""
        with self.store.read() as tx:
            seen = tx.announcements.get(key)
        self._may_review(seen, person, "approve")
        sealed = self._proofs.variants(seen, self._originals(seen))
        self._proofs.prove(sealed, self.canonical)
        now = self._now()
        with self.store.write() as tx:
            filed = _unchanged(tx, seen)
            self._may_review(filed, person, "approve")
            digest = tx.seals.add(
                filed.revision_id, filed.content_hash, person.name, self.canonical, sealed, now
            )
            tx.announcements.set_state(key, AnnouncementState.APPROVED)
            names = list(dict.fromkeys(variant.channel for variant in sealed))
            tx.log.add(
                now, key, "revision.approved", person, number=filed.number, seal=digest, channels=names
            )
            hour = self._hour("now") if filed.at_once else filed.publish_at
            if hour and hour.instant() > now - _A_MINUTE and not posts_out(tx.deliveries.of(key)):
                self._plan(tx, filed, hour, person, now)
        return self.show(key)

    def reject(self, key: str, person: Person, why: str) -> None:
        """Sends a submitted revision back to its author, with a reason."""
        if not why.strip():
            raise UsageError("A rejection needs a reason; add --why.")
        now = self._now()
        with self.store.write() as tx:
            filed = tx.announcements.get(key)
            self._may_review(filed, person, "reject")
            tx.announcements.set_state(key, AnnouncementState.DRAFT)
            tx.log.add(now, key, "revision.rejected", person, number=filed.number, why=why.strip())

    def _may_review(self, filed: Filed, person: Person, verb: str) -> None:
        if filed.state is not AnnouncementState.SUBMITTED:
            step = "; submit it first" if filed.state is AnnouncementState.DRAFT else ""
            raise NotAllowedError(f"{filed.key} is {filed.state}, so there is nothing to {verb}{step}.")
        for name, did in ((filed.author, "wrote"), (filed.submitter, "submitted")):
            if person.is_called(name):
                raise NotAllowedError(f"{name} {did} {filed.key} and cannot {verb} it; another person must.")

    # --- publishing -----------------------------------------------------------------------------------------

    def schedule(self, key: str, when: str, person: Person) -> Scheduled:
        """Sets the hour of the approved revision.

        What is not out yet moves with it, also what failed, was missed or was cancelled: certainly not published,
        so it may be tried again under the same key.
        """
        hour = self._hour(when)
        if hour is None:
            raise UsageError('Say when: "now", or a time such as "2026-10-12 09:00 Asia/Shanghai".')
        now, instant = self._now(), hour.instant()
        if instant < now - _A_MINUTE:
            raise UsageError(f'{hour} has passed; choose a later time, or "now".')
        with self.store.write() as tx:
            filed = tx.announcements.get(key)
            seal = self._plan(tx, filed, hour, person, now)
            dated = {variant.facts["date"] for _, variant in tx.seals.variants(seal.id)}
        local = instant.astimezone(clock.zone(self.settings.office.timezone)).date()
        return Scheduled(instant, *(day for day in dated if day != local.isoformat()))

    def _plan(self, tx: Transaction, filed: Filed, hour: WallTime, person: Person, now: datetime) -> Seal:
        seal = tx.seals.of(filed.revision_id)
        if seal is None:
            raise NotAllowedError(
                f"{filed.key} is {filed.state}; it must be approved before it can be scheduled."
            )
        plan(tx, filed, seal, hour, self.channels, self.settings.home, person, now)
        return seal

    def cancel(self, key: str, person: Person) -> list[Delivery]:
        """Stops what has not begun; what is out or in doubt, which cannot be stopped."""
        now = self._now()
        with self.store.write() as tx:
            filed = tx.announcements.get(key)
            mine = tx.deliveries.of(key)
            if filed.state is AnnouncementState.CANCELLED:
                raise NotAllowedError(f"{key} is already cancelled.")
            out = [d for d in mine if d.state in DELIVERED | IN_DOUBT]
            stoppable = [d for d in mine if State.CANCELLED in MOVES[d.state]]
            # A newsletter on its way to subscribers stops between two of them.
            stopping = [d for d in mine if d.state is State.SENDING and self._is_mailing(d)]
            if mine and not stoppable and not stopping:
                raise NotAllowedError(
                    f'Nothing of {key} can be stopped any more; see "publisher show {key}".'
                )
            for delivery in stoppable:
                _move(tx, delivery, Move(State.CANCELLED, "delivery.cancelled", "cancelled"), now, person)
            tx.announcements.set_state(key, AnnouncementState.CANCELLED)
            stopped = [d.channel for d in (*stoppable, *stopping)]
            tx.log.add(now, key, "announcement.cancelled", person, stopped=stopped)
        return [d for d in out if d not in stopping]

    def _is_mailing(self, delivery: Delivery) -> bool:
        return isinstance(self.channels.get(delivery.channel), MailingAdapter)

    def correct(self, key: str, person: Person, *, confirmed: bool) -> list[Step]:
        """What bringing the approved newer revision out does on each channel; does it where ``confirmed``."""
        now = self._now()
        with self.store.write() as tx:
            filed = tx.announcements.get(key)
            seal = tx.seals.of(filed.revision_id)
            if seal is None:
                raise NotAllowedError(
                    f"{key} is {filed.state}; a correction must be approved like any revision."
                )
            mine = tx.deliveries.of(key)
            if any(d.action is Action.RETRACT and d.state in {State.WAITING, *IN_DOUBT} for d in mine):
                raise NotAllowedError(
                    f'{key} is just being taken back; wait for that, and see "publisher show {key}".'
                )
            if not posts_out(mine):
                raise NotAllowedError(
                    f"Nothing of {key} is out yet; publish it with: publisher schedule {key} WHEN"
                )
            steps = [step for step, _, _ in correction(tx, filed, seal, self.channels)]
            if confirmed:
                _must_do_something(key, steps)
                plan_correction(tx, filed, seal, self.channels, person, now)
        return steps

    def retract(self, key: str, person: Person, *, confirmed: bool) -> list[Step]:
        """What taking the announcement back does on each channel; does it where ``confirmed``."""
        now = self._now()
        with self.store.write() as tx:
            filed = tx.announcements.get(key)
            mine = tx.deliveries.of(key)
            if any(d.state in IN_DOUBT for d in mine):
                raise NotAllowedError(
                    f'It is not settled what of {key} is out; see "publisher show {key}" and settle that first.'
                )
            if not posts_out(mine):
                raise NotAllowedError(f"Nothing of {key} is out; to stop it: publisher cancel {key}")
            steps = [step for step, _ in retraction(tx, key, self.channels)]
            if confirmed:
                _must_do_something(key, steps)
                for delivery in mine:
                    if State.CANCELLED in MOVES[delivery.state]:
                        move = Move(State.CANCELLED, "delivery.cancelled", "retracted")
                        _move(tx, delivery, move, now, person)
                plan_retraction(tx, filed, self.channels, person, now)
        return steps

    def uncertain(self, delivery: str) -> Delivery:
        """The uncertain delivery with this key. Raises :class:`NotAllowedError` where it is not uncertain."""
        with self.store.read() as tx:
            return _uncertain(tx, delivery)

    def resolve(
        self, delivery: str, url: str | None, person: Person, readers: Sequence[str] = ()
    ) -> Delivery:
        """A person settles an uncertain delivery: it is out at ``url``, or with ``None`` it certainly is not.

        An empty ``url`` is for a channel without addresses, such as e-mail. Of a newsletter to subscribers only the
        messages in doubt are meant, all of them, or those of ``readers``, by their addresses.
        """
        now = self._now()
        with self.store.write() as tx:
            found = _uncertain(tx, delivery)
            if tx.deliveries.is_held(found, now):
                raise NotAllowedError(
                    f"{found.key} is being looked into by the worker at this moment; look again in a minute."
                )
            only = _doubtful(tx, found, readers)
            move = Move(State.WAITING, "delivery.resolved", "not published, says " + person.name, due_at=now)
            if url is not None:
                if not url and found.canonical:
                    raise UsageError(f"{found.channel} has an address that the others link to; give it.")
                move = replace(after_receipt(_by_hand(url, found.key, now)), event="delivery.resolved")
            _move(tx, found, move, now, person)
            if url is None:
                tx.mailings.list_again(found.id, now, only=only)
            else:
                tx.mailings.take_for_sent(found.id, "by hand", now)
            tx.deliveries.release(found.announcement, found.revision, now)
            return tx.deliveries.get(found.id)


def _is_now(text: str) -> bool:
    return text.strip().lower() == "now"


def _move(tx: Transaction, delivery: Delivery, move: Move, now: datetime, person: Person) -> None:
    """Moves a delivery, or undoes the whole step where a worker was faster."""
    if not tx.deliveries.apply(delivery, move, now, person):
        raise NotAllowedError(f"{delivery.key} has just changed; look at it again and repeat.")


def _uncertain(tx: Transaction, key: str) -> Delivery:
    found = tx.deliveries.find(key)
    if found.state is not State.UNCERTAIN:
        known = "is out" if found.state in DELIVERED else f"is {found.state}"
        raise NotAllowedError(
            f"{found.key} {known}, so there is nothing to settle; only what is uncertain is settled by hand. "
            f"See: publisher show {found.announcement}"
        )
    return found


def _doubtful(tx: Transaction, delivery: Delivery, readers: Sequence[str]) -> list[int] | None:
    """The letters in doubt of these readers, by number; ``None`` for those of all."""
    if not readers:
        return None
    known = {one.address.casefold(): one.number for one in tx.mailings.doubtful(delivery.id)}
    for reader in readers:
        if reader.casefold() not in known:
            raise UsageError(
                f"{reader} is not among those in doubt; see them with: publisher show {delivery.announcement}"
            )
    return [known[reader.casefold()] for reader in readers]


def _must_do_something(key: str, steps: Sequence[Step]) -> None:
    if not any(step.action for step in steps):
        raise NotAllowedError(
            f"Nothing of {key} can be changed by this program; do it on the channels by hand."
        )


def _retitled(revision: Revision, title: Bilingual) -> Revision:
    if not title:
        raise UsageError("Nothing to revise: give a file, --title-zh or --title-en.")
    return replace(revision, title=Bilingual(title.zh or revision.title.zh, title.en or revision.title.en))


def _unchanged(tx: Transaction, seen: Filed) -> Filed:
    """The announcement again, within the transaction, if nobody has changed it meanwhile."""
    filed = tx.announcements.get(seen.key)
    if filed.revision_id != seen.revision_id:
        raise NotAllowedError(f"{seen.key} has just been revised by {filed.author}; look at it again.")
    return filed


def _by_hand(url: str, key: str, now: datetime) -> Receipt:
    if not url:
        return Receipt(Outcome.ACCEPTED, id=key, code="by hand", at=now)
    try:
        address = links.normalise(url)
    except ValueError as error:
        raise UsageError(f"{error} Give the address of the post.") from None
    return Receipt(Outcome.ACCEPTED, id=address, links=Links(both=address), code="by hand", at=now)
