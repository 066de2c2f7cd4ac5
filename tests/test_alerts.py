"""Somebody is told: once when a thing gets stuck, now and then while it is, once when it is over; never a secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy import event

from publisher import alerts as watched
from publisher import clock, registry, settings
from publisher.alerts import Teller, Watch, secrets
from publisher.alerts.cause import LATE, Cause, Kind
from publisher.alerts.plan import Phase, decide
from publisher.alerts.telling import addresses
from publisher.channel import OutcomeUnknown, Rejected, SignInFailed
from publisher.desk import Desk
from publisher.engine.embedded import EmbeddedEngine
from publisher.errors import SettingsError
from publisher.store import Store
from publisher.store.alerts import Alert
from publisher.testing.exchange import Answer, At, Cut, Request, Response, Stall
from publisher.testing.loopback import LoopbackServer
from publisher.words import ToDo
from publisher.worker import assemble, configure_logging
from tests.toy import APPROVER, DOCUMENT, OFFICER, Office, office

PASSWORD = "hunter22-never-show"
_PACE = 60
NOW = datetime(2026, 10, 1, 1, 0, tzinfo=UTC)


async def _taken(_: Request) -> Response:
    return Response.json({})


@pytest.fixture
def receiver() -> Iterator[LoopbackServer]:
    """A chat service that takes every message."""
    server = LoopbackServer(_taken)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it."""
    return office(store, tmp_path / "home", per_minute=_PACE)


def _address(receiver: LoopbackServer) -> SecretStr:
    return SecretStr(receiver.url.replace("http://", f"json://office:{PASSWORD}@") + "/")


def _watch(bureau: Office, receiver: LoopbackServer | None, name: str = "office-1") -> Watch:
    async def call(work: Callable[[], object]) -> object:
        return await asyncio.to_thread(work)

    teller = Teller(_address(receiver), seconds=5) if receiver else None
    pace = dict.fromkeys(bureau.desk.channels, _PACE)
    return Watch(bureau.store, call, name, pace, teller=teller, zone="Asia/Shanghai", now=bureau.clock)


def _messages(receiver: LoopbackServer) -> list[tuple[str, str]]:
    """Title and text of every message that arrived, in order."""
    return [(r.json()["title"], r.json()["message"]) for r in receiver.acted]


def _titles(receiver: LoopbackServer) -> list[str]:
    return [title for title, _ in _messages(receiver)]


async def _work(bureau: Office) -> None:
    engine = EmbeddedEngine(bureau.store, bureau.desk.channels, "office-1", now=bureau.clock)
    while await engine.enqueue_due():
        await engine.drain()
    await engine.stop()


def _raises(error: Exception) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


async def _failed(bureau: Office) -> str:
    """An announcement whose website refuses it."""
    key = bureau.approved()
    bureau.service.refuse.append(_raises(Rejected("the text is too long for it")))
    bureau.desk.schedule(key, "now", OFFICER)
    await _work(bureau)
    return key


def _open(bureau: Office) -> list[Alert]:
    with bureau.store.read() as tx:
        return tx.alerts.all()


# --- the plan -------------------------------------------------------------------------------------------------


def _cause(kind: Kind = Kind.FAILED, subject: str = "a", ago: timedelta = timedelta(0)) -> Cause:
    return Cause(kind, subject, f"{subject} happened", ToDo("Mend it.", (("", "publisher mend"),)), NOW - ago)


def _alert(cause: Cause, told: int, ago: timedelta | None) -> Alert:
    return Alert(cause.id, cause.what, cause.since, None if ago is None else NOW - ago, told)


_OLD = timedelta(days=3)


@pytest.mark.parametrize(
    ("told", "ago", "expected"),
    [
        (0, None, Phase.OPENED),
        (1, timedelta(minutes=59), None),
        (1, timedelta(hours=1), Phase.AGAIN),
        (2, timedelta(hours=5, minutes=59), None),
        (2, timedelta(hours=6), Phase.AGAIN),
        (4, timedelta(hours=6), Phase.AGAIN),
        (5, timedelta(hours=23), None),
        (5, timedelta(hours=24), Phase.AGAIN),
        (400, timedelta(hours=24), Phase.AGAIN),
        (3, timedelta(days=4), Phase.OPENED),  # it happened anew since it was last told
    ],
)
def test_plan__repeated_slowly(told: int, ago: timedelta | None, expected: Phase | None) -> None:
    """Told at once, after an hour, every six hours, then daily; what happened anew is told at once."""
    cause = _cause(ago=_OLD)
    plan = decide([cause], [_alert(cause, told, ago)], NOW)
    assert [notice.phase for notice in plan.notices] == ([expected] if expected else [])
    assert plan.opened == plan.dropped == ()


