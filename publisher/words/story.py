"""What happened to one delivery, what follows by itself, and in a word or two how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from publisher.delivery import DELIVERED, IN_DOUBT, Action, Delivery, State
from publisher.mailing import GOES_ON, has_letters_in_doubt
from publisher.store.log import Event
from publisher.words.office import Outlook, because, pause


@dataclass(frozen=True, slots=True)
class Trace:
    """What the log tells of a delivery: when its newest attempt began, and its newest ``move``, ``at`` and ``by``."""

    sent_at: datetime | None = None
    move: str = ""
    at: datetime | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One delivery, all ``deliveries`` of its announcement, and what else its story needs."""

    delivery: Delivery
    deliveries: Sequence[Delivery]
    outlook: Outlook
    trace: Trace = Trace()

    @property
    def canonical(self) -> list[Delivery]:
        """Those whose address this one links to."""
        return [d for d in self.deliveries if d.canonical and d.revision == self.delivery.revision]

    @property
    def after(self) -> Delivery | None:
        """The correction or retraction that has since changed this post, the newest one."""
        d = self.delivery
        same = [o for o in self.deliveries if (o.channel, o.scope) == (d.channel, d.scope) and o.id > d.id]
        return next((o for o in reversed(same) if o.state in DELIVERED), None)


def traces(events: Sequence[Event]) -> Mapping[int, Trace]:
    """The trace of each delivery, by its id, from the log of its announcement."""
    found: dict[int, Trace] = {}
    for event in events:
        if event.delivery is None:
            continue
        known = found.get(event.delivery, Trace())
        if event.name == "attempt.started":
            found[event.delivery] = Trace(event.at, known.move, known.at, known.by)
        elif event.name.startswith("delivery.") and event.name != "delivery.late_result":
            found[event.delivery] = Trace(known.sent_at, event.name, event.at, event.actor)
    return found


def where(delivery: Delivery) -> str:
    """Where the post can be seen; for a channel without addresses, its id."""
    if delivery.receipt is None:
        return ""
    return delivery.receipt.links.both if delivery.receipt.links else delivery.receipt.id


# --- in a word or two -------------------------------------------------------------------------------------------

_MEANING = {
    State.SENDING: "being sent",
    State.FAILED: "failed",
    State.PARKED: "stopped",
    State.CANCELLED: "cancelled",
    State.MISSED: "missed its hour",
    State.SUPERSEDED: "replaced by a newer revision",
}
_OUT = {State.ACCEPTED: "sent", State.CONFIRMED: "published"}
_DONE = {Action.UPDATE: "changed", Action.RETRACT: "taken back"}
_DOES = {Action.PUBLISH: "goes out", Action.UPDATE: "is changed", Action.RETRACT: "is taken back"}
_NOT_DONE = {Action.PUBLISH: "published", Action.UPDATE: "changed", Action.RETRACT: "taken back"}


def state(case: Case) -> str:
    """How the delivery stands, in a word or two."""
    delivery = case.delivery
    if delivery.unseen:
        return "sent, not to be seen yet"
    if delivery.state in _OUT:
        since = f", since {_DONE[case.after.action]}" if case.after and case.after.action in _DONE else ""
        return _DONE.get(delivery.action, _OUT[delivery.state]) + since
    if delivery.state is State.WAITING:
        return _waits_for(case)
    if delivery.state is State.SENDING and case.outlook.stranded:
        return "uncertain, its worker has stopped"
    if delivery.state is State.UNCERTAIN:
        return "uncertain, a person must look" if delivery.due_at is None else "uncertain, being looked into"
    return _MEANING[delivery.state]


def _waits_for(case: Case) -> str:
    delivery, outlook = case.delivery, case.outlook
    if delivery.due_at is None:
        names = dict.fromkeys(d.channel for d in case.canonical)
        return f"waiting for {', '.join(names) or 'the link'}"
    ahead = delivery.due_at > outlook.now
    if ahead and not delivery.attempt:
        return "waiting for its hour"
    for applies, words in (
        (outlook.halt is not None, "halted"),
        (outlook.pause(delivery.channel) is not None, "waiting, the channel is paused"),
        (ahead and case.trace.move == GOES_ON, "sent to some, goes on"),
        (ahead, "waiting to try again"),
        (outlook.stranded, "due, and no worker is running"),
        (outlook.is_full(delivery.channel), "waiting its turn"),
    ):
        if applies:
            return words
    return "due now"


# --- in sentences -----------------------------------------------------------------------------------------------


