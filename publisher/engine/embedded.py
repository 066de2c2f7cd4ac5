"""Runs due deliveries in this process: claim, send once, write down what the channel answered.

The order of a send is the product's first promise, so it stands here once, for every adapter: the intention is
committed, the sealed bytes are read, the link is filled in, the adapter makes the request and tries it once, and the
answer is committed by itself. No database connection is held while the network is waited for.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from publisher import clock
from publisher.channel import Links, Payload, Receipt, Unsupported, Variant
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
    after_probe,
    after_receipt,
    repeat,
    standing,
    unready,
)
from publisher.engine.writer import Writer
from publisher.errors import PublisherError
from publisher.registry import AnyAdapter
from publisher.render import links
from publisher.store import Store, Transaction
from publisher.store.channels import Health

log = structlog.get_logger("publisher.engine")

_WRITE_TRIES = 30
"""How often a result is tried to be written, a second apart; after that the lease runs out and it is looked into."""
_FAILURES = 5
"""So many failures in a row pause a channel."""
_SLOW = timedelta(minutes=10)
"""How often a paused channel is tried."""


class EmbeddedEngine:
    """Claims from the store and delivers, up to ``slots`` deliveries at a time."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, AnyAdapter],
        owner: str,
        *,
        now: clock.Clock = clock.now,
        lease: timedelta = timedelta(seconds=5),
        patience: Patience | None = None,
        slots: int = 32,
    ) -> None:
        self._store, self._channels, self._owner, self._now = store, channels, owner, now
        self._lease, self._slots = lease, slots
        self._patience = patience or Patience()
        self._rng = random.Random()  # noqa: S311  # jitter, not a secret
        self._running: set[asyncio.Task[None]] = set()
        self._beat: asyncio.Task[None] | None = None
        self._ailing: set[str] = set()
        self._writer = Writer(store)
        self.call = self._writer.call
        self.on_end: Callable[[], None] = lambda: None
        """Called when a delivery has ended: a slot is free, and others may have become due by it."""

    async def enqueue_due(self) -> int:
        """Claims what is due and starts it; how many deliveries were started."""
        free = self._slots - len(self._running)
        if free <= 0:
            return 0
        claimed = await self._writer.call(lambda: self._claim(free))
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery), name=delivery.key)
            self._running.add(task)
            task.add_done_callback(self._ended)
        if claimed and (self._beat is None or self._beat.done()):
            self._beat = asyncio.create_task(self._heartbeat(), name="heartbeat")
        return len(claimed)

    async def tidy(self) -> None:
        """Frees what a crash between two commits may have left waiting for its link."""
        await self._writer.write(self._release_all)

    async def drain(self) -> None:
        """Waits until all that was started has ended."""
        while self._running:
            await asyncio.wait(self._running)

    async def stop(self) -> None:
        """Lets what is under way end, and releases the thread. Nothing new is claimed meanwhile."""
        await self.drain()
        if self._beat is not None:
            self._beat.cancel()
        self._writer.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.critical(
                "a delivery ended in an error of our own", key=task.get_name(), exc_info=task.exception()
            )
        self.on_end()

    # --- claiming ---------------------------------------------------------------------------------------------

    def _claim(self, limit: int) -> list[Delivery]:
        now = self._now()
        with self._store.write() as tx:
            for lost in tx.deliveries.expire(now):
                log.warning("a worker stopped while sending", event_name="delivery.uncertain", key=lost.key)
            if tx.channels.halted() is not None:
                return []
            known = tx.channels.all()
            self._ailing = {name for name, health in known.items() if health.failures or health.paused_at}
            room = {
                name: known.get(name, Health(name)).allowance(channel.settings.per_minute, now)
                for name, channel in self._channels.items()
            }
            claimed = tx.deliveries.claim(self._owner, now, self._lease, limit, room)
            for name, started in Counter(delivery.channel for delivery in claimed).items():
                tx.channels.count_started(name, started, now)
                if name in known and known[name].paused_at is not None:
                    tx.channels.pause(name, known[name].reason, now, now + _SLOW)
            return claimed

    async def _heartbeat(self) -> None:
        while self._running:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                await self._writer.write(self._extend)
            except PublisherError as error:
                log.warning(
                    "the heartbeat could not be written", event_name="lease.unwritten", reason=str(error)
                )

    def _extend(self, tx: Transaction) -> None:
        tx.deliveries.extend(self._owner, self._now(), self._lease)

    # --- one delivery -----------------------------------------------------------------------------------------

    async def _deliver(self, delivery: Delivery) -> None:
        bound = log.bind(key=delivery.key, channel=delivery.channel, attempt=delivery.attempt)
        adapter = self._channels.get(delivery.channel)
        if adapter is None:
            await self._settle(delivery, unready(delivery, "the channel is not configured any more"))
            return
        try:
            payload, earlier = await self._prepared(delivery, adapter)
        except (PublisherError, Unsupported) as error:
            refused = Move(State.FAILED, "delivery.rejected", str(error))
            move = refused if delivery.state is State.SENDING else unready(delivery, str(error))
            await self._settle(delivery, move)
            return
        except Exception:  # a slip of ours or of an adapter; certainly before anything was sent
            bound.exception("the request could not be prepared", event_name="delivery.parked")
            reason = "the request could not be prepared; the worker's log says why"
            await self._settle(delivery, unready(delivery, reason))
            return
        if not await self._writer.write(lambda tx: tx.deliveries.keep(delivery, self._now(), self._lease)):
            # This process was asleep, and another has looked into it meanwhile: whatever is to do, it does.
            bound.warning("the claim was lost before anything was sent", event_name="claim.lost")
            return
        if delivery.state is State.SENDING:
            move, answer = await self._send(delivery, adapter, payload, earlier)
        else:
            move, answer = await self._ask(delivery, adapter, payload)
        applied = await self._settle(delivery, move)
        bound.info(
            "delivery moved" if applied else "late result ignored",
            event_name=move.event,
            state=str(move.to),
            reason=move.reason,
        )
        await self._judge(delivery, answer, move.reason)

    async def _prepared(self, delivery: Delivery, adapter: AnyAdapter) -> tuple[Payload, Receipt | None]:
        """The sealed bytes with the link filled in, as the adapter's request; and the receipt it acts on."""
        variant, addresses, earlier = await self._writer.call(lambda: self._sealed(delivery, adapter))
        if addresses is None and delivery.action is not Action.RETRACT and links.needs_link(variant):
            raise Unsupported(
                "The address of the published page is not known; nothing goes out with a dead link."
            )
        payload: Payload = adapter.prepare(links.fill(variant, addresses) if addresses else variant)
        return payload, earlier

    def _sealed(
        self, delivery: Delivery, adapter: AnyAdapter
    ) -> tuple[Variant, Links | None, Receipt | None]:
        with self._store.read() as tx:
            variant = tx.seals.variant(tx.deliveries.variant_id(delivery))
            mine = tx.deliveries.of(delivery.announcement)
            earlier = tx.deliveries.outstanding(delivery) if delivery.action is not Action.PUBLISH else None
        if delivery.action is not Action.PUBLISH and earlier is None:
            raise Unsupported("There is no post to change any more.")
        return (
            variant,
            adapter.links(delivery.announcement) if delivery.canonical else canonical_links(mine),
            earlier,
        )

    async def _send(
        self, delivery: Delivery, adapter: AnyAdapter, payload: Payload, earlier: Receipt | None
    ) -> tuple[Move, Standing | None]:
        try:
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
                can_find=adapter.can_find,
                patience=self._patience,
                rng=self._rng,
            )
            return move, standing(error)

    async def _ask(
        self, delivery: Delivery, adapter: AnyAdapter, payload: Payload
    ) -> tuple[Move, Standing | None]:
        if delivery.action is not Action.PUBLISH:
            return repeat(delivery, self._now()), None
        if not adapter.can_find:
            return Move(State.UNCERTAIN, "delivery.uncertain", delivery.reason), None
        try:
            found = await adapter.find(delivery.key, payload)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # asking changes nothing, so it is asked again
            move = after_failed_probe(error, delivery, self._now(), patience=self._patience, rng=self._rng)
            return move, standing(error)
        return after_probe(found, delivery, self._now(), adapter.capabilities.settles_after), Standing.WORKS

    # --- writing down -----------------------------------------------------------------------------------------

    async def _settle(self, delivery: Delivery, move: Move) -> bool:
        """Writes the result, then frees what waited for it; the second never endangers the first."""
        applied = await self._written(delivery, move)
        if applied and delivery.canonical and move.to in DELIVERED:
            await self._writer.write(
                lambda tx: tx.deliveries.release(delivery.announcement, delivery.revision, self._now())
            )
        return applied

    async def _written(self, delivery: Delivery, move: Move) -> bool:
        def work(tx: Transaction) -> bool:
            return tx.deliveries.apply(delivery, move, self._now())

        for _ in range(_WRITE_TRIES - 1):
            try:
                return await self._writer.write(work)
            except PublisherError as error:
                why = str(error)
                log.error(
                    "a result cannot be written", event_name="result.unwritten", key=delivery.key, reason=why
                )
                await asyncio.sleep(1)
        return await self._writer.write(work)

    def _release_all(self, tx: Transaction) -> None:
        for announcement, revision in tx.deliveries.held():
            tx.deliveries.release(announcement, revision, self._now())

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
                tx.log.add(now, delivery.announcement, "channel.resumed", channel=name)
                log.info("the channel works again", event_name="channel.resumed", channel=name)
            return
        self._ailing.add(name)
        failures = tx.channels.failed(name, reason)
        if answer is not Standing.REFUSES and failures < _FAILURES:
            return
        if tx.channels.pause(name, reason, now, now + _SLOW):
            tx.log.add(now, delivery.announcement, "channel.paused", channel=name, reason=reason)
            log.warning("the channel is paused", event_name="channel.paused", channel=name, reason=reason)


def canonical_links(deliveries: list[Delivery]) -> Links | None:
    """Where the announcement can be read, from the newest receipts of its canonical deliveries."""
    found = {d.scope: d.receipt.links for d in deliveries if d.canonical and d.receipt and d.receipt.links}
    if "both" in found:
        return found["both"]
    if not found:
        return None
    by_language = {scope: addresses[scope] for scope, addresses in found.items()}
    first = next(iter(found.values()))
    return Links(both=first.both, zh=by_language.get("zh", ""), en=by_language.get("en", ""))