@pytest.mark.parametrize(
    ("kind", "ago", "told"),
    [
        (Kind.FAILED, timedelta(days=7), True),
        (Kind.FAILED, timedelta(days=7, seconds=1), False),
        (Kind.MISSED, timedelta(days=8), False),
        (Kind.UNCERTAIN, timedelta(days=400), True),
        (Kind.PAUSED, timedelta(days=400), True),
    ],
)
def test_plan__old_news_ends(kind: Kind, ago: timedelta, told: bool) -> None:
    """What nobody settles is told for a time only; then its alert goes without a word, and does not come back."""
    cause = _cause(kind, ago=ago)
    assert bool(decide([cause], [], NOW).opened) == told
    plan = decide([cause], [_alert(cause, 3, timedelta(days=1))], NOW)
    assert bool(plan.notices) == told
    assert plan.dropped == (() if told else (cause.id,))


def test_plan__long_silent_worker() -> None:
    """A worker that died long before the next one began is told all the same, for a day."""
    cause = _cause(Kind.SILENT, ago=timedelta(days=3))
    assert decide([cause], [], NOW).opened == (cause,)
    fresh, old = (
        Alert(cause.id, "", NOW - timedelta(hours=h), NOW - timedelta(hours=7), 3) for h in (20, 25)
    )
    assert [n.phase for n in decide([cause], [fresh], NOW).notices] == [Phase.AGAIN]
    assert decide([cause], [old], NOW).dropped == (cause.id,)


def test_plan__over() -> None:
    """An alert that was told is told once as over; one that nobody heard of is dropped."""
    heard, unheard = _cause(subject="a"), _cause(subject="b")
    plan = decide([], [_alert(heard, 1, timedelta(minutes=1)), _alert(unheard, 0, None)], NOW)
    assert [(n.phase, n.causes) for n in plan.notices] == [(Phase.OVER, (heard.id,))]
    assert plan.dropped == (unheard.id,)


def test_plan__one_message_a_kind() -> None:
    """Fifty of a kind are one message that names ten and counts the rest; another kind is another message."""
    causes = [_cause(subject=f"f{n}") for n in range(50)] + [_cause(Kind.PAUSED, "mastodon")]
    failed, paused = decide(causes, [], NOW).notices
    assert failed.title == "50 posts were not published"
    assert len(failed.causes) == 50
    assert failed.body.count("To do:") == 10
    assert "And 40 more" in failed.body
    assert paused.title == "A channel is paused"


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("told", [0, 1])
def test_plan__calm_words(kind: Kind, told: int) -> None:
    """Every kind can be told, again and as over, without an exclamation mark."""
    cause = _cause(kind, ago=timedelta(hours=2))
    alerts = [_alert(cause, told, timedelta(hours=1) if told else None)]
    notices = [
        *decide([cause], alerts, NOW).notices,
        *decide([], [_alert(cause, 1, timedelta(0))], NOW).notices,
    ]
    assert len(notices) == 2
    for notice in notices:
        assert notice.title and cause.what in notice.body
        assert "!" not in notice.title + notice.body


# --- from the store to a person -------------------------------------------------------------------------------


async def test_alert__opened_repeated_closed(bureau: Office, receiver: LoopbackServer) -> None:
    """A failed post is told once, again after an hour, and once as over when a person schedules it anew."""
    key = await _failed(bureau)
    watch = _watch(bureau, receiver)
    await watch.look()
    title, text = _messages(receiver)[0]
    assert title == "A post was not published"
    assert f"{key} on site, since 2026-10-01 09:00 Asia/Shanghai: the text is too long for it" in text
    assert f"publisher schedule {key} now" in text
    for minutes in (1, 58):
        bureau.clock.forward(minutes=minutes)
        await watch.look()
    assert len(receiver.acted) == 1
    bureau.clock.forward(minutes=1)
    await watch.look()
    assert _titles(receiver)[1:] == ["Still: a post was not published"]
    bureau.desk.schedule(key, "now", OFFICER)
    await _work(bureau)
    await watch.look()
    await watch.look()
    assert _titles(receiver)[2:] == ["A failed post is settled"]
    assert _open(bureau) == []


