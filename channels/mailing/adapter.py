"""The adapter: what the core asks of a newsletter to the office's own subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar

from channels.mailing import payload as letters_of
from channels.mailing.letterhead import Letterhead
from channels.mailing.payload import MailingPayload
from channels.mailing.sender import Sender
from channels.mailing.settings import SubscribersSettings
from channels.smtp.conversation import Conversation
from publisher.announcement import Language
from publisher.channel import (
    TEMPLATES,
    Capabilities,
    ChannelSettings,
    Kind,
    Letter,
    MailingAdapter,
    Record,
    SignInFailed,
    Template,
    Variant,
)
from publisher.errors import SettingsError


class SubscribersAdapter(MailingAdapter[SubscribersSettings, MailingPayload]):
    """Sends each subscriber a message of her own. SMTP cannot be asked whether it has a message already."""

    title = "Newsletter to your own subscribers: one message each, over SMTP"
    kind = Kind.NEWSLETTER
    Settings: ClassVar[type[ChannelSettings]] = SubscribersSettings
    templates = TEMPLATES[Kind.NEWSLETTER] + tuple(
        Template(f"{part.part}_{language}", part.file, languages=(language,))
        for language in Language
        for part in TEMPLATES[Kind.NEWSLETTER]
    )
    """Every part in both languages, and in each for those who read one only."""

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

    def prepare(self, variant: Variant) -> MailingPayload:
        """All that the letters have in common. Raises :class:`~publisher.channel.Unsupported`."""
        return letters_of.build(variant, self._letterhead)

    @property
    def _letterhead(self) -> Letterhead:
        try:
            return self.settings.letterhead
        except SettingsError as error:  # a key that was there when the settings were read
            raise SignInFailed(str(error)) from error

    async def mail(
        self, payload: MailingPayload, letters: AsyncIterator[Sequence[Letter]], record: Record
    ) -> None:
        """Sends every letter once, as :meth:`MailingAdapter.mail` promises."""
        await Sender(self.channel, self.settings, payload, record).run(letters)


def _offered(extensions: Mapping[str, str]) -> str:
    """What the server offers of all that makes a mailing faster or reach more people."""
    found = [name for name in ("PIPELINING", "SMTPUTF8", "DSN") if name in extensions]
    size = extensions.get("SIZE", "")
    limit = f", messages up to {int(size) // 1000:,} kB" if size.isdecimal() and int(size) else ""
    return f"it offers {', '.join(found) if found else 'no extensions'}{limit}"
