"""What users of comparable systems suffered, tried on ours: on both databases, over a real store and a real engine."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from channels.doubles.mastodon import MastodonDouble
from channels.mastodon import MastodonAdapter, MastodonSettings
from publisher.channel import (
    AlreadyThere,
    ChannelSettings,
    Links,
    Outcome,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
    Unsupported,
    Variant,
)
from publisher.delivery import DELIVERED, Action, Delivery
from publisher.desk import Desk
from publisher.engine import deliverer
from publisher.errors import NotAllowedError, PublisherError, UsageError
from publisher.store import Store
from publisher.testing.exchange import Late
from publisher.worker import Worker, assemble
from tests.toy import APPROVER, DOCUMENT, OFFICER, Office, ToyNote, ToyPayload, ToySite, office


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the worker says is kept and not printed: drawing tracebacks takes longer than these tests."""
    with capture_logs():
        yield


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it."""
    return office(store, tmp_path / "home")


@pytest.fixture
def chance() -> random.Random:
    """A source of chance whose seed is printed; ``LESSON_SEED`` repeats it."""
    seed = int(os.environ.get("LESSON_SEED") or random.randrange(2**32))
    print(f"LESSON_SEED={seed}")
    return random.Random(seed)


def worker(bureau: Office, store: Store | None = None) -> Worker:
    """A worker that has just been started."""
    return assemble(store or bureau.store, bureau.desk.channels, now=bureau.clock)


async def work(bureau: Office) -> datetime | None:
    """One worker from start to end: all that is due, and all that becomes due by it; the next due moment."""
    return await worker(bureau).run_once()


async def work_on(bureau: Office, hours: float) -> None:
    """Workers that are started again and again for some hours."""
    for _ in range(max(2, int(hours * 4))):
        await work(bureau)
        bureau.clock.forward(minutes=15)


def raises(error: Exception) -> Callable[[], None]:
    """A fault of the service."""

    def fault() -> None:
        raise error

    return fault


def due(bureau: Office, document: str = DOCUMENT) -> str:
    """An approved announcement that is due now; its key."""
    key = bureau.approved(document)
    bureau.desk.schedule(key, "now", OFFICER)
    return key


def several(bureau: Office, count: int) -> list[str]:
    """So many announcements that are due now; their keys."""
    return [due(bureau, DOCUMENT.replace("图书角", f"图书角{n}")) for n in range(count)]


def revise(bureau: Office, key: str) -> None:
    """An approved newer revision, which says 点心 instead of 茶点."""
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="corner.md")
    bureau.approve(key)


def delivery(bureau: Office, key: str, channel: str) -> Delivery:
    """The newest delivery of an announcement on a channel."""
    return [d for d in bureau.desk.show(key).deliveries if d.channel == channel][-1]


def events(bureau: Office, key: str, name: str, channel: str = "") -> int:
    """How often ``name`` is in the log, of a channel's delivery where one is named."""
    mine = delivery(bureau, key, channel).id if channel else None
    return sum(e.name == name and mine in (None, e.delivery) for e in bureau.desk.log(key))


@contextmanager
def refusing(store: Store, event: str) -> Iterator[None]:
    """The database refuses every line of the log that is called ``event``, and what is written with it."""
    lite = store._engine.dialect.name == "sqlite"
    broken = "SELECT RAISE(ABORT, 'broken');" if lite else "RAISE EXCEPTION 'broken';"
    trigger = f"CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.name = '{event}')"
    if lite:
        made, gone = [f"{trigger} BEGIN {broken} END"], ["DROP TRIGGER broken"]
    else:
        function = f"CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {broken} END $$"
        made = [function, f"{trigger} EXECUTE FUNCTION broken()"]
        gone = ["DROP TRIGGER broken ON events", "DROP FUNCTION broken"]
    for statements in (made, gone):
        with store._engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        if statements is made:
            yield


def everything(store: Store) -> dict[str, list[Any]]:
    """All that the store has, by table."""
    with store._engine.connect() as connection:
        return {
            name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}"))))
            for name in ("announcements", "revisions", "seals", "deliveries", "events", "channels", "halts")
        }