async def test_alert__fifty_failures_are_one_message(bureau: Office, receiver: LoopbackServer) -> None:
    """Fifty posts that fail together are one message, and one when they are over."""
    key = bureau.approved()
    with bureau.store.write() as tx:
        seal = tx.seals.of(tx.announcements.get(key).revision_id)
        assert seal is not None
        variant_id, variant = tx.seals.variants(seal.id)[0]
        for number in range(50):
            tx.deliveries.plan(
                variant, variant_id, f"copy-{number}", canonical=False, due_at=bureau.clock(), not_after=None
            )
    bureau.service.refuse = [_raises(Rejected("the text is too long for it"))] * 50
    await _work(bureau)
    watch = _watch(bureau, receiver)
    await watch.look()
    assert _titles(receiver) == ["50 posts were not published"]
    assert len(_open(bureau)) == 50
    with bureau.store.write() as tx:
        for delivery in tx.deliveries.of(key):
            tx.deliveries.reschedule(delivery, NOW + timedelta(days=1), None, NOW, OFFICER)
    await watch.look()
    assert _titles(receiver)[1:] == ["50 failed posts are settled"]
    assert _open(bureau) == []


async def test_alert__uncertain_and_missed(bureau: Office, receiver: LoopbackServer) -> None:
    """A post that only a person can look for, and one whose hour passed, say what to do in the usual words."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    late = bureau.approved()
    bureau.desk.schedule(late, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    bureau.service.faults = [lambda: None, _raises(OutcomeUnknown("no answer"))]
    await _work(bureau)
    watch = _watch(bureau, receiver)
    await watch.look()
    bureau.clock.forward(days=3)
    await _work(bureau)
    await watch.look()
    assert _titles(receiver) == [
        "It is not known whether a post is out",
        "Still: it is not known whether a post is out",
        "A post missed its hour",
    ]
    assert f"publisher resolve {key}-r1-note-both --delivered URL" in _messages(receiver)[0][1]
    assert f"{late} on site" in _messages(receiver)[2][1]


async def test_alert__overdue_unless_explained(bureau: Office, receiver: LoopbackServer) -> None:
    """What is late by more than five minutes is told, but not under a halt, a pause, or a channel's own pace."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    watch = _watch(bureau, receiver)
    bureau.clock.forward(minutes=5)
    await watch.look()
    assert _titles(receiver) == []
    bureau.clock.forward(seconds=1)
    now = bureau.clock()
    with bureau.store.write() as tx:
        tx.channels.count_started({"site": _PACE}, tx.channels.hold(["site"]), now - timedelta(minutes=1))
    await watch.look()
    with bureau.store.write() as tx:
        tx.channels.halt(APPROVER, now)
        tx.channels.count_started({"site": 1}, tx.channels.hold(["site"]), now)
    await watch.look()
    assert _titles(receiver) == []
    with bureau.store.write() as tx:
        tx.channels.unhalt()
    await watch.look()
    assert _titles(receiver) == ["A post is overdue"]
    await _work(bureau)
    await watch.look()
    assert _titles(receiver)[1:] == ["A post is no longer overdue"]


