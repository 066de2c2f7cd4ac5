"""The adapter: what the core asks of a newsletter channel, answered over SMTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar, TypeVar

from channels.smtp import message
from channels.smtp.conversation import Conversation
from channels.smtp.message import MailPayload
from channels.smtp.settings import SmtpSettings
from publisher import clock
from publisher.channel import Adapter, ChannelSettings, Kind, Outcome, Receipt, Variant

ResultT = TypeVar("ResultT")


class SmtpAdapter(Adapter[SmtpSettings, MailPayload]):
    """Sends each newsletter as one message. SMTP cannot be asked whether it has a message already."""

    title = "Newsletter by e-mail: one message to a mailing list or a few recipients, over SMTP"
    kind = Kind.NEWSLETTER
    Settings: ClassVar[type[ChannelSettings]] = SmtpSettings

    async def check(self) -> str:
        """Signs in and asks whether the sender may write to the first recipient, without a message."""
        sender, recipient = self.settings.mailbox.address, self.settings.to[0]
        conversation = Conversation(self.channel, self.settings)
        server = await _talk(conversation, lambda: conversation.rehearse(sender, recipient))
        return f"{server} takes mail from {sender} to {recipient}."

    def prepare(self, variant: Variant) -> MailPayload:
        """The message but for its date and id. Raises :class:`~publisher.channel.Unsupported`."""
        settings = self.settings
        return message.build(variant, settings.mailbox, settings.to, settings.reply_to)

    async def publish(self, payload: MailPayload, key: str) -> Receipt:
        """One session, one message. The receipt's id is the Message-ID, its raw text the server's last reply."""
        data = message.stamped(payload, key, clock.now())
        conversation = Conversation(self.channel, self.settings)
        reply = await _talk(
            conversation, lambda: conversation.submit(payload.sender, payload.recipients, data)
        )
        return Receipt(
            Outcome.ACCEPTED,
            id=message.message_id(key, payload.sender),
            code=str(reply.code),
            at=clock.now(),
            raw=reply.text,
        )


async def _talk(conversation: Conversation, step: Callable[[], ResultT]) -> ResultT:
    """Runs ``step`` in a thread, which ends with the caller: a cancelled session is cut off at once."""
    try:
        return await asyncio.to_thread(step)
    finally:
        conversation.abort()