# --- Duplicates and unknown outcomes --------------------------------------------------------------------


async def test_attempt__one_request_and_always_the_same_key(bureau: Office, chance: random.Random) -> None:
    """However an attempt ends, it made one request, and every attempt at a delivery names the same key."""
    key = due(bureau)
    asked = Counter[str]()
    bureau.service.seen = lambda name: asked.update([name])
    errors = [
        Unavailable("down"),
        Throttled("slow", timedelta(seconds=30)),
        SignInFailed("token"),
        OutcomeUnknown("cut"),
        KeyError("id"),
    ]
    chance.shuffle(errors)
    bureau.service.refuse = [raises(error) for error in errors]
    await work_on(bureau, 3)
    assert set(asked) == {f"{key}-r1-site-both", f"{key}-r1-note-both"}
    assert asked[f"{key}-r1-site-both"] == events(bureau, key, "attempt.started", "site") == 6
    assert Counter(k for k, _ in bureau.service.posts) == Counter(set(asked))


async def test_attempt__the_key_outlives_what_people_do(bureau: Office) -> None:
    """Cancelled, missed, settled by hand and scheduled again, a delivery keeps its key and its place in the ledger."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    first = delivery(bureau, key, "site")
    bureau.desk.schedule(key, "2026-10-02 12:00 Asia/Shanghai", OFFICER)
    bureau.desk.cancel(key, OFFICER)
    bureau.desk.schedule(key, "2026-10-02 13:00 Asia/Shanghai", OFFICER)
    bureau.clock.forward(days=4)
    await work(bureau)
    assert delivery(bureau, key, "site").state == "missed"
    bureau.service.refuse = [raises(Rejected("not this text"))]
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert delivery(bureau, key, "site").state == "failed"
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    last = delivery(bureau, key, "site")
    assert (last.id, last.key, last.state) == (first.id, first.key, "confirmed")
    assert [k for k, _ in bureau.service.posts] == [f"{key}-r1-site-both", f"{key}-r1-note-both"]


@pytest.mark.parametrize("event", ["delivery.released", "channel.resumed"])
async def test_acceptance__outlives_what_comes_after_it(
    bureau: Office, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails once a post is out, the ledger says that it is out, and it is not posted again."""
    monkeypatch.setattr(deliverer, "PAUSE", 0.0)  # between the tries of what comes after
    key = due(bureau)
    bureau.service.refuse = [raises(SignInFailed("the token was refused"))]
    await work(bureau)
    bureau.clock.forward(minutes=11)
    with refusing(bureau.store, event):
        await work(bureau)
        assert delivery(bureau, key, "site").state == "confirmed"
    await work_on(bureau, 1)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.posts) == 2


VERBS: dict[str, Callable[[Desk, str], object]] = {
    "schedule": lambda desk, key: desk.schedule(key, "now", OFFICER),
    "cancel": lambda desk, key: desk.cancel(key, OFFICER),
    "revise": lambda desk, key: desk.revise(
        key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="c.md"
    ),
    "correct": lambda desk, key: desk.correct(key, OFFICER, confirmed=True),
    "retract": lambda desk, key: desk.retract(key, OFFICER, confirmed=True),
    "approve": lambda desk, key: desk.approve(key, APPROVER),
    "submit": lambda desk, key: desk.submit(key, OFFICER),
    "reject": lambda desk, key: desk.reject(key, APPROVER, "no"),
}


async def test_doubt__no_verb_sends_again(bureau: Office) -> None:
    """While it is not known whether a post is out, nothing that a person asks for sends it again."""
    keys = several(bureau, len(VERBS))
    bureau.service.faults = [raises(OutcomeUnknown("blocked, it says; the post is there")) for _ in keys]
    bureau.service.hidden = True
    await work(bureau)
    for key, (verb, ask) in zip(keys, VERBS.items(), strict=True):
        assert delivery(bureau, key, "site").state == "uncertain"
        try:
            ask(bureau.desk, key)
        except PublisherError as error:
            assert key in str(error)
        assert delivery(bureau, key, "site").state == "uncertain", verb
    await work(bureau)
    bureau.service.hidden = False
    await work_on(bureau, 0.5)
    assert {delivery(bureau, key, "site").state for key in keys} == {"confirmed"}
    assert Counter(k for k, _ in bureau.service.posts if "-site-" in k) == Counter(
        f"{key}-r1-site-both" for key in keys
    )


