"""What a person must do: one sentence, and the commands for it as they are typed."""

from __future__ import annotations

from dataclasses import dataclass

from publisher.channel import Kind
from publisher.delivery import Action, Delivery, State
from publisher.mailing import has_letters_in_doubt


@dataclass(frozen=True, slots=True)
class ToDo:
    """``what`` to do, and each command with the case it is for; the case is empty where there is but one."""

    what: str
    commands: tuple[tuple[str, str], ...] = ()

    def lines(self) -> list[str]:
        """One line for the sentence and one for each command, so that a command can be copied whole."""
        return [self.what, *(f"{case}: {command}" if case else command for case, command in self.commands)]

    def __str__(self) -> str:
        """All of it as one line."""
        return " ".join([self.what, *(f"{line}." for line in self.lines()[1:])])


def needs(delivery: Delivery, kind: Kind | None = None, title: str = "") -> ToDo | None:
    """What a person must do about a delivery, or ``None`` for nothing.

    ``kind`` is what its channel takes, and ``title`` what the post is called, where they are known.
    """
    match delivery.state:
        case State.UNCERTAIN if has_letters_in_doubt(delivery):
            return ToDo(
                f"Decide about the messages in doubt; {delivery.announcement} says whose they are.",
                (
                    ("To see whose", f"publisher show {delivery.announcement}"),
                    ("To leave it at that", f"publisher resolve {delivery.key} --delivered"),
                    (
                        "To send those, and only those, again",
                        f"publisher resolve {delivery.key} --not-delivered",
                    ),
                ),
            )
        case State.UNCERTAIN if delivery.due_at is None:
            return _look(delivery, kind, title)
        case State.FAILED | State.PARKED if delivery.action is not Action.PUBLISH:
            verb = "correct" if delivery.action is Action.UPDATE else "retract"
            return ToDo(
                f"Have the cause mended on {delivery.channel}, or do it there by hand.",
                (("Once it is mended", f"publisher {verb} {delivery.announcement} --yes"),),
            )
        case State.FAILED:
            return ToDo(
                f"See what {delivery.channel} says, and have the cause mended.",
                (
                    ("Once it is mended", f"publisher schedule {delivery.announcement} now"),
                    (
                        "If the text must change (it is then approved anew)",
                        f"publisher revise {delivery.announcement} FILE",
                    ),
                    ("If it is not to go out there any more", f"publisher cancel {delivery.announcement}"),
                ),
            )
        case State.MISSED:
            return ToDo(
                f"Decide whether it may still go out on {delivery.channel}.",
                (
                    ("If it may", f"publisher schedule {delivery.announcement} now"),
                    ("If not", f"publisher cancel {delivery.announcement}"),
                ),
            )
        case State.PARKED:
            return ToDo(
                f"Have {delivery.channel} set up again in the settings.",
                (("Once it is", f"publisher schedule {delivery.announcement} now"),),
            )
        case _:
            return None


def _look(delivery: Delivery, kind: Kind | None, title: str) -> ToDo:
    """How an uncertain post is settled: where to look, for what, and the two answers."""
    named = f'"{title}"' if title else delivery.announcement
    match kind:
        case Kind.NEWSLETTER:
            what = (
                f"Look for the message {named} in a reader's inbox or in the archive of the list, or have the mail "
                f"server's log searched for a Message-ID that begins with {delivery.key}."
            )
        case Kind.SUMMARY:
            what = f"Look at the newest posts of the account behind {delivery.channel} for one on {named}."
        case Kind.POST:
            what = f"Look on {delivery.channel} for a page with the title {named}."
        case None:
            what = f"Look whether {delivery.channel} has the post of {named}."
    there = f"publisher resolve {delivery.key} --delivered"
    case = "If it is there"
    if kind is None and not delivery.canonical:
        case += " (an e-mail has no URL; leave it out)"
    return ToDo(
        what,
        (
            (case, there if kind is Kind.NEWSLETTER and not delivery.canonical else f"{there} URL"),
            (
                "If it certainly is not there (it is then sent again)",
                f"publisher resolve {delivery.key} --not-delivered",
            ),
        ),
    )
