"""Brings one claimed delivery as far as it gets: prepare, send or ask once, write down what the channel answered.

The order of a send is the product's first promise, so it stands here once, for every adapter and every engine: the
intention is committed (by the claim), the sealed bytes are read, the link is filled in, the adapter makes the request
and tries it once, and the answer is committed by itself. No database connection is held while the network is waited
for.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from publisher import clock
from publisher.channel import (
    AlreadyThere,
    Links,
    MailingAdapter,
    Payload,
    Receipt,
    Unsupported,
    Variant,
)
from publisher.delivery import (
    DELIVERED,
    Action,
    Delivery,
    Move,
    Patience,
    Standing,
    State,
    after_error,
    after_failed_probe,
    after_look,
    after_probe,
    after_receipt,
    looked_for,
    outstanding,
    posts_out,
    repeat,
    standing,
    unready,
    unseen,
)
from publisher.engine.letters import Office
from publisher.engine.mailer import Mailer
from publisher.engine.writer import Writer
from publisher.errors import PublisherError
from publisher.registry import AnyAdapter
from publisher.render import links
from publisher.store import Store, Transaction
from publisher.store.log import OFFICE

log = structlog.get_logger("publisher.engine")

T = TypeVar("T")

_LAST_TRIES = 30
"""How often the store is still tried once the worker is to end."""
PAUSE = 1.0
"""Seconds between two tries of the store."""
_FAILURES = 5
"""So many failures in a row pause a channel."""
LONGEST = timedelta(minutes=30)
"""How long an adapter may take at the very most, whatever its own limits: one that hangs must not hide a delivery."""
SLOW = timedelta(minutes=10)
"""How often a paused channel is tried."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """A claimed delivery, the variant it brings (or why its bytes cannot be trusted), and those ``beside`` it.

    ``beside`` are all deliveries of its announcement, which know the canonical link and the posts that are out.
    """

    delivery: Delivery
    sealed: Variant | PublisherError
    beside: Sequence[Delivery]


class Deliverer:
    """Handles claimed deliveries over one store and one set of channels."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        channels: Mapping[str, AnyAdapter],
        *,
        lease: timedelta,
        now: clock.Clock = clock.now,
        patience: Patience | None = None,
        office: Office | None = None,
    ) -> None:
        """``office`` is what newsletters to its own subscribers need; without, none is sent."""
        self._store, self._writer, self._channels = store, writer, channels
        self._lease, self._now = lease, now
        self._patience = patience or Patience()
        self._mailer = (
            Mailer(store, writer, office, self._unhurried, lease=lease, now=now, patience=self._patience)
            if office
            else None
        )
        self._rng = random.Random()  # noqa: S311  # jitter, not a secret
        self._ailing: set[str] = set()
        """Channels that have failed or are paused, so that their working again is worth a note."""
        self._ending = False

    def end(self) -> None:
        """The worker is to end: a result that cannot be written is tried for half a minute more, then left."""
        self._ending = True
        if self._mailer:
            self._mailer.end()

    async def deliver(self, dossier: Dossier) -> None:
        """Sends the delivery of ``dossier``, or asks about one that is uncertain, and writes down what came of it."""
        delivery = dossier.delivery
        bound = log.bind(key=delivery.key, channel=delivery.channel, attempt=delivery.attempt)
        adapter = self._channels.get(delivery.channel)
        if adapter is None:
            await self._settle(delivery, self._unready(delivery, "the channel is not configured any more"))
            return
        try:
            payload, earlier = self._prepared(dossier, adapter)
        except (PublisherError, Unsupported) as error:
            refused = Move(State.FAILED, "delivery.rejected", str(error))
            move = refused if delivery.state is State.SENDING else self._unready(delivery, str(error))
            await self._settle(delivery, move)
            return
        except Exception:  # a slip of ours or of an adapter; certainly before anything was sent
            bound.exception("the request could not be prepared", event_name="delivery.parked")
            reason = "the request could not be prepared; the worker's log says why"
            await self._settle(delivery, self._unready(delivery, reason))
            return
        if not await self._writer.write(lambda tx: tx.deliveries.keep(delivery, self._now(), self._lease)):
            # This process was asleep, and another has looked into it meanwhile: whatever is to do, it does.
            bound.warning("the claim was lost before anything was sent", event_name="claim.lost")
            return
        if delivery.state is State.SENDING:
            move, answer = await self._send(delivery, adapter, payload, earlier)
        elif delivery.state is State.ACCEPTED:
            move, answer = await self._look(dossier, adapter, payload), None
        else:
            move, answer = await self._ask(delivery, adapter, payload)
        if (
            adapter.can_confirm
            and delivery.action is not Action.RETRACT
            and delivery.state is not State.ACCEPTED
        ):
            move = looked_for(move, self._now(), self._patience, self._rng)
        applied = await self._settle(delivery, move)
        bound.info(
            "delivery moved" if applied else "late result ignored",
            event_name=move.event,
            state=str(move.to),
            reason=move.reason,
        )
        await self._judge(delivery, answer, move.reason)

    # --- before and at the network ----------------------------------------------------------------------------

    async def open(self, held: Sequence[Delivery]) -> list[Dossier]:
        """What is needed to deliver each of ``held``, read for all of them at once."""
        keys = [delivery.key for delivery in held]
        return await self._patiently(
            lambda: self._writer.call(lambda: self._opened(held)), keys, event_name="delivery.unopened"
        )

    def _opened(self, held: Sequence[Delivery]) -> list[Dossier]:
        with self._store.read() as tx:
            sealed = tx.seals.of_ids([delivery.variant for delivery in held])
            beside = tx.deliveries.beside(held)
            standing = tx.channels.all().values()
        self._ailing |= {one.name for one in standing if one.failures or one.paused_at is not None}
        return [Dossier(one, sealed[one.variant], beside[one.announcement]) for one in held]

    def _prepared(self, dossier: Dossier, adapter: AnyAdapter) -> tuple[Payload, Receipt | None]:
        """The sealed bytes with the link filled in, as the adapter's request; and the receipt it acts on."""
        delivery, variant = dossier.delivery, dossier.sealed
        if isinstance(variant, PublisherError):
            raise variant
        earlier = outstanding(delivery, dossier.beside) if delivery.action is not Action.PUBLISH else None
        if delivery.action is not Action.PUBLISH and earlier is None:
            raise Unsupported("There is no post to change any more.")
        addresses = (
            adapter.links(delivery.announcement) if delivery.canonical else canonical_links(dossier.beside)
        )
        if addresses is None and delivery.action is not Action.RETRACT and links.needs_link(variant):
            raise Unsupported(
                "The address of the published page is not known; nothing goes out with a dead link."
            )
        payload: Payload = adapter.prepare(links.fill(variant, addresses) if addresses else variant)
        return payload, earlier

    async def _send(
        self, delivery: Delivery, adapter: AnyAdapter, payload: Payload, earlier: Receipt | None
    ) -> tuple[Move, Standing | None]:
        if isinstance(adapter, MailingAdapter):
            if self._mailer is None:
                return unready(delivery, "PUBLISHER_URL and PUBLISHER_SECRET are not set"), None
            return await self._mailer.run(delivery, adapter, payload)
        try:
            async with asyncio.timeout(LONGEST.total_seconds()):
                if delivery.action is Action.PUBLISH or earlier is None:
                    receipt = await adapter.publish(payload, delivery.key)
                elif delivery.action is Action.UPDATE:
                    receipt = await adapter.update(earlier, payload)
                else:
                    receipt = await adapter.retract(earlier)
            return after_receipt(receipt), standing(None)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever it is, the post may be out: the state machine decides
            move = after_error(
                error,
                delivery,
                self._now(),
                can_find=_can_ask(adapter),
                patience=self._patience,
                rng=self._rng,
            )
            return move, standing(error)

    async def _ask(
        self, delivery: Delivery, adapter: AnyAdapter, payload: Payload
    ) -> tuple[Move, Standing | None]:
        if delivery.action is not Action.PUBLISH:
            return repeat(delivery, self._now()), None
        if isinstance(adapter, MailingAdapter) and self._mailer:
            return await self._mailer.recover(delivery), None
        if not _can_ask(adapter):
            return Move(State.UNCERTAIN, "delivery.uncertain", delivery.reason), None
        try:
            async with asyncio.timeout(LONGEST.total_seconds()):
                if adapter.can_find:
                    found = await adapter.find(delivery.key, payload)
                else:  # it stays uncertain until the service says that it has the key, now or from the first time
                    found = await adapter.publish(payload, delivery.key)
        except asyncio.CancelledError:
            raise
        except AlreadyThere as known:
            return after_receipt(known.receipt), Standing.WORKS
        except Exception as error:  # asking changes nothing, so it is asked again
            move = after_failed_probe(error, delivery, self._now(), patience=self._patience, rng=self._rng)
            return move, standing(error)
        return after_probe(found, delivery, self._now(), adapter.capabilities.settles_after), Standing.WORKS

    async def _look(self, dossier: Dossier, adapter: AnyAdapter, payload: Payload) -> Move:
        """Looks for an accepted post; one that a newer delivery has changed since is not what can be seen."""
        delivery = dossier.delivery
        newest = posts_out(dossier.beside).get((delivery.channel, delivery.scope))
        if newest is None or newest.id != delivery.id or delivery.receipt is None:
            return Move(State.ACCEPTED, "delivery.overtaken", "it was changed or taken back since")
        try:
            async with asyncio.timeout(LONGEST.total_seconds()):
                found = await adapter.confirm(delivery.receipt, payload)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # looking changes nothing, so it is looked for again
            reason = str(error) or type(error).__name__
            return unseen(delivery, reason, self._now(), patience=self._patience, rng=self._rng)
        return after_look(found, delivery, self._now(), patience=self._patience, rng=self._rng)

    def _unready(self, delivery: Delivery, reason: str) -> Move:
        if delivery.state is State.ACCEPTED:
            return unseen(delivery, reason, self._now(), patience=self._patience, rng=self._rng)
        return unready(delivery, reason)

    # --- writing down -----------------------------------------------------------------------------------------

    async def _settle(self, delivery: Delivery, move: Move) -> bool:
        """Writes the result, then frees what waited for it; the second never endangers the first."""

        def freed(tx: Transaction) -> int:
            return tx.deliveries.release(delivery.announcement, delivery.revision, self._now())

        applied = await self._written(delivery, move)
        if applied and delivery.canonical and move.to in DELIVERED and not move.due_at:
            await self._patiently(
                lambda: self._writer.write(freed), [delivery.key], event_name="link.unwritten"
            )
        return applied

    async def _written(self, delivery: Delivery, move: Move) -> bool:
        return await self._patiently(
            lambda: self._writer.apply(delivery, move), [delivery.key], event_name="result.unwritten"
        )

    async def _unhurried(self, work: Callable[[], Awaitable[Any]], keys: list[str]) -> Any:
        return await self._patiently(work, keys, event_name="ledger.unwritten")

    async def _patiently(self, work: Callable[[], Awaitable[T]], keys: list[str], *, event_name: str) -> T:
        """Does ``work`` as soon as the store can be used: nothing known is given up for as long as the worker lives."""
        left = _LAST_TRIES
        while True:
            try:
                return await work()
            except (
                Exception
            ) as error:  # what is no trouble of the store's is a slip of ours, and tried not for ever
                left -= self._ending or not isinstance(error, PublisherError)
                if left <= 0:
                    raise  # the lease runs out, and it is looked into
                why = str(error)
            log.error(
                "the store cannot be used; it is tried again", event_name=event_name, keys=keys, reason=why
            )
            await asyncio.sleep(PAUSE)

    async def _judge(self, delivery: Delivery, answer: Standing | None, reason: str) -> None:
        """Pauses a channel that refuses us or keeps failing, and resumes one that works again."""
        name = delivery.channel
        if answer is None or (answer is Standing.WORKS and name not in self._ailing):
            return
        await self._writer.write(lambda tx: self._record(tx, delivery, answer, reason))

    def _record(self, tx: Transaction, delivery: Delivery, answer: Standing, reason: str) -> None:
        name, now = delivery.channel, self._now()
        if answer is Standing.WORKS:
            self._ailing.discard(name)
            if tx.channels.resume(name):
                self._tell(tx, delivery, "channel.resumed")
                log.info("the channel works again", event_name="channel.resumed", channel=name)
            return
        self._ailing.add(name)
        failures = tx.channels.failed(name, reason)
        if answer is not Standing.REFUSES and failures < _FAILURES:
            return
        if tx.channels.pause(name, reason, now, now + SLOW):
            self._tell(tx, delivery, "channel.paused", reason=reason)
            log.warning("the channel is paused", event_name="channel.paused", channel=name, reason=reason)

    def _tell(self, tx: Transaction, delivery: Delivery, event: str, **detail: Any) -> None:
        """In the log of the announcement that met it, and in the office's."""
        for announcement in (delivery.announcement, OFFICE):
            tx.log.add(self._now(), announcement, event, channel=delivery.channel, **detail)


def _can_ask(adapter: AnyAdapter) -> bool:
    """Whether an uncertain delivery can be cleared up without a person."""
    return adapter.can_find or adapter.capabilities.repeatable


def canonical_links(deliveries: Sequence[Delivery]) -> Links | None:
    """Where the announcement can be read, from the newest receipts of its canonical deliveries."""
    found = {d.scope: d.receipt.links for d in deliveries if d.canonical and d.receipt and d.receipt.links}
    if "both" in found:
        return found["both"]
    if not found:
        return None
    by_language = {scope: addresses[scope] for scope, addresses in found.items()}
    first = next(iter(found.values()))
    return Links(
        both=first.both,
        zh=by_language.get("zh", ""),
        en=by_language.get("en", ""),
        pictures=next((addresses.pictures for addresses in found.values() if addresses.pictures), ()),
    )