class Slow(ToySite):
    """A website that takes its time to answer whether it has a post."""

    asked: asyncio.Event
    answers: asyncio.Event

    async def find(self, key: str, payload: ToyPayload) -> Receipt | None:
        found = await super().find(key, payload)
        self.asked.set()
        await self.answers.wait()
        return found


async def test_doubt__a_person_and_the_service_at_once(bureau: Office) -> None:
    """A service that is just saying that it has the post is believed: a person's "no" meanwhile sends no second one."""
    site = Slow("site", ChannelSettings(), bureau.home)
    site.service, site.asked, site.answers = bureau.service, asyncio.Event(), asyncio.Event()
    bureau.desk.channels["site"] = site  # type: ignore[index]
    key = due(bureau)
    bureau.service.faults = [raises(OutcomeUnknown("cut"))]
    working = asyncio.create_task(work(bureau))
    await site.asked.wait()
    try:
        await asyncio.to_thread(bureau.desk.resolve, f"{key}-r1-site-both", None, OFFICER)
    except NotAllowedError as error:
        assert key in str(error)
    site.answers.set()
    await working
    await work_on(bureau, 1)
    assert delivery(bureau, key, "site").state in DELIVERED
    assert len(bureau.service.texts("site")) == 1


async def test_lease__of_what_ended_in_an_error_of_ours_runs_out(
    bureau: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery whose task has died is looked into, however long its worker is busy with others."""
    monkeypatch.setattr(deliverer, "PAUSE", 0.0)  # between the tries that come before it dies
    lost, long = several(bureau, 2)
    still, ended = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        if f"{long}-r1-site-both" == bureau.service.posts[-1][0]:
            await still.wait()
        else:
            ended.set()

    bureau.service.hold = hold
    with refusing(bureau.store, "delivery.confirmed"):  # not even an answer can be written down
        one = worker(bureau)
        working = asyncio.create_task(one.run_once())
        await ended.wait()
        await until(lambda: held(bureau) == {f"{lost}-r1-site-both", f"{long}-r1-site-both"})
        await gone(f"{lost}-r1-site-both")
    before = lease_of(bureau, f"{long}-r1-site-both")
    bureau.clock.forward(seconds=4)  # the worker's heartbeat goes on, for the one that it still sends
    await until(lambda: lease_of(bureau, f"{long}-r1-site-both") > before)
    bureau.clock.forward(seconds=2)
    with bureau.store.write() as tx:
        expired = [d.key for d in tx.deliveries.expire(bureau.clock())]
    still.set()
    await working
    assert expired == [f"{lost}-r1-site-both"]


def held(bureau: Office) -> set[str]:
    """The keys of what is held under a lease."""
    query = text("SELECT key FROM deliveries WHERE lease_until IS NOT NULL")
    with bureau.store._engine.connect() as connection:
        return set(connection.scalars(query))


def lease_of(bureau: Office, key: str) -> str:
    """Until when a delivery is held, as the database writes it."""
    query = text("SELECT lease_until FROM deliveries WHERE key = :key")
    with bureau.store._engine.connect() as connection:
        return str(connection.execute(query, {"key": key}).scalar_one())


async def until(holds: Callable[[], bool]) -> None:
    """Returns once something holds that has no event of its own: what another thread has written."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


async def gone(name: str) -> None:
    """Returns once the task of this name has ended."""
    await until(lambda: all(task.get_name() != name for task in asyncio.all_tasks()))


@pytest.fixture
async def double(bureau: Office, tmp_path: Path) -> AsyncIterator[MastodonDouble]:
    """A Mastodon server that the office posts to, instead of its note; the office has little patience with it."""
    double = MastodonDouble(str(tmp_path / "double"))
    reach = {name.lower(): value for name, value in double.start().items()}
    adapter = MastodonAdapter("mastodon", MastodonSettings(**reach, timeout=0.5))  # type: ignore[arg-type]
    channels: Any = bureau.desk.channels
    del channels["note"]
    channels["mastodon"] = adapter
    yield double
    await adapter.close()
    double.stop()


async def test_time_out__a_late_act_is_found(bureau: Office, double: MastodonDouble) -> None:
    """A server that acts once we have given up, and after a first look, is found to have the post: there is one."""
    key = due(bureau)
    double.server.inject(Late(others=2), method="POST")
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "mastodon": "uncertain"}
    double.server.wait_until_acted(method="POST")
    bureau.clock.forward(minutes=4)
    await work(bureau)
    assert bureau.states(key)["mastodon"] == "confirmed"
    assert len(double.posts()) == 1
    keys = [r.headers["idempotency-key"] for r in double.server.requests if r.method == "POST"]
    assert keys == [f"{key}-r1-mastodon-both"]


