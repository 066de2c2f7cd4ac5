"""The log's sentences, and deliveries as plain data; what a state means and asks for is in ``publisher.words``."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from publisher import clock
from publisher.delivery import Delivery
from publisher.readership import Progress
from publisher.store.log import Event
from publisher.words import Report, ToDo, needs, where


def event(entry: Event, channel: str, zone: str) -> str:
    """One line of the log as a sentence, with times in ``zone``; ``channel`` is that of the delivery it is about."""
    known = EVENTS.get(entry.name)
    channel = channel or str(entry.detail.get("channel", ""))
    if known is None:
        return f"{channel}: {entry.name}" if channel else entry.name
    if entry.name == "channel.resumed" and entry.account:
        known = "{channel} was let go on by hand"
    given = defaultdict(str, {name: str(value) for name, value in entry.detail.items()})
    if instant := given.get("instant"):
        given["hour"] = clock.show(datetime.fromisoformat(instant), zone)
    given |= {"attempt": str(entry.attempt or 0), "channel": channel, "who": entry.actor}
    return known.format_map(given).removesuffix(": ").rstrip()


EVENTS = {
    "revision.added": "Revision {number} filed ({source})",
    "revision.submitted": "Revision {number} submitted for approval",
    "revision.approved": "Revision {number} approved; the text of every channel is sealed",
    "revision.rejected": "Revision {number} sent back: {why}",
    "announcement.scheduled": "Scheduled for {hour}",
    "announcement.cancelled": "Cancelled",
    "announcement.replanned": "The rules of the time zone have changed; {hour} now is the moment {instant}",
    "announcement.corrected": "Correction ordered: revision {number} replaces what is out",
    "announcement.retracted": "Retraction ordered: what is out is taken back",
    "office.halted": "Everything halted; nothing goes out",
    "office.unhalted": "The halt lifted; everything goes on",
    "channel.paused": "{channel} is paused and tried every ten minutes: {reason}",
    "channel.resumed": "{channel} works again",
    "roster.imported": "Subscribers imported: {added} added, {joined} put on more lists, {refused} lines refused",
    "subscriber.added": "Subscriber {ref}: added by hand",
    "subscriber.changed": "Subscriber {ref}: changed",
    "subscriber.removed": "Subscriber {ref}: removed for good",
    "subscriber.asked": "Subscriber {ref}: asked for the newsletter, and was mailed to confirm ({how})",
    "subscriber.confirmed": "Subscriber {ref}: confirmed ({how}; {detail})",
    "subscriber.returned": "Subscriber {ref}: had unsubscribed by mistake, and is back ({how}; {detail})",
    "subscriber.chose": "Subscriber {ref}: reads {detail} from now on ({how})",
    "subscriber.unsubscribed": "Subscriber {ref}: unsubscribed ({how}; {detail})",
    "subscriber.bounced": "Subscriber {ref}: the mailbox does not work: {detail}",
    "subscriber.complained": "Subscriber {ref}: reported a newsletter as spam: {detail}",
    "attempt.started": "{channel}: sending (attempt {attempt})",
    "probe.started": "{channel}: asking whether the post is there",
    "delivery.accepted": "{channel}: sent, the service has taken it over: {url}",
    "delivery.not_seen_yet": "{channel}: sent, but not to be seen yet; looked for again by itself: {reason}",
    "delivery.overtaken": "{channel}: not looked for any more: {reason}",
    "delivery.confirmed": "{channel}: published: {url}",
    "delivery.retried": "{channel}: did not work, is tried again by itself: {reason}",
    "delivery.repeated": "{channel}: the worker stopped, so it is done again, which does no harm",
    "delivery.failed": "{channel}: failed, not tried again by itself: {reason}",
    "delivery.rejected": "{channel}: refused: {reason}",
    "delivery.parked": "{channel}: stopped, a person must act: {reason}",
    "delivery.uncertain": "{channel}: it is not known whether the post is out: {reason}",
    "delivery.not_found_yet": "{channel}: not there yet; asked again later, before that is believed",
    "delivery.not_there": "{channel}: certainly not published, so it is sent again",
    "delivery.probe_failed": "{channel}: could not be asked, is asked again later: {reason}",
    "delivery.released": "{channel}: the link is known, so it may go out",
    "delivery.scheduled": "{channel}: set to the new hour",
    "delivery.cancelled": "{channel}: cancelled",
    "delivery.goes_on": "{channel}: part of it is done, the rest goes on by itself: {reason}",
    "delivery.mailed": "{channel}: sent to its subscribers: {reason}",
    "delivery.letters_in_doubt": "{channel}: sent, but for single messages it is not known: {reason}",
    "delivery.missed": "{channel}: missed its hour and held back: {reason}",
    "delivery.superseded": "{channel}: replaced by a newer revision",
    "delivery.resolved": "{channel}: settled by hand: {url}{reason}",
    "delivery.late_result": "{channel}: an answer came too late and changed nothing",
}
"""A sentence for every event that is written; a name in braces is filled in from the event's detail."""


def delivery_data(
    delivery: Delivery, report: Report | None = None, progress: Progress | None = None
) -> dict[str, object]:
    """A delivery as plain data; with the ``report`` of its announcement, also what is told of it.

    ``progress`` is that of a newsletter to subscribers.
    """
    need = report.need(delivery) if report else needs(delivery)
    data: dict[str, object] = {
        "key": delivery.key,
        "channel": delivery.channel,
        "scope": delivery.scope,
        "state": delivery.state,
        "due_at": delivery.due_at,
        "attempt": delivery.attempt,
        "where": where(delivery),
        "reason": delivery.reason,
        "needs": str(need) if need else "",
    }
    if progress:
        data["letters"] = {str(state): count for state, count in progress.counts.items()}
        data["in_doubt"] = [{"address": d.address, "answer": d.answer, "at": d.at} for d in progress.doubtful]
    return data | ({"stands": report.state(delivery), "told": report.story(delivery)} if report else {})


def todo_data(todo: ToDo) -> dict[str, object]:
    """What a person must do as plain data."""
    return {"what": todo.what, "commands": [command for _, command in todo.commands]}