async def test_alert__paused_channel(bureau: Office, receiver: LoopbackServer) -> None:
    """A channel that pauses is told, its waiting posts are not overdue, and that it works again is told."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.refuse = [_raises(SignInFailed("the password was refused"))]
    await _work(bureau)
    watch = _watch(bureau, receiver)
    await watch.look()
    title, text = _messages(receiver)[0]
    assert title == "A channel is paused"
    assert "site, since 2026-10-01 09:00 Asia/Shanghai: the password was refused" in text
    assert "publisher channels resume site" in text
    bureau.clock.forward(minutes=20)
    await watch.look()
    assert len(receiver.acted) == 1
    await _work(bureau)
    await watch.look()
    assert _titles(receiver)[1:] == ["A paused channel goes on"]


async def test_alert__silent_worker(bureau: Office, receiver: LoopbackServer) -> None:
    """The worker that goes on tells of one that fell silent; of one that ended cleanly there is nothing to tell."""
    crashed, ended, here = (_watch(bureau, receiver, f"office-{n}") for n in (1, 2, 3))
    for watch in (crashed, ended, here):
        await watch.alive()
    await ended.end()
    bureau.clock.forward(minutes=4)
    await here.alive()
    await here.look()
    assert _titles(receiver) == []
    bureau.clock.forward(minutes=1, seconds=1)
    await here.alive()
    await here.look()
    title, text = _messages(receiver)[0]
    assert title == "A worker has fallen silent"
    assert "office-1, last seen 2026-10-01 09:00 Asia/Shanghai" in text
    bureau.clock.forward(days=1, seconds=1)
    await here.alive()
    await here.look()
    assert _open(bureau) == []
    with bureau.store.read() as tx:
        assert list(tx.workers.all()) == ["office-3"]


async def test_alert__one_of_two_workers_tells(bureau: Office, receiver: LoopbackServer) -> None:
    """Of two live workers one tells; when it is gone, the other does."""
    await _failed(bureau)
    first, second = (_watch(bureau, receiver, name) for name in ("office-1", "office-2"))
    await first.alive()
    await second.alive()
    await second.look()
    assert _titles(receiver) == []
    await first.look()
    assert len(receiver.acted) == 1
    await first.end()
    bureau.clock.forward(hours=1)
    await second.alive()
    await second.look()
    assert len(receiver.acted) == 2


# --- every cause, from its beginning to its end ---------------------------------------------------------------


@dataclass(frozen=True)
class Trouble:
    """How a cause comes about and how it ends; ``title`` and ``over`` are what is told of it."""

    begin: Callable[[Office], Awaitable[str]]
    end: Callable[[Office, str], Awaitable[None]]
    title: str
    over: str
    says: str


async def _begin_uncertain(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.faults = [lambda: None, _raises(OutcomeUnknown("no answer"))]
    await _work(bureau)
    return key


async def _end_uncertain(bureau: Office, key: str) -> None:
    bureau.desk.resolve(f"{key}-r1-note-both", "https://toy.example/found", APPROVER)


async def _again(bureau: Office, key: str) -> None:
    bureau.desk.schedule(key, "now", OFFICER)
    await _work(bureau)


async def _begin_missed(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.clock.forward(hours=25)
    await _work(bureau)
    return key


async def _begin_overdue(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.clock.forward(minutes=5, seconds=1)
    return key


async def _end_overdue(bureau: Office, key: str) -> None:
    await _work(bureau)


async def _begin_paused(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.refuse = [_raises(SignInFailed("the password was refused"))]
    await _work(bureau)
    return key


async def _end_paused(bureau: Office, key: str) -> None:
    bureau.control.resume("site", OFFICER)
    await _work(bureau)


async def _begin_silent(bureau: Office) -> str:
    with bureau.store.write() as tx:
        tx.workers.seen("office-0", bureau.clock())
    bureau.clock.forward(minutes=5, seconds=1)
    return "office-0"


async def _end_silent(bureau: Office, owner: str) -> None:
    with bureau.store.write() as tx:
        tx.workers.end(owner)


TROUBLES = {
    Kind.UNCERTAIN: Trouble(
        _begin_uncertain,
        _end_uncertain,
        "It is not known whether a post is out",
        "An uncertain post is settled",
        "publisher resolve KEY-r1-note-both --not-delivered",
    ),
    Kind.FAILED: Trouble(
        _failed, _again, "A post was not published", "A failed post is settled", "publisher schedule KEY now"
    ),
    Kind.MISSED: Trouble(
        _begin_missed,
        _again,
        "A post missed its hour",
        "A missed post is settled",
        "publisher schedule KEY now",
    ),
    Kind.OVERDUE: Trouble(
        _begin_overdue,
        _end_overdue,
        "A post is overdue",
        "A post is no longer overdue",
        "KEY on site, since 2026-10-01 09:00 Asia/Shanghai",
    ),
    Kind.PAUSED: Trouble(
        _begin_paused,
        _end_paused,
        "A channel is paused",
        "A paused channel goes on",
        "publisher channels resume site",
    ),
    Kind.SILENT: Trouble(
        _begin_silent,
        _end_silent,
        "A worker has fallen silent",
        "A silent worker is heard again, or has ended cleanly",
        "KEY, last seen 2026-10-01 09:00 Asia/Shanghai",
    ),
}


@pytest.mark.parametrize("kind", TROUBLES)
async def test_alert__from_beginning_to_end(bureau: Office, receiver: LoopbackServer, kind: Kind) -> None:
    """One alert a cause: told once however often it is looked at, after an hour and six more, as over, and forgotten."""
    trouble = TROUBLES[kind]
    watch = _watch(bureau, receiver, "office-9")
    await watch.look()
    assert _titles(receiver) == []
    subject = await trouble.begin(bureau)
    told_after: list[int] = []
    for minute in [*range(10), *range(10, 500, 10)]:
        known = len(receiver.acted)
        await watch.look()
        told_after += [minute] * (len(receiver.acted) - known)
        bureau.clock.forward(minutes=1 if minute < 10 else 10)
    assert told_after == [0, 60, 60 + 6 * 60]
    still = f"Still: {trouble.title[0].lower()}{trouble.title[1:]}"
    assert _titles(receiver) == [trouble.title, still, still]
    assert trouble.says.replace("KEY", subject) in _messages(receiver)[0][1]
    await trouble.end(bureau, subject)
    for _ in range(3):
        await watch.look()
        bureau.clock.forward(minutes=1)
    assert _titles(receiver)[3:] == [trouble.over]
    assert _open(bureau) == []


async def test_alert__nothing_running_to_ask_or_to_look_into(
    bureau: Office, receiver: LoopbackServer
) -> None:
    """What was to be asked about, and what a worker that is gone was sending, is overdue like what was to be sent."""
    asked, sending = bureau.approved(), bureau.approved()
    bureau.desk.schedule(asked, "now", OFFICER)
    bureau.service.refuse = [_raises(OutcomeUnknown("cut"))]
    await _work(bureau)
    bureau.clock.forward(minutes=1)
    bureau.desk.schedule(sending, "now", OFFICER)
    with bureau.store.write() as tx:
        tx.deliveries.claim("once", bureau.clock(), timedelta(seconds=5), 1)
    bureau.clock.forward(minutes=5, seconds=4)
    watch = _watch(bureau, receiver)
    await watch.look()
    assert _titles(receiver) == []
    bureau.clock.forward(minutes=2)
    await watch.look()
    assert _titles(receiver) == ["2 posts are overdue"]
    text = _messages(receiver)[0][1]
    assert f"{asked} on site" in text and "its channel was to be asked" in text
    assert f"{sending} on site" in text and "the worker that was sending it is gone" in text
    assert "No worker is running; start one." in text


# --- from outside the worker ----------------------------------------------------------------------------------


def _tell(bureau: Office, receiver: LoopbackServer) -> list[str]:
    pace = dict.fromkeys(bureau.desk.channels, _PACE)
    told = watched.tell(bureau.store, _address(receiver), pace, "Asia/Shanghai", bureau.clock)
    return [notice.title for notice in told]


def test_tell__the_only_worker_is_dead(bureau: Office, receiver: LoopbackServer) -> None:
    """From outside it is told once that the worker is silent and a post overdue, again later, and once as over."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    with bureau.store.write() as tx:
        tx.workers.seen("office-1", bureau.clock())
    bureau.clock.forward(minutes=2)
    assert _tell(bureau, receiver) == []  # it may still be alive, and then it tells
    bureau.clock.forward(minutes=3, seconds=1)
    assert _tell(bureau, receiver) == ["A post is overdue", "A worker has fallen silent"]
    for _ in range(11):
        bureau.clock.forward(minutes=5)
        assert _tell(bureau, receiver) == []
    bureau.clock.forward(minutes=5)
    assert _tell(bureau, receiver) == ["Still: a post is overdue", "Still: a worker has fallen silent"]
    asyncio.run(_work(bureau))
    with bureau.store.write() as tx:
        tx.workers.end("office-1")
    over = ["A post is no longer overdue", "A silent worker is heard again, or has ended cleanly"]
    assert _tell(bureau, receiver) == over
    assert _tell(bureau, receiver) == []
    assert len(receiver.acted) == 6