async def test_attempt__the_key_on_the_wire(bureau: Office, double: MastodonDouble) -> None:
    """Every attempt brings the server the same key, also after it was said that nothing is there."""
    from publisher.testing.exchange import Answer, At, Cut, Response

    key = due(bureau)
    for fault in (Cut(At.READ), Answer(Response.json({}, 429)), Answer(Response.json({}, 401)), Cut(At.READ)):
        double.server.inject(fault, method="POST")
    await work_on(bureau, 3)
    keys = [r.headers["idempotency-key"] for r in double.server.requests if r.method == "POST"]
    assert keys == [f"{key}-r1-mastodon-both"] * 5
    assert len(double.posts()) == 1


@pytest.mark.parametrize("begun", [False, True], ids=["waiting", "out"])
async def test_verb__the_second_time_changes_nothing(bureau: Office, begun: bool) -> None:
    """A verb that is given twice, as by a double click, makes no second delivery and no second post."""
    for verb in ("correct", "retract") if begun else ("approve", "schedule", "cancel"):
        key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER, publish_at="now")
        bureau.desk.submit(key, OFFICER)
        if verb != "approve":
            bureau.desk.approve(key, APPROVER)
        if begun:
            await work(bureau)
            revise(bureau, key)
        VERBS[verb](bureau.desk, key)
        first = {(d.id, d.key, d.state, d.due_at) for d in bureau.desk.show(key).deliveries}
        try:
            VERBS[verb](bureau.desk, key)
        except PublisherError as error:
            assert key in str(error)
        assert {(d.id, d.key, d.state, d.due_at) for d in bureau.desk.show(key).deliveries} == first, verb
    await work_on(bureau, 0.5)
    assert max(Counter(k for k, _ in bureau.service.posts).values()) == 1


async def test_channels__a_failing_one_repeats_no_other(store: Store, tmp_path: Path) -> None:
    """A channel that fails again and again is tried alone: what is out elsewhere, or in the other language, stays one."""
    bureau = office(store, tmp_path / "home", layout="separate")
    key = due(bureau)
    failing = f"{key}-r1-note-en"

    def seen(name: str) -> None:
        if name == failing:
            bureau.service.refuse = [raises(Unavailable("down"))]

    bureau.service.seen = seen
    await work_on(bureau, 1)
    bureau.service.seen = lambda name: None
    await work_on(bureau, 3)
    posts = Counter(k for k, _ in bureau.service.posts)
    assert posts == Counter(f"{key}-r1-{place}" for place in ("site-zh", "site-en", "note-zh", "note-en"))


async def test_pauses__nobody_twice_and_nobody_never(bureau: Office, chance: random.Random) -> None:
    """However often everything is halted, paused and resumed, each post goes out, and none a second time."""
    certain = [Unavailable("down"), SignInFailed("token"), Throttled("slow", timedelta(seconds=20))]
    keys: list[str] = []
    for turn in range(9):
        keys.append(due(bureau))
        bureau.service.refuse = [raises(certain[turn % 3]), raises(chance.choice(certain))]
        if chance.random() < 0.3:
            bureau.control.halt(OFFICER)
        else:
            bureau.control.unhalt(OFFICER)
            bureau.control.resume(chance.choice(["site", "note"]), OFFICER)
        await work(bureau)
        bureau.clock.forward(minutes=chance.choice([0.2, 2, 12]))
    bureau.control.unhalt(OFFICER)
    bureau.service.refuse = []
    await work_on(bureau, 2)
    posts = Counter(k for k, _ in bureau.service.posts)
    assert posts == Counter(f"{key}-r1-{channel}-both" for key in keys for channel in ("site", "note"))


