"""What a delivery's state means, in words an officer reads, and what there is to do."""

from __future__ import annotations

from publisher.delivery import Delivery, State

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


def state(delivery: Delivery) -> str:
    """The state in words."""
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


def needs(delivery: Delivery) -> str:
    """What a person must do, as one sentence; empty for nothing."""
    match delivery.state:
        case State.UNCERTAIN if delivery.due_at is None:
            return (
                f"Look whether {delivery.channel} has it, then: publisher resolve {delivery.key} "
                "--delivered URL (or --not-delivered)"
            )
        case State.FAILED:
            return f"Mend the cause, then: publisher schedule {delivery.announcement} now"
        case State.MISSED:
            return f"Decide whether it may still go out: publisher schedule {delivery.announcement} now"
        case State.PARKED:
            return f"Set the channel up again, then: publisher schedule {delivery.announcement} now"
        case _:
            return ""


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