def test_tell__not_where_a_live_worker_does(bureau: Office, receiver: LoopbackServer) -> None:
    """While a worker gives signs of life it tells; what it has told is not told again from outside once it is gone."""
    asyncio.run(_failed(bureau))
    watch = _watch(bureau, receiver)
    asyncio.run(watch.alive())
    assert _tell(bureau, receiver) == []
    asyncio.run(watch.look())
    asyncio.run(watch.end())
    assert _tell(bureau, receiver) == []
    assert _titles(receiver) == ["A post was not published"]


def test_tell__leaves_no_worker_behind(bureau: Office, receiver: LoopbackServer) -> None:
    """A look from outside is no sign of life of a worker."""
    asyncio.run(_failed(bureau))
    assert _tell(bureau, receiver) == ["A post was not published"]
    with bureau.store.read() as tx:
        assert list(tx.workers.all()) == []
    assert len(_open(bureau)) == 1


class _Slow:
    """A teller whose service takes its time."""

    def __init__(self) -> None:
        self.begun, self.answer, self.titles = asyncio.Event(), asyncio.Event(), list[str]()

    async def tell(self, title: str, body: str) -> bool:
        self.titles.append(title)
        self.begun.set()
        await self.answer.wait()
        return True


async def test_tell__two_at_once_tell_once(bureau: Office) -> None:
    """Two timers that go off at the same moment, on two machines, tell once."""
    await _failed(bureau)
    slow = _Slow()
    first, second = (_watch(bureau, None, f"alerts-{n}") for n in range(2))
    first._teller = second._teller = slow  # type: ignore[assignment]
    telling = asyncio.create_task(first.look())
    await slow.begun.wait()
    assert await asyncio.wait_for(second.look(), 5) == []
    slow.answer.set()
    assert len(await telling) == 1
    assert await second.look() == []
    assert slow.titles == ["A post was not published"]