def test_ledger__has_no_second_place_for_a_key(bureau: Office) -> None:
    """The database itself refuses a second delivery of the same key, whoever asks for it."""
    due(bureau)
    copied = "key, announcement, revision, variant_id, channel, scope, canonical, state"
    statement = f"INSERT INTO deliveries ({copied}) SELECT {copied} FROM deliveries"
    with pytest.raises(DBAPIError, match=r"(?i)unique"), bureau.store._engine.begin() as connection:
        connection.exec_driver_sql(statement)


class Dozing(ToySite):
    """A website whose process falls asleep between the claim and the sending."""

    asleep: Callable[[], None]

    def prepare(self, variant: Variant) -> ToyPayload:
        asleep, self.asleep = self.asleep, lambda: None
        asleep()
        return super().prepare(variant)


async def test_claim__given_away_meanwhile_sends_nothing(bureau: Office) -> None:
    """A worker that wakes up with a claim that another has taken over, and finished, sends nothing any more."""
    site = Dozing("site", ChannelSettings(), bureau.home)
    site.service, site.asleep = bureau.service, lambda: None
    bureau.desk.channels["site"] = site  # type: ignore[index]
    key = due(bureau)

    def the_other_works() -> None:
        for seconds in (6, 180, 180):
            bureau.clock.forward(seconds=seconds)
            pool.submit(lambda: asyncio.run(worker(bureau).run_once())).result(20)

    site.asleep = the_other_works
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


async def test_timer__may_fire_any_number_of_times(bureau: Office) -> None:
    """A timer that fires several times at once, or late, or for nothing, starts each delivery once."""
    keys = several(bureau, 3)
    one = worker(bureau)
    for _ in range(3):
        await asyncio.gather(*(one._wake() for _ in range(5)))
        await asyncio.gather(*(one._engine.enqueue_due() for _ in range(5)))
    await one.run_once()
    posts = Counter(k for k, _ in bureau.service.posts)
    assert posts == Counter(f"{key}-r1-{channel}-both" for key in keys for channel in ("site", "note"))
    assert all(events(bureau, key, "attempt.started") == 2 for key in keys)


async def test_duplicate__is_evidence_of_success(bureau: Office) -> None:
    """A service that says that it has this post already has it: it is out, its address is used, nothing is retried."""
    key = due(bureau)
    there = Receipt(Outcome.CONFIRMED, "17", Links(both="https://toy.example/17"))
    bureau.service.refuse = [raises(AlreadyThere(there))]
    await work_on(bureau, 1)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert "https://toy.example/17" in bureau.service.texts("note")[0]
    assert events(bureau, key, "attempt.started", "site") == 1
    assert bureau.service.texts("site") == []


# --- Lost, stuck, silent ----------------------------------------------------------------------------------


async def test_reason__is_always_there(bureau: Office) -> None:
    """Whatever a delivery waits for or ended in, why is in the ledger and in the log, with the service's own words."""
    for error in (
        Rejected("the title is too long"),
        Unsupported("no pictures here"),
        Throttled("too many posts", timedelta(minutes=3)),
        Unavailable("nobody listens"),
        OutcomeUnknown("cut after the request"),
        ValueError("a slip"),
        SignInFailed("the token was refused"),
    ):
        key = due(bureau)
        bureau.service.refuse = [raises(error)]
        await work(bureau)
        found = delivery(bureau, key, "site")
        assert ("ValueError" if isinstance(error, ValueError) else str(error)) in found.reason
        moved = [e for e in bureau.desk.log(key) if e.delivery == found.id and e.detail.get("state")]
        assert moved[-1].detail["reason"] == found.reason
        assert moved[-1].detail["state"] == found.state


