"""The newsletter to the office's own subscribers: composed, signed and sent letter by letter."""

from channels.mailing.adapter import SubscribersAdapter
from channels.mailing.payload import MailingPayload
from channels.mailing.settings import SubscribersSettings

__all__ = ["MailingPayload", "SubscribersAdapter", "SubscribersSettings"]