def test_tell__one_that_died_over_it_is_not_waited_for_long(bureau: Office) -> None:
    """Only one tells at a time; one that died while telling is passed over after ten minutes."""
    turn, now = timedelta(minutes=10), bureau.clock()
    with bureau.store.write() as tx:
        assert tx.alerts.take_turn("a", now, turn)
        assert tx.alerts.take_turn("a", now, turn)
        assert not tx.alerts.take_turn("b", now + turn, turn)
        assert tx.alerts.all() == []
        tx.alerts.end_turn("b")
        assert not tx.alerts.take_turn("b", now + turn, turn)
        assert tx.alerts.take_turn("b", now + turn + timedelta(seconds=1), turn)
        tx.alerts.end_turn("b")
        assert tx.alerts.take_turn("a", now, turn)


def test_tell__nobody_to_tell(bureau: Office) -> None:
    """Without an address it is said that nobody can be told, rather than nothing done."""
    with pytest.raises(SettingsError, match="PUBLISHER_ALERTS is empty"):
        watched.tell(bureau.store, SecretStr(""), {}, "UTC", bureau.clock)


def test_command__alerts(tmp_path: Path, receiver: LoopbackServer) -> None:
    """The command shows what is wrong and ends with 1; with --tell it tells once, and prints only what it told."""
    path = _env(tmp_path, _address(receiver).get_secret_value())
    assert _alerts(tmp_path) == (0, "Nothing gives cause for an alert.\n")
    _overdue_in(path)
    code, text = _alerts(tmp_path)
    assert code == 1
    assert "A post is overdue\n" in text and "    To start one: publisher worker\n" in text
    assert receiver.acted == []
    assert _alerts(tmp_path, "--tell") == (1, "Told: A post is overdue.\n")
    assert _alerts(tmp_path, "--tell") == (1, "")
    code, text = _alerts(tmp_path, "--json")
    found = json.loads(text)
    assert (code, found["told"], [one["kind"] for one in found["alerts"]]) == (1, [], ["delivery.overdue"])
    assert found["alerts"][0]["to_do"]["commands"] == ["publisher worker", "publisher worker --once"]
    assert _titles(receiver) == ["A post is overdue"]
    assert PASSWORD not in text


def _alerts(folder: Path, *more: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "publisher", "alerts", *more], cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr and PASSWORD not in done.stderr
    return done.returncode, done.stdout