async def test_schedule__judges_the_new_hour(bureau: Office) -> None:
    """A new hour is judged by itself: good where the old one has passed, refused where the old one is still to come."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    with pytest.raises(UsageError, match="has passed"):
        bureau.desk.schedule(key, "2026-09-30 12:00 Asia/Shanghai", OFFICER)
    assert delivery(bureau, key, "site").due_at == datetime.fromisoformat("2026-10-01T04:00Z")
    bureau.clock.forward(days=3)
    await work(bureau)
    bureau.desk.schedule(key, "2026-10-08 12:00 Asia/Shanghai", OFFICER)
    found = delivery(bureau, key, "site")
    assert (found.state, found.due_at) == ("waiting", datetime.fromisoformat("2026-10-08T04:00Z"))
    bureau.clock.forward(days=5)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_schedule__cut_off_leaves_the_old_hour(bureau: Office) -> None:
    """Setting another hour is one step: where it cannot be finished, the old hour holds and nothing is lost."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    before = everything(bureau.store)
    with refusing(bureau.store, "announcement.scheduled"), pytest.raises(DBAPIError):
        bureau.desk.schedule(key, "2026-10-05 12:00 Asia/Shanghai", OFFICER)
    assert everything(bureau.store) == before
    bureau.clock.forward(hours=4)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_refused__is_not_armed_again(bureau: Office) -> None:
    """What a service has refused for good is not tried again, however often workers start and time passes."""
    key = due(bureau)
    asked: list[str] = []
    bureau.service.seen = asked.append
    bureau.service.refuse = [raises(Rejected("never")) for _ in range(99)]
    await work_on(bureau, 3)
    assert asked == [f"{key}-r1-site-both"]
    assert bureau.states(key) == {"site": "failed", "note": "waiting"}


async def test_nothing_due__is_no_news(bureau: Office) -> None:
    """A worker that finds nothing to do writes nothing, fails at nothing and comes back for nothing."""
    key = due(bureau)
    await work(bureau)
    before = everything(bureau.store)
    for _ in range(3):
        assert await work(bureau) is None
        bureau.clock.forward(hours=1)
    assert everything(bureau.store) == before
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_done__is_when_all_are_out(store: Store, tmp_path: Path) -> None:
    """A worker that finds no more to start does not call it done while anything waits: it says when it goes on."""
    bureau = office(store, tmp_path / "home", per_minute=2)
    keys = several(bureau, 5)
    ended, turns = await work(bureau), 1
    while ended is not None:
        assert any(state != "confirmed" for key in keys for state in bureau.states(key).values())
        bureau.clock.forward(seconds=61)
        ended, turns = await work(bureau), turns + 1
    assert turns >= 3
    assert all(state == "confirmed" for key in keys for state in bureau.states(key).values())
    assert len(bureau.service.posts) == 10


STAGES = ("draft", "submitted", "scheduled", "out", "cancelled", "retracted")


async def test_verb__refused_changes_nothing(store: Store, tmp_path: Path) -> None:
    """A verb that is refused, whatever has happened before, has changed nothing at all, not even the log."""
    bureau = office(store, tmp_path / "home", per_minute=1000)
    refused = 0
    for stage in STAGES:
        key = await _at(bureau, stage)
        for verb, ask in VERBS.items():
            before = everything(bureau.store)
            try:
                ask(bureau.desk, key)
            except PublisherError as error:
                refused += 1
                assert len(str(error)) > 20
                assert everything(bureau.store) == before, f"{verb} of what is {stage}"
            else:
                key = await _at(bureau, stage)
    assert refused > len(STAGES) * len(VERBS) / 2


async def _at(bureau: Office, stage: str) -> str:
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    if stage == "draft":
        return key
    bureau.desk.submit(key, OFFICER)
    if stage == "submitted":
        return key
    bureau.desk.approve(key, APPROVER)
    bureau.desk.schedule(key, "now", OFFICER)
    if stage == "cancelled":
        bureau.desk.cancel(key, OFFICER)
    if stage in ("out", "retracted"):
        await work(bureau)
    if stage == "retracted":
        bureau.desk.retract(key, OFFICER, confirmed=True)
        await work(bureau)
    return key


