"""The adapter: what the core asks of a newsletter to the office's own subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from channels.mailing import keys
from channels.mailing import payload as letters_of
from channels.mailing.letterhead import Letterhead
from channels.mailing.payload import MailingPayload
from channels.mailing.sender import Sender
from channels.mailing.settings import SubscribersSettings
from channels.smtp.conversation import Conversation
from publisher.channel import (
    Advice,
    Capabilities,
    ChannelSettings,
    Kind,
    Letter,
    MailingAdapter,
    Record,
    SignInFailed,
    Variant,
)
from publisher.errors import SettingsError
from publisher.render.house import load as load_house


class SubscribersAdapter(MailingAdapter[SubscribersSettings, MailingPayload]):
    """Sends each subscriber a message of her own. SMTP cannot be asked whether it has a message already."""

    title = "Newsletter to your own subscribers: one message each, over SMTP"
    kind = Kind.NEWSLETTER
    Settings: ClassVar[type[ChannelSettings]] = SubscribersSettings

    @property
    def capabilities(self) -> Capabilities:
        """Nobody else can read a message, and every message is one subscriber's own."""
        return Capabilities(pages=False, personal=True)

    async def check(self) -> str:
        """Signs in and asks whether a letter to the sender itself would be taken, without one."""
        letterhead, sender = self._letterhead, self.settings.mailbox.address
        return_path = letterhead.tagged("b-check") if letterhead.bounces else sender
        conversation = Conversation(self.channel, self.settings, "SENDER")
        try:
            server = await asyncio.to_thread(conversation.rehearse, return_path, sender)
        finally:
            conversation.abort()
        signed = "letters are signed here" if letterhead.signers else "the server has to sign letters"
        return f"{server} takes mail from {sender}; {_offered(conversation.extensions)}; {signed}."

    async def advise(self) -> Sequence[Advice]:
        """What the DNS says of our domains, with the records to publish."""
        from channels.mailing import records  # and with it the resolver, which only this needs
        from channels.mailing.verdict import State

        settings = self.settings
        published = tuple(
            records.PublicKey(one.domain, one.selector, keys.record(one.key))
            for one in settings.letterhead.signers
        )
        sender, returns = settings.mailbox.address, settings.bounces or settings.mailbox.address
        sending = records.Sending(_domain(sender), _domain(returns), published, settings.sends_from)
        good = {State.OK: True, State.PROBLEM: False}
        return [
            Advice(good.get(found.state), found.sentence, found.publish.line if found.publish else "")
            for found in await records.examine(sending)
        ]

    def prepare(self, variant: Variant) -> MailingPayload:
        """All that the letters have in common. Raises :class:`~publisher.channel.Unsupported`."""
        return letters_of.build(variant, self._letterhead)

    @property
    def _letterhead(self) -> Letterhead:
        try:
            letterhead = self.settings.letterhead
        except SettingsError as error:  # a key that was there when the settings were read
            raise SignInFailed(str(error)) from error
        if not letterhead.list_id or letterhead.list_name:
            return letterhead
        name = load_house(self.office).name
        named = " · ".join(filter(None, (name[code] for code in self.settings.languages)))
        return replace(letterhead, list_name=named)

    async def mail(
        self, payload: MailingPayload, letters: AsyncIterator[Sequence[Letter]], record: Record
    ) -> None:
        """Sends every letter once, as :meth:`MailingAdapter.mail` promises."""
        await Sender(self.channel, self.settings, payload, record).run(letters)


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _offered(extensions: Mapping[str, str]) -> str:
    """What the server offers of all that makes a mailing faster or reach more people."""
    found = [name for name in ("PIPELINING", "SMTPUTF8", "DSN") if name in extensions]
    size = extensions.get("SIZE", "")
    limit = f", messages up to {int(size) // 1000:,} kB" if size.isdecimal() and int(size) else ""
    return f"it offers {', '.join(found) if found else 'no extensions'}{limit}"
