"""The adapter: a newsletter to the office's own subscribers, one message each, over SMTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from channels.mailing import keys
from channels.mailing.connection import Ready
from channels.mailing.dkim import Signer
from channels.mailing.letterhead import Letterhead
from channels.mailing.pace import Waiting
from channels.mailing.payload import MailingPayload, build
from channels.mailing.sender import Means, Sender, signing_threads
from channels.mailing.settings import SubscribersSettings
from channels.smtp.conversation import Conversation, Opened
from publisher import clock
from publisher.channel import (
    Capabilities,
    ChannelSettings,
    Kind,
    Letter,
    MailingAdapter,
    Record,
    Variant,
)
from publisher.render.house import load as load_house


class SubscribersAdapter(MailingAdapter[SubscribersSettings, MailingPayload]):
    """Sends each subscriber a letter of her own, in the language she reads, with her own way out of the list."""

    title = "Newsletter to your own subscribers: one message each, over SMTP"
    kind = Kind.NEWSLETTER
    Settings: ClassVar[type[ChannelSettings]] = SubscribersSettings

    def __init__(self, channel: str, settings: SubscribersSettings, office: Path | None = None) -> None:
        super().__init__(channel, settings, office)
        self._signers = tuple(
            self._keys(settings)
        )  # a key that cannot be read is told before anything starts

    @staticmethod
    def _keys(settings: SubscribersSettings) -> list[Signer]:
        domain = settings.dkim_domain or settings.mailbox.address.rpartition("@")[2]
        pairs = (
            (settings.dkim_selector, settings.dkim_key),
            (settings.dkim_ed25519_selector, settings.dkim_ed25519_key),
        )
        return [Signer(domain, selector, keys.read(path)) for selector, path in pairs if path]

    @property
    def capabilities(self) -> Capabilities:
        """Every reader gets a message of her own, which nobody can link to."""
        return Capabilities(personal=True, pages=False)

    @cached_property
    def letterhead(self) -> Letterhead:
        """What is on every letter."""
        settings, house = self.settings, load_house(self.office)
        names = [house.name[code] for code in settings.languages]
        return Letterhead(
            settings.mailbox,
            reply_to=settings.reply_to,
            bounces=settings.bounces,
            list_id=settings.list_id,
            list_name=" · ".join(filter(None, names)),
            signers=self._signers,
        )

    async def check(self) -> str:
        """Signs in and asks whether the sender may write, without a message."""
        mine = self.settings.mailbox.address
        conversation = Conversation(self.channel, self.settings)
        try:
            server = await asyncio.to_thread(conversation.rehearse, self.settings.bounces or mine, mine)
        finally:
            conversation.abort()
        signed = " and ".join(f"{one.algorithm} ({one.selector})" for one in self._signers)
        return f"{server} takes mail from {mine}; " + (
            f"signed here by {signed}." if signed else "not signed here: the server must do it."
        )

    def prepare(self, variant: Variant) -> MailingPayload:
        """What is the same in all letters. Raises :class:`~publisher.channel.Unsupported`."""
        return build(variant, self.letterhead)

    async def mail(
        self, payload: MailingPayload, letters: AsyncIterator[Sequence[Letter]], record: Record
    ) -> None:
        """Sends every letter once; see :class:`publisher.channel.MailingAdapter`."""
        loop, wanted = asyncio.get_running_loop(), asyncio.Event()
        waiting = Waiting(self.settings.per_second, self.settings.domain_pace)

        def wants() -> None:
            loop.call_soon_threadsafe(wanted.set)

        sender = Sender(self._means(payload), waiting, record, wants)
        sender.start()
        try:
            async for group in letters:
                sender.feed(group)
                while sender.is_alive():
                    wanted.clear()
                    if not sender.has_enough:
                        break
                    await wanted.wait()
                if not sender.is_alive():
                    break
            sender.complete()
            await asyncio.to_thread(sender.join)
        finally:
            sender.give_up()
        if sender.error is not None:
            raise sender.error

    def _means(self, payload: MailingPayload) -> Means:
        settings, composer = self.settings, payload.composer

        def compose(letter: Letter) -> Ready:
            return Ready(
                letter.number,
                composer.return_path(letter),
                letter.address,
                composer.compose(letter, clock.now()),
                composer.needs_smtputf8(letter),
                letter.bounce,
            )

        slow = any(signer.algorithm.startswith("rsa") for signer in self._signers)
        return Means(
            self._open,
            compose,
            f"{settings.host}:{settings.effective_port}",
            settings.connections,
            settings.messages_per_connection,
            settings.timeout,
            settings.answer_timeout,
            signing_threads() if slow else 0,
        )

    def _open(self) -> Opened:
        return Conversation(self.channel, self.settings).open()