class Narrow(ToySite):
    """A website whose limit has become narrower since the approval."""

    error: Exception

    def prepare(self, variant: Variant) -> ToyPayload:
        raise self.error


@pytest.mark.parametrize(
    ("error", "state"),
    [(Unsupported("may have 100 characters"), "failed"), (KeyError("title"), "parked")],
    ids=["limit", "slip"],
)
async def test_limit__checked_too_late_is_no_sending(bureau: Office, error: Exception, state: str) -> None:
    """What proves impossible when its hour has come is not left as being sent, and nothing of it is out."""
    key = due(bureau)
    site = Narrow("site", ChannelSettings(), bureau.home)
    site.service, site.error = bureau.service, error
    kept = bureau.desk.channels["site"]
    bureau.desk.channels["site"] = site  # type: ignore[index]
    await work_on(bureau, 1)
    found = delivery(bureau, key, "site")
    assert (found.state, bureau.states(key)["note"]) == (state, "waiting")
    assert found.reason
    assert bureau.service.posts == []
    bureau.desk.channels["site"] = kept  # type: ignore[index]
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_targets__are_those_that_were_approved(bureau: Office) -> None:
    """A channel that is set up after the approval is neither shown nor served; one that is gone is said, not skipped."""
    key = bureau.approved()
    channels: Any = bureau.desk.channels
    channels["later"] = ToyNote("later", ChannelSettings(), bureau.home)
    channels["later"].service = bureau.service
    note = channels.pop("note")
    assert [p.variant.channel for p in bureau.desk.preview(key)] == ["site", "note"]
    bureau.desk.schedule(key, "now", OFFICER)
    await work_on(bureau, 1)
    assert bureau.states(key) == {"site": "confirmed", "note": "parked"}
    assert "not configured" in delivery(bureau, key, "note").reason
    assert [k for k, _ in bureau.service.posts] == [f"{key}-r1-site-both"]
    channels["note"] = note
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


# --- The database and the network ---------------------------------------------------------------------------


class Watched(ToySite):
    """A website that looks, in every call, at what the rest of the program is doing."""

    look: Callable[[str], None]

    async def publish(self, payload: ToyPayload, key: str) -> Receipt:
        self.look("publish")
        return await super().publish(payload, key)

    async def find(self, key: str, payload: ToyPayload) -> Receipt | None:
        self.look("find")
        return await super().find(key, payload)

    async def update(self, receipt: Receipt, payload: ToyPayload) -> Receipt:
        self.look("update")
        return await super().update(receipt, payload)

    async def retract(self, receipt: Receipt) -> Receipt:
        self.look("retract")
        return await super().retract(receipt)


async def test_network__no_connection_is_held_meanwhile(bureau: Office, database_url: str) -> None:
    """While a service is spoken to, no connection is in use, and anybody may write, to the same delivery too."""
    other = Store.open(bureau.home, database_url)
    seen: list[str] = []

    def look(step: str) -> None:
        assert bureau.store._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        locked = "FOR UPDATE NOWAIT" if database_url else ""
        with other._engine.begin() as connection:
            if not database_url:
                connection.exec_driver_sql("PRAGMA busy_timeout = 0")
            rows = connection.exec_driver_sql(f"SELECT id FROM deliveries {locked}").all()
            connection.execute(text("UPDATE deliveries SET reason = reason"))
        assert rows
        seen.append(step)

    site = Watched("site", ChannelSettings(), bureau.home)
    site.service, site.look = bureau.service, look
    bureau.desk.channels["site"] = site  # type: ignore[index]
    try:
        key = due(bureau)
        bureau.service.faults = [raises(OutcomeUnknown("cut"))]
        await work(bureau)
        revise(bureau, key)
        bureau.desk.correct(key, OFFICER, confirmed=True)
        await work(bureau)
        bureau.desk.retract(key, OFFICER, confirmed=True)
        await work(bureau)
    finally:
        other.close()
    assert seen == ["publish", "find", "update", "retract"]
    assert [d.state for d in bureau.desk.show(key).deliveries if d.action is Action.RETRACT] == ["confirmed"]
