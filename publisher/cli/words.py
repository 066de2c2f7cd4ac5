"""What a delivery's state means, in words an officer reads, and what there is to do."""

from __future__ import annotations

from publisher.delivery import DELIVERED, Action, Delivery, State
from publisher.store.log import Event
from publisher.words import needs as needs

_MEANING = {
    State.WAITING: "waiting",
    State.SENDING: "being sent",
    State.UNCERTAIN: "uncertain",
    State.ACCEPTED: "sent",
    State.CONFIRMED: "published",
    State.FAILED: "failed",
    State.PARKED: "needs a person",
    State.CANCELLED: "cancelled",
    State.MISSED: "missed",
    State.SUPERSEDED: "replaced by a newer revision",
}


_DONE = {Action.UPDATE: "changed", Action.RETRACT: "taken back"}


def state(delivery: Delivery) -> str:
    """The state in words."""
    if delivery.state in DELIVERED and delivery.action in _DONE:
        return _DONE[delivery.action]
    if delivery.state is State.WAITING and delivery.attempt:
        return "waiting to try again"
    if delivery.state is State.WAITING and delivery.due_at is None:
        return "waiting for the link"
    return _MEANING[delivery.state]


def where(delivery: Delivery) -> str:
    """Where the post can be seen; for a channel without addresses, its id."""
    if delivery.receipt is None:
        return ""
    return delivery.receipt.links.both if delivery.receipt.links else delivery.receipt.id


def event(entry: Event, channel: str) -> str:
    """One line of the log as a sentence; ``channel`` is the delivery's channel, where it is about one."""
    known = _EVENTS.get(entry.name)
    if known is None:
        return f"{channel}: {entry.name}" if channel else entry.name
    detail = {
        "reason": "",
        "url": "",
        "id": "",
        "why": "",
        "hour": "",
        "number": "",
        "source": "",
        "due_at": "",
    }
    channel = channel or str(entry.detail.get("channel", ""))
    sentence = known.format(attempt=entry.attempt or 0, **{**detail, **entry.detail, "channel": channel})
    return sentence.removesuffix(": ").removesuffix(" at ").rstrip()


_EVENTS = {
    "revision.added": "Revision {number} filed ({source})",
    "revision.submitted": "Revision {number} submitted for approval",
    "revision.approved": "Revision {number} approved; the text of every channel is sealed",
    "revision.rejected": "Revision {number} sent back: {why}",
    "announcement.scheduled": "Scheduled for {hour}",
    "announcement.cancelled": "Cancelled",
    "announcement.corrected": "Correction ordered: revision {number} replaces what is out",
    "announcement.retracted": "Retraction ordered: what is out is taken back",
    "channel.paused": "{channel} is paused: {reason}",
    "channel.resumed": "{channel} works again",
    "delivery.repeated": "{channel}: the worker stopped; done again, which changes nothing twice",
    "attempt.started": "{channel}: sending (attempt {attempt})",
    "probe.started": "{channel}: asking whether the post is there",
    "delivery.accepted": "{channel}: sent, the service has taken it over: {url}",
    "delivery.confirmed": "{channel}: published: {url}",
    "delivery.retried": "{channel}: did not work, will be tried again: {reason}",
    "delivery.failed": "{channel}: failed: {reason}",
    "delivery.rejected": "{channel}: refused: {reason}",
    "delivery.parked": "{channel}: stopped, a person must act: {reason}",
    "delivery.uncertain": "{channel}: it is not known whether the post is out: {reason}",
    "delivery.not_found_yet": "{channel}: not found yet; asked again later, before it is believed",
    "delivery.not_there": "{channel}: certainly not published; it is sent again",
    "delivery.probe_failed": "{channel}: could not be asked; asked again later: {reason}",
    "delivery.released": "{channel}: the link is known, it may go out",
    "delivery.scheduled": "{channel}: set to the new hour",
    "delivery.cancelled": "{channel}: cancelled",
    "delivery.missed": "{channel}: missed, {reason}",
    "delivery.superseded": "{channel}: replaced by a newer revision",
    "delivery.resolved": "{channel}: settled by hand: {url}{reason}",
    "delivery.late_result": "{channel}: an answer came too late and changed nothing",
}


def delivery_data(delivery: Delivery) -> dict[str, object]:
    """A delivery as plain data."""
    return {
        "key": delivery.key,
        "channel": delivery.channel,
        "scope": delivery.scope,
        "state": delivery.state,
        "due_at": delivery.due_at,
        "attempt": delivery.attempt,
        "where": where(delivery),
        "reason": delivery.reason,
        "needs": needs(delivery),
    }
