"""The conformance kit: one suite for every adapter, ours and third parties'.

An adapter proves itself by a test class of about ten lines, for pytest::

    class TestMine(HttpConformance):                  # from publisher.testing.conformance_http
        keyed = True                                  # the service knows our key
        creates = ("POST", "/posts")                  # the request that makes a post

        def start(self, folder):
            self.double = MyDouble(folder)            # any service built on publisher.testing.loopback
            self.reach, self.server, self.secrets = self.double.start(), self.double.server, ("the-token",)

        def stop(self):
            self.double.stop()

        def adapter(self, patience):
            return MyAdapter("mine", MySettings(**self.reach, timeout=patience))

        def count(self):
            return len(self.double.posts)

For a service that does not speak HTTP, inherit :class:`AdapterConformance` instead, and say in ``inject`` how each
:class:`~publisher.testing.bench.Trouble` comes about; name in ``troubles`` those that can. All holes are described in
:class:`~publisher.testing.bench.Bench`. What an adapter does not override is tested to refuse loudly, and cases that
a service cannot have are skipped with their reason. pytest is needed, and no plug-in of it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress

import pytest

from publisher.channel import Adapter, AlreadyThere, DeliveryError, Outcome, Payload, Receipt, Unsupported
from publisher.testing.bench import (
    ACTED,
    MEANS,
    NAMED,
    AnyAdapter,
    Bench,
    Step,
    Trouble,
    case,
    must,
)

KEY = "2026-0042-r1-conformance-both"
"""The delivery key of most cases."""
KEYS = ("a", "0-0", "2026-0042-r12-wechat-zh", "k" * 100)
"""Keys at the edges of ``[a-z0-9-]``."""
FOREIGN_IDS = (
    "garbage", "0", "-1", "..", "../../etc/passwd", "a/b?c=d#e", "%2e%2e%2f", "中文", "\x00", "a\r\nX-Header: b", " ",
    "https://example.com/1", "x" * 10_000, "{}", "2026-0042", "/",
)  # fmt: skip
"""Ids that no receipt of the service has."""
_CHANGING = (Step.UPDATE, Step.RETRACT)


class AdapterConformance(Bench):
    """The cases every adapter must pass. Fill the holes of :class:`~publisher.testing.bench.Bench`."""

    # --- Before anything is sent ---------------------------------------------------------------------

    @case
    async def test_prepare__is_pure(self) -> None:
        """The same variant gives the same request, from any adapter and at any time, and nothing happens."""
        one, other = self.connect(), self.connect()
        variant = self.variant(one)
        first = one.prepare(variant)
        must(isinstance(first, Payload), f"prepare() gave {type(first).__name__}, which is no Payload.")
        must(one.prepare(variant) == first, "prepare() gave another request the second time.")
        must(other.prepare(variant) == first, "prepare() of a second adapter gave another request.")
        must(one.prepare(self.variant(one, 2)) != first, "prepare() gave two revisions the same request.")
        must(not self.asked() and self.count() == 0, "prepare() reached the service.")

    @case
    async def test_settings__are_described(self) -> None:
        """Every setting says what it is, and the adapter has a title for people."""
        adapter = self.connect()
        fields = type(adapter.settings).model_fields
        silent = [name for name, field in fields.items() if not field.description]
        must(not silent, f"These settings have no description: {', '.join(silent)}.")
        must(adapter.title.strip(), "The adapter has no title.")

    @case
    async def test_check__publishes_nothing(self) -> None:
        """A check says in a sentence what it found, and makes no post."""
        said = await self.answered(self.connect().check())
        must(str(said or "").strip(), "check() says nothing.")
        must(not self.asked() and self.count() == 0, "check() made a post.")

    @case
    async def test_check__sign_in_refused(self) -> None:
        """A check that is not let in says so."""
        self._need(Trouble.SIGN_IN_REFUSED)
        self.inject(Trouble.SIGN_IN_REFUSED, Step.CHECK)
        await self.refusal(self.connect().check(), MEANS[Trouble.SIGN_IN_REFUSED])

    # --- Publish -------------------------------------------------------------------------------------

    @case
    async def test_publish__makes_one_post(self) -> None:
        """One request makes one post, and the receipt names it."""
        adapter = self.connect()
        found = await self.receipt(adapter.publish(self._payload(adapter), KEY))
        must(found.outcome in Outcome, "The receipt has no outcome.")
        must(self.count() == 1, f"After one publication the service has {self.count()} posts.")
        self.must_have_asked_once()

    @pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:12])
    @case
    async def test_publish__takes_every_key(self, key: str) -> None:
        """Every key of letters, digits and hyphens will do."""
        adapter = self.connect()
        await self.receipt(adapter.publish(self._payload(adapter), key))
        must(self.count() == 1, f"With the key {key[:12]} the service has {self.count()} posts.")

    @case
    async def test_publish__same_key_twice(self) -> None:
        """Where the service knows our key, a second publication finds the first."""
        self.skip_unless(self.keyed, "The service does not know our key.")
        adapter = self.connect()
        payload = self._payload(adapter)
        first = await self.receipt(adapter.publish(payload, KEY))
        await self._publish_again(adapter, payload, first)

    @pytest.mark.parametrize("trouble", Trouble)
    @case
    async def test_publish__trouble(self, trouble: Trouble) -> None:
        """Each trouble ends in its own error, after one request, whether or not there is a post."""
        self._need(trouble)
        adapter = self.connect(trouble)
        payload = self._payload(adapter)
        self.inject(trouble, Step.PUBLISH)
        await self.refusal(adapter.publish(payload, KEY), MEANS[trouble])
        await self.must_be_reconciled(adapter, payload, acted=trouble in ACTED, reachable=_reachable(trouble))

    # --- Find ----------------------------------------------------------------------------------------

    @case
    async def test_find__there_or_not(self) -> None:
        """Nothing is found before, and the post afterwards, however often it is asked for."""
        adapter = self.connect()
        self.skip_unless(adapter.can_find, "The service cannot be asked.")
        payload = self._payload(adapter)
        must(await self.answered(adapter.find(KEY, payload)) is None, "find() finds what is not there.")
        made = await self.receipt(adapter.publish(payload, KEY))
        for _ in range(2):
            found = await self.answered(adapter.find(KEY, payload))
            must(found and found.id == made.id, f"find() answered {found!r}, but {made.id} was made.")
        fresh = await self.answered(self.connect().find(KEY, payload))
        must(fresh and fresh.id == made.id, "After a restart find() does not know the post.")
        must(self.count() == 1, "find() made a post.")

    @pytest.mark.parametrize("trouble", [Trouble.UNAVAILABLE, Trouble.SIGN_IN_REFUSED, Trouble.THROTTLED])
    @case
    async def test_find__trouble_is_no_answer(self, trouble: Trouble) -> None:
        """A service that cannot be asked never means that the post is not there."""
        self._need(trouble)
        adapter = self.connect()
        self.skip_unless(adapter.can_find, "The service cannot be asked.")
        payload = self._payload(adapter)
        await self.receipt(adapter.publish(payload, KEY))
        self.inject(trouble, Step.FIND)
        await self.refusal(adapter.find(KEY, payload), MEANS[trouble])

    # --- Update and retract --------------------------------------------------------------------------

    @case
    async def test_update__in_place(self) -> None:
        """A changed post is the same post with the new content, and may be changed again to the same."""
        adapter = self.connect()
        self.skip_unless(adapter.can_update, "The service cannot change a post.")
        made = await self.receipt(adapter.publish(self._payload(adapter), KEY))
        newer = self._payload(adapter, 2)
        for _ in range(2):
            changed = await self.receipt(adapter.update(made, newer))
            must(changed.id == made.id, f"update() of {made.id} gave the receipt of {changed.id}.")
            must(self.count() == 1, f"After an update the service has {self.count()} posts.")
        if adapter.can_find:
            found = await self.answered(adapter.find(KEY, newer))
            must(found and found.id == made.id, "After an update the new content is not found.")

    @case
    async def test_retract__takes_it_back(self) -> None:
        """A retracted post is gone, and to retract it again is done already."""
        adapter = self.connect()
        self.skip_unless(adapter.can_retract, "The service cannot take a post back.")
        payload = self._payload(adapter)
        made = await self.receipt(adapter.publish(payload, KEY))
        for _ in range(2):
            gone = await self.receipt(adapter.retract(made))
            must(gone.id == made.id, f"retract() of {made.id} gave the receipt of {gone.id}.")
            must(self.count() == 0, f"After a retraction the service has {self.count()} posts.")
        if adapter.can_find:
            must(await self.answered(adapter.find(KEY, payload)) is None, "find() finds what was retracted.")

    @pytest.mark.parametrize("trouble", Trouble)
    @pytest.mark.parametrize("step", _CHANGING)
    @case
    async def test_change__trouble(self, step: Step, trouble: Trouble) -> None:
        """Each trouble of an update or a retraction ends in its own error, and a repetition completes it."""
        self._need(trouble)
        adapter = self.connect(trouble)
        self._need_change(adapter, step)
        made = await self.receipt(adapter.publish(self._payload(adapter), KEY))
        self.inject(trouble, step)
        await self.refusal(self.change(adapter, step, made), MEANS[trouble])
        if _reachable(trouble):
            await self.receipt(self.change(self.connect(), step, made))
            left = 0 if step is Step.RETRACT else 1
            must(self.count() == left, f"After a repeated {step} the service has {self.count()} posts.")

    @pytest.mark.parametrize("step", _CHANGING)
    @case
    async def test_change__foreign_receipt(self, step: Step) -> None:
        """A receipt that names no post changes nothing, and only named errors come of it."""
        adapter = self.connect()
        self._need_change(adapter, step)
        payload = self._payload(adapter)
        await self.receipt(adapter.publish(payload, KEY))
        for foreign in FOREIGN_IDS:
            with suppress(DeliveryError):  # answered() has looked at it
                await self.answered(self.change(adapter, step, Receipt(Outcome.CONFIRMED, foreign)))
            name = ascii(foreign)[:20]
            must(self.count() == 1, f"{step} of a receipt of {name} left {self.count()} posts.")
            if adapter.can_find:
                found = await self.answered(adapter.find(KEY, payload))
                must(found, f"{step} of a receipt of {name} changed a post.")

    # --- What is not there ---------------------------------------------------------------------------

    @pytest.mark.parametrize("step", [Step.FIND, *_CHANGING])
    @case
    async def test_not_overridden__refuses(self, step: Step) -> None:
        """What the service cannot do is refused by name, and not quietly left out."""
        adapter = self.connect()
        overridden = getattr(type(adapter), step) is not getattr(Adapter, step)
        must(getattr(adapter, f"can_{step}") is overridden, f"can_{step} does not tell what is overridden.")
        if overridden:
            return
        call = (
            adapter.find(KEY, self._payload(adapter))
            if step is Step.FIND
            else self.change(adapter, step, Receipt(Outcome.CONFIRMED, "1"))
        )
        await self.refusal(call, Unsupported)

    # --- For these and for the cases of a protocol ---------------------------------------------------

    def change(self, adapter: AnyAdapter, step: Step, receipt: Receipt) -> Awaitable[Receipt]:
        """The update of a post to the second revision, or its retraction."""
        if step is Step.UPDATE:
            return adapter.update(receipt, self._payload(adapter, 2))
        return adapter.retract(receipt)

    async def must_be_reconciled(
        self, adapter: AnyAdapter, payload: Payload, *, acted: bool, reachable: bool = True
    ) -> None:
        """After a publication that failed: one request, the posts there should be, and a way out of doubt."""
        self.must_have_asked_once()
        if acted:
            self.settle()
        must(self.count() == acted, f"The service should have {int(acted)} posts and has {self.count()}.")
        fresh = self.connect()
        if not (reachable and adapter.can_find):
            return
        found = await self.answered(fresh.find(KEY, payload))
        must((found is not None) is acted, f"find() answered {found!r}, and {int(acted)} posts are there.")
        if found and self.keyed:
            await self._publish_again(fresh, payload, found)

    async def _publish_again(self, adapter: AnyAdapter, payload: Payload, first: Receipt) -> None:
        try:
            again = await self.answered(adapter.publish(payload, KEY))
        except AlreadyThere as known:
            again = known.receipt
        must(again.id == first.id, f"The second publication names {again.id}, the first {first.id}.")
        must(self.count() == 1, f"With one key twice the service has {self.count()} posts.")

    def _payload(self, adapter: AnyAdapter, number: int = 1) -> Payload:
        payload: Payload = adapter.prepare(self.variant(adapter, number))
        return payload

    def _need(self, trouble: Trouble) -> None:
        self.skip_unless(trouble in self.troubles, f"This service does not know the trouble: {trouble}.")

    def _need_change(self, adapter: AnyAdapter, step: Step) -> None:
        can = adapter.can_update if step is Step.UPDATE else adapter.can_retract
        self.skip_unless(can, f"The service cannot do it: {step}.")


def _reachable(trouble: Trouble) -> bool:
    return trouble is not Trouble.UNAVAILABLE


__all__ = ["FOREIGN_IDS", "KEY", "KEYS", "NAMED", "AdapterConformance", "Step", "Trouble"]