def story(case: Case) -> list[str]:
    """What happened and what follows by itself, in whole sentences; empty where the state says all."""
    delivery = case.delivery
    match delivery.state:
        case State.WAITING:
            told = _for_link(case) if delivery.due_at is None else _waiting(case, delivery.due_at)
        case State.SENDING:
            told = _sending(case)
        case State.UNCERTAIN:
            told = _uncertain(case)
        case State.ACCEPTED | State.CONFIRMED:
            told = _out(case)
        case State.FAILED:
            told = _failed(case)
        case State.PARKED:
            told = [
                f"The worker could not go on with it, and leaves it as it is. It was not {_not(delivery)}.",
                because(delivery.reason),
            ]
        case State.MISSED:
            told = _missed(case)
        case State.CANCELLED:
            told = [f"It was cancelled at {_at(case, case.trace.at)} and does not go out."]
        case State.SUPERSEDED:
            told = ["It did not go out, since a newer revision was filed."]
    return [sentence for sentence in told if sentence]


def _at(case: Case, instant: datetime | None) -> str:
    return case.outlook.time(instant) if instant else "an hour that is not recorded"


def _sending(case: Case) -> list[str]:
    attempt = f" (attempt {case.delivery.attempt})" if case.delivery.attempt > 1 else ""
    told = [f"It has been on its way since {_at(case, case.trace.sent_at)}{attempt}."]
    if case.outlook.stranded:
        told.append("The worker that was sending it has stopped; the next one finds out whether it is out.")
    return told


def _not(delivery: Delivery) -> str:
    return _NOT_DONE[delivery.action]


def _for_link(case: Case) -> list[str]:
    """It carries a link to a page that is not out yet; what became of the page decides what is said."""
    names = ", ".join(dict.fromkeys(d.channel for d in case.canonical)) or "the page it links to"
    then = f"It goes out by itself as soon as {names} is published."
    for states, what in (
        ({State.FAILED, State.PARKED}, f"It links to {names}, which was not published."),
        ({State.MISSED}, f"It links to {names}, which missed its hour."),
        (IN_DOUBT - {State.SENDING}, f"It links to {names}, and it is not known yet whether that is out."),
        ({State.CANCELLED}, f"It links to {names}, which was cancelled."),
        ({State.ACCEPTED}, f"It links to {names}, which has been sent and cannot be seen yet."),
    ):
        if any(d.state in states for d in case.canonical):
            return [what, then]
    if any(d.state is State.WAITING and d.attempt for d in case.canonical):
        return [f"It links to {names}, which did not work so far and is tried again.", then]
    return [f"It links to {names}. {then}"]


def _waiting(case: Case, due_at: datetime) -> list[str]:
    delivery, outlook = case.delivery, case.outlook
    if delivery.attempt:
        told = _again(case, due_at)
    elif due_at > outlook.now:
        told = [f"It {_DOES[delivery.action]} at {outlook.time(due_at)}."]
    elif delivery.action is Action.PUBLISH:
        told = [f"It has been due since {outlook.time(due_at)}."]
    else:
        told = [f"It is to be {_not(delivery)}, and has been due for that since {outlook.time(due_at)}."]
    held = _held(case)
    if not held and due_at <= outlook.now:
        if outlook.is_full(delivery.channel):
            pace = outlook.pace[delivery.channel]
            posts = f"{pace} posts" if pace > 1 else "one post"
            told.append(f"{delivery.channel} gets {posts} a minute at most; this one goes out in its turn.")
        elif not delivery.attempt:
            told.append("A worker takes it up within moments.")
    told += held
    if delivery.not_after and (held or delivery.attempt):
        until = outlook.time(delivery.not_after)
        told.append(f"It may go out until {until}; after that it is held back, and a person decides.")
    return told


def _again(case: Case, due_at: datetime) -> list[str]:
    delivery, outlook = case.delivery, case.outlook
    when = "at once" if due_at <= outlook.now else f"at {outlook.time(due_at)}"
    if case.trace.move == "delivery.not_there":
        return [f"{delivery.channel} was asked and certainly does not have it, so it is sent again {when}."]
    if case.trace.move == "delivery.resolved":
        return [f"{case.trace.by} looked, and it is not there, so it is sent again {when}."]
    if case.trace.move == GOES_ON:
        told = [f"Those who have had it do not get it again. {because(delivery.reason, 'How it stands')}"]
        return told if _held(case) else [*told, f"It goes on by itself {when}."]
    harmless = "nothing was published" if delivery.action is Action.PUBLISH else "doing it again does no harm"
    told = [f"Attempt {delivery.attempt}, at {_at(case, case.trace.sent_at)}, did not work; {harmless}."]
    known = outlook.pause(delivery.channel)
    if known is None or known.reason != delivery.reason:
        told.append(because(delivery.reason))
    return told if _held(case) else [*told, f"It is tried again by itself {when}."]


