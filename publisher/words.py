"""What a delivery asks of a person, in the same words on the command line and in alerts."""

from __future__ import annotations

from publisher.delivery import Action, Delivery, State


def needs(delivery: Delivery) -> str:
    """What a person must do, as one sentence; empty for nothing."""
    match delivery.state:
        case State.UNCERTAIN if delivery.due_at is None:
            return (
                f"Look whether {delivery.channel} has it, then: publisher resolve {delivery.key} "
                "--delivered URL (or --not-delivered; e-mail has no URL)"
            )
        case State.FAILED | State.PARKED if delivery.action is not Action.PUBLISH:
            verb = "correct" if delivery.action is Action.UPDATE else "retract"
            return f"Mend the cause, then: publisher {verb} {delivery.announcement} --yes"
        case State.FAILED:
            return f"Mend the cause, then: publisher schedule {delivery.announcement} now"
        case State.MISSED:
            return f"Decide whether it may still go out: publisher schedule {delivery.announcement} now"
        case State.PARKED:
            return f"Set the channel up again, then: publisher schedule {delivery.announcement} now"
        case _:
            return ""