def _overdue_in(env: Path) -> None:
    """An announcement that was due ten minutes ago by the real clock, with no worker ever seen."""
    loaded = settings.load(env, {})
    store = Store.open(loaded.home)
    made = Desk(loaded, store, registry.build(loaded))
    key, _ = made.add(DOCUMENT.encode(), "corner.md", OFFICER)
    made.submit(key, OFFICER)
    made.approve(key, APPROVER)
    made.schedule(key, "now", OFFICER)
    with store.write() as tx:
        (delivery,) = tx.deliveries.of(key)
        now = clock.now()
        tx.deliveries.reschedule(delivery, now - timedelta(minutes=10), None, now, OFFICER)
    store.close()


def test_command__tell_without_an_address(tmp_path: Path) -> None:
    """--tell without PUBLISHER_ALERTS is one sentence and code 1."""
    _env(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "publisher", "alerts", "--tell"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (1, "", 1)
    assert "PUBLISHER_ALERTS is empty" in done.stderr


# --- when telling fails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Answer(Response(500)), Cut(At.READ), Cut(At.CONNECTED)], ids=str)
async def test_alert__untold_is_told_again(
    bureau: Office, receiver: LoopbackServer, fault: Answer | Cut
) -> None:
    """What the service did not take is told at the next minute, by another worker too, until it is taken."""
    await _failed(bureau)
    receiver.inject(fault)
    with structlog.testing.capture_logs() as logs:
        await _watch(bureau, receiver).look()
    assert [(line["event_name"], line["position"]) for line in logs] == [("alert.untold", 1)]
    assert receiver.acted == []
    bureau.clock.forward(minutes=1)
    watch = _watch(bureau, receiver)
    await watch.look()
    await watch.look()
    assert _titles(receiver) == ["A post was not published"]


async def test_alert__over_is_not_lost(bureau: Office, receiver: LoopbackServer) -> None:
    """That a thing is over is told again too, until it is taken."""
    key = await _failed(bureau)
    watch = _watch(bureau, receiver)
    await watch.look()
    bureau.desk.schedule(key, "now", OFFICER)
    await _work(bureau)
    receiver.inject(Answer(Response(503)))
    await watch.look()
    assert len(_open(bureau)) == 1
    await watch.look()
    assert _titles(receiver)[1:] == ["A failed post is settled"]


async def test_teller__bounded_in_time(receiver: LoopbackServer) -> None:
    """A service that never answers is left after the time it has; the next message does not pile up behind it."""
    receiver.inject(Stall(At.READ))
    teller = Teller(_address(receiver), seconds=0.2)
    begun = time.monotonic()
    with structlog.testing.capture_logs() as logs:
        assert not await teller.tell("A title", "A text")
        assert not await teller.tell("A title", "A text")
    assert time.monotonic() - begun < 1.0
    assert [line["reason"] for line in logs] == [
        "no answer within 0 seconds",
        "an earlier message is still under way",
    ]


async def test_teller__one_broken_address_of_two(receiver: LoopbackServer) -> None:
    """One address that fails is logged by its position; the other gets the message, once."""
    nowhere = "json://127.0.0.1:9/"
    teller = Teller(SecretStr(f"{nowhere}, {_address(receiver).get_secret_value()}"), seconds=5)
    with structlog.testing.capture_logs() as logs:
        assert await teller.tell("A title", "A text")
    assert [line["position"] for line in logs] == [1]
    assert len(receiver.acted) == 1


# --- secrets and settings -------------------------------------------------------------------------------------


async def test_alert__no_secret_is_shown(
    bureau: Office, receiver: LoopbackServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """The password in an address comes through in no log, even of libraries, nor in a repr, the store or a message."""
    await _failed(bureau)
    receiver.inject(Answer(Response(500)))
    stream = io.StringIO()
    configure_logging([], stream)
    try:
        watch = _watch(bureau, receiver)
        for library in ("apprise", "urllib3.connectionpool"):
            logging.getLogger(library).error("no answer from %s", PASSWORD)
        await watch.look()
        await watch.look()
    finally:
        structlog.reset_defaults()
        logging.basicConfig(force=True)
    shown = stream.getvalue() + repr(vars(watch)) + repr(_open(bureau)) + repr(_messages(receiver))
    assert "alert.untold" in shown
    assert PASSWORD not in shown + "".join(capfd.readouterr())
    assert PASSWORD in secrets(_address(receiver))


def test_setting__addresses() -> None:
    """Addresses stand apart by commas or line breaks; a comma within one stays where it is."""
    typed = "json://a.example/?to=x,y,json://b.example/ , mailto://u:p@c.example\njson://d.example/,"
    assert addresses(SecretStr(typed)) == [
        "json://a.example/?to=x,y",
        "json://b.example/",
        "mailto://u:p@c.example",
        "json://d.example/",
    ]


@pytest.mark.parametrize("wrong", [f"nonsense://u:{PASSWORD}@host", PASSWORD, "mailto://"])
def test_setting__wrong_address(bureau: Office, wrong: str) -> None:
    """An address that cannot be used is named by its position, not by its text, before the worker starts."""
    typed = SecretStr(f"json://127.0.0.1:9/, {wrong}")
    with pytest.raises(SettingsError, match="PUBLISHER_ALERTS: address 2 cannot be used") as caught:
        assemble(bureau.store, bureau.desk.channels, alerts=typed)
    assert PASSWORD not in str(caught.value)


def test_setting__never_printed(tmp_path: Path) -> None:
    """The setting does not show its value."""
    loaded = settings.load(
        None, {"PUBLISHER_ALERTS": f"json://u:{PASSWORD}@h", "PUBLISHER_ENV_FILE": str(_env(tmp_path))}
    )
    assert loaded.office.alerts.get_secret_value()
    assert PASSWORD not in repr(loaded)


def _env(folder: Path, alerts: str = "") -> Path:
    path = folder / ".env"
    path.write_text(
        "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=site\n"
        f"WEBSITE_URL=https://news.example.org\nPUBLISHER_ALERTS={alerts}\n"
    )
    path.chmod(0o600)
    return path


# --- the worker -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_worker__leaves_a_row_only_if_killed(tmp_path: Path, end: signal.Signals) -> None:
    """A worker is on the list while it runs; ended cleanly it leaves none, killed it leaves its row."""
    _env(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "publisher", "worker"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any("worker.started" in line for line in process.stderr)
        store = Store.open(tmp_path / "data")
        while not (rows := _rows(store)):
            time.sleep(0.02)
        assert f"-{process.pid}-" in rows[0]
        process.send_signal(end)
        process.communicate()
    assert bool(_rows(store)) == (end is signal.SIGKILL)
    store.close()


def _rows(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.workers.all())


def test_worker__wrong_address_in_one_sentence(tmp_path: Path) -> None:
    """The command ends before it publishes anything, with one sentence and code 1."""
    _env(tmp_path, f"json://127.0.0.1:9/,json://u:{PASSWORD}@:x/")
    done = subprocess.run(
        [sys.executable, "-m", "publisher", "worker", "--once"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "PUBLISHER_ALERTS: address 2" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout


async def test_worker__once_tells(bureau: Office, receiver: LoopbackServer) -> None:
    """``publisher worker --once`` tells too, where no other worker is there to do it."""
    key = bureau.approved()
    bureau.service.refuse = [_raises(Rejected("refused"))]
    bureau.desk.schedule(key, "now", OFFICER)
    made = assemble(bureau.store, bureau.desk.channels, now=bureau.clock, alerts=_address(receiver))
    await made.run_once()
    assert _titles(receiver) == ["A post was not published"]


def test_query__uses_its_index(store: Store) -> None:
    """None of the minute's queries reads the whole ledger."""
    asked: list[tuple[str, object]] = []
    event.listen(store._engine, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    with store.read() as tx:
        tx.alerts.stuck(NOW, ["a", "b"])
        tx.alerts.overdue(NOW - LATE, ["site"])
    queries = [one for one in asked if "FROM deliveries" in one[0]]
    assert len(queries) == 7
    with store._engine.begin() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if not sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for query, values in queries:
            explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
            plan = str(connection.exec_driver_sql(explain + query, values).all())
            assert (
                "ix_deliveries" in plan
                or "uq_deliveries_key" in plan
                or "sqlite_autoindex_deliveries" in plan
            )
            assert "Seq Scan" not in plan and "SCAN deliveries" not in plan
