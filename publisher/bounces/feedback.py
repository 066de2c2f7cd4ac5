"""Complaints: readers who have reported a newsletter as spam, as their providers pass it on.

The abuse reporting format is RFC 5965; Microsoft's programme (JMRP) sends the newsletter alone, as an attachment.
"""

from __future__ import annotations

import re
from email.message import Message

from publisher.bounces import parts
from publisher.bounces.report import Kind, Report, shortened

_KINDS = {
    "abuse": Kind.COMPLAINT,
    "fraud": Kind.COMPLAINT,
    "virus": Kind.COMPLAINT,
    "other": Kind.COMPLAINT,
    "opt-out": Kind.UNSUBSCRIBE,
    "opt-out-list": Kind.UNSUBSCRIBE,
    "not-spam": Kind.AUTOMATIC,
}
"""What follows from a Feedback-Type; of the rest, such as ``auth-failure``, a person must be told."""
_MICROSOFT = re.compile(r"\bstaff@hotmail\.com\b", re.IGNORECASE)


def read(message: Message) -> Report | None:
    """The complaint in a message, ``None`` where there is none."""
    for part in parts.of_type(message, "message/feedback-report"):
        fields = next(iter(parts.blocks(part)), {})
        type_ = fields.get("feedback-type", "").strip().lower()
        who = fields.get("user-agent", "") or parts.header(message, "From")
        address = fields.get("original-rcpt-to", "").strip("<> ") or None
        kind = _KINDS.get(type_, Kind.UNKNOWN)
        return Report(kind, said=shortened(f"{type_ or 'feedback'} ({who})"), address=address)
    sender = parts.header(message, "From")
    if _MICROSOFT.search(sender) and any(parts.of_type(message, "message/rfc822")):
        return Report(Kind.COMPLAINT, said=shortened(parts.header(message, "Subject")))
    return None
