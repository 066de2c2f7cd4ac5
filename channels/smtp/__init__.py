"""The newsletter by SMTP: one message to one list address, or to a few recipients."""

from channels.smtp.adapter import SmtpAdapter
from channels.smtp.message import MailPayload
from channels.smtp.settings import SmtpSettings

__all__ = ["MailPayload", "SmtpAdapter", "SmtpSettings"]
