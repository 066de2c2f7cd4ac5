"""The newsletter to an office's own subscribers: one letter each, composed and signed here, sent over SMTP."""

from channels.mailing.adapter import SubscribersAdapter
from channels.mailing.payload import MailingPayload
from channels.mailing.settings import SubscribersSettings

__all__ = ["MailingPayload", "SubscribersAdapter", "SubscribersSettings"]