def _held(case: Case) -> list[str]:
    """What keeps it from going out, though its hour may have come."""
    outlook, channel = case.outlook, case.delivery.channel
    told = []
    if outlook.halt is not None:
        told.append("Everything is halted, so it waits.")
    if outlook.stranded:
        told.append("No worker is running, so it waits.")
    return [*told, *pause(outlook, channel)]


def _uncertain(case: Case) -> list[str]:
    delivery, outlook = case.delivery, case.outlook
    if has_letters_in_doubt(delivery):
        return [
            "It is out, but the connection was lost, or the worker stopped, while single messages were being sent.",
            because(delivery.reason, "How it stands"),
            "Nobody gets it twice unless a person says so.",
        ]
    told = [
        f"It was sent at {_at(case, case.trace.sent_at)} (attempt {delivery.attempt}), but no clear answer came, "
        "so it is not known whether it is out.",
        _doubt(delivery.reason),
    ]
    if delivery.due_at is None:
        return [
            *told,
            f"The program cannot find out from {delivery.channel}. It sends nothing again before a person has looked.",
        ]
    when = "now" if delivery.due_at <= outlook.now else f"at {outlook.time(delivery.due_at)}"
    if case.trace.move == "delivery.not_found_yet":
        told.append(
            f"{delivery.channel} was asked and did not show it yet. It is asked again by itself {when}; "
            "if it still is not there, it is sent again by itself."
        )
    elif case.trace.move == "delivery.probe_failed":
        told.append(f"{delivery.channel} could not be asked. It is asked again by itself {when}.")
    else:
        told.append(f"{delivery.channel} is asked by itself {when} whether it has it.")
        told.append("Until that is known, it is not sent again.")
    return [*told, *_held(case)]


def _doubt(reason: str) -> str:
    """Why it is not known whether a post is out, where the program itself is the reason said plainly."""
    if reason.startswith("the worker stopped while sending"):
        rest = reason.removeprefix("the worker stopped while sending").lstrip("; ")
        return " ".join(
            filter(None, ["The worker stopped while it was sending, so it saw no answer.", because(rest)])
        )
    if reason.startswith("unexpected "):
        return f"The answer was none the program knows ({reason})."
    return because(reason)


def _out(case: Case) -> list[str]:
    delivery, trace = case.delivery, case.trace
    when = _at(case, trace.at)
    if trace.move == "delivery.resolved":
        return [f"{trace.by} looked and found it there, at {when}."]
    if delivery.unseen:
        return _unseen(case)
    if delivery.action in _DONE:
        return [f"It was {_DONE[delivery.action]} at {when}."]
    if trace.move == "delivery.mailed":
        return [f"It was sent to its subscribers; the last of them had it at {when}."]
    if delivery.state is State.CONFIRMED:
        return [f"It was published at {when}."]
    return [
        f"{delivery.channel} took it over at {when} and passes it on; whether it arrived, it does not say."
    ]


def _unseen(case: Case) -> list[str]:
    """Its service has it and shows it only after a while, as a site does that is built anew."""
    delivery, due = case.delivery, case.delivery.due_at
    when = "now" if due is None or due <= case.outlook.now else f"at {case.outlook.time(due)}"
    told = [f"{delivery.channel} has it since {_at(case, case.trace.sent_at)}, and does not show it yet."]
    if delivery.probes and delivery.reason:
        told.append(because(delivery.reason))
    waits = " What links to it waits until then." if delivery.canonical else ""
    return [*told, f"It is looked for again by itself {when}.{waits}", *_held(case)]


def _failed(case: Case) -> list[str]:
    delivery, when = case.delivery, _at(case, case.trace.at)
    kept = "" if delivery.action is Action.PUBLISH else " What was out stays as it is."
    end = f"It was not {_not(delivery)}, and is not tried again by itself.{kept}"
    if delivery.reason.startswith("given up after"):
        last = delivery.reason.partition(": ")[2]
        return [
            f"It was given up at {when}, after {delivery.attempt} attempts that did not work. {end}",
            because(last),
        ]
    return [f"It was refused at {when}. {end}", because(delivery.reason)]


def _missed(case: Case) -> list[str]:
    delivery = case.delivery
    limit = f" by {case.outlook.time(delivery.not_after)}" if delivery.not_after else " in time"
    return [f"It could not be sent{limit}, and was held back, since it may be too late for its readers."]
