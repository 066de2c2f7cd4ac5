"""Deliveries through the engine and the store, on both databases: once, and not lost; signed is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from publisher.announcement import NO_TEXT
from publisher.channel import OutcomeUnknown, Rejected, SignInFailed, Throttled, Unavailable
from publisher.delivery import Move, State
from publisher.engine.embedded import EmbeddedEngine
from publisher.errors import NotAllowedError, PublisherError
from publisher.store import Store, Transaction
from tests.toy import APPROVER, DOCUMENT, OFFICER, Clock, Office, office, work


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it."""
    return office(store, tmp_path / "home")


def _raises(error: Exception) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


async def test_delivery__canonical_first(bureau: Office) -> None:
    """The website goes first; the other channel waits for its address and carries it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert [k for k, _ in bureau.service.posts] == [f"{key}-r1-site-both", f"{key}-r1-note-both"]
    assert f"https://toy.example/{key}-r1-site-both" in bureau.service.texts("note")[0]


async def test_delivery__not_before_its_hour(bureau: Office) -> None:
    """Nothing goes out before the hour, and everything at it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    await work(bureau)
    assert bureau.service.posts == []
    bureau.clock.forward(hours=3)
    await work(bureau)
    assert len(bureau.service.posts) == 2


async def test_seal__signed_is_sent(bureau: Office) -> None:
    """Templates, settings and text change after approval; what goes out is what was signed, with the link."""
    key = bureau.approved()
    signed = {p.variant.channel: p.variant.text("text") for p in bureau.desk.preview(key)}
    for name in ("toy/post.txt", "toy/note.txt"):
        (bureau.home / "templates" / name).write_text("changed after signing {{ link[scope] }}")
    (bureau.home / "config").mkdir()
    (bureau.home / "config" / "house.toml").write_text('[office]\nname = {zh = "别的", en = "Other"}\n')
    bureau.desk.canonical = "note"
    bureau.desk.schedule(key, "now", OFFICER)
    with bureau.store.write() as tx:  # a text that is changed behind the desk's back
        filed = tx.announcements.get(key)
        other = filed.revision.from_json(filed.revision.to_json().replace("图书角", "棋牌室"))
        tx.announcements.add_revision(key, 2, other, "x", "Mallory", bureau.clock())
    await work(bureau)
    assert bureau.service.texts("site") == [signed["site"]]
    link = f"https://toy.example/{key}-r1-site-both"
    assert bureau.service.texts("note") == [
        signed["note"].replace("https://link.publisher.invalid/both", link)
    ]


async def test_seal__a_change_needs_a_new_approval(bureau: Office) -> None:
    """A revision after approval takes the schedule away; only its own approval brings it back."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="corner.md")
    bureau.clock.forward(hours=3)
    await work(bureau)
    assert bureau.service.posts == []
    assert set(bureau.states(key).values()) == {"superseded"}
    with pytest.raises(NotAllowedError, match="must be approved"):
        bureau.desk.schedule(key, "now", OFFICER)


async def test_seal__tampered_bytes_are_not_sent(bureau: Office) -> None:
    """Bytes changed in the store itself, below the program, are noticed and not sent."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    with bureau.store._engine.begin() as connection:
        drop = "DROP TRIGGER parts_no_update" if connection.dialect.name == "sqlite" else None
        connection.exec_driver_sql(drop or "ALTER TABLE parts DISABLE TRIGGER parts_written_once")
        blob = "CAST('forged' AS BLOB)" if connection.dialect.name == "sqlite" else "'forged'::bytea"
        connection.exec_driver_sql(f"UPDATE parts SET data = {blob} WHERE name = 'text'")
    await work(bureau)
    assert bureau.service.posts == []
    assert bureau.states(key)["site"] == "failed"


async def test_intention__committed_before_the_first_byte(bureau: Office) -> None:
    """When the service is reached, the store already says that we are sending."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    found: list[str] = []

    def look(delivery_key: str) -> None:
        with bureau.store.read() as tx:
            found.append(tx.deliveries.find(delivery_key).state)
            assert any(e.name == "attempt.started" for e in tx.log.of(key))

    bureau.service.seen = look
    await work(bureau)
    assert found == ["sending", "sending"]


async def test_uncertain__found_is_not_sent_again(bureau: Office) -> None:
    """The service acted and the answer was lost: it is asked, and nothing is posted twice."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.faults = [_raises(OutcomeUnknown("the connection was cut"))]
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


async def test_uncertain__not_there_is_believed_only_after_it_settled(bureau: Office) -> None:
    """Not found at once is no proof; not found after the service has settled is, and then it is sent again."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.refuse = [_raises(OutcomeUnknown("the connection was cut"))]
    await work(bureau)
    assert bureau.states(key)["site"] == "uncertain"
    bureau.clock.forward(minutes=1)
    await work(bureau)
    assert bureau.service.posts == []
    bureau.clock.forward(minutes=2)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


async def test_uncertain__late_to_appear(bureau: Office) -> None:
    """A post that becomes visible only after a while is found by the second look and not repeated."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.faults = [_raises(OutcomeUnknown("timed out"))]
    bureau.service.hidden = True
    await work(bureau)
    bureau.service.hidden = False
    bureau.clock.forward(minutes=3)
    await work(bureau)
    assert bureau.states(key)["site"] == "confirmed"
    assert len(bureau.service.texts("site")) == 1


async def test_uncertain__cannot_be_asked_waits_for_a_person(bureau: Office) -> None:
    """Where the service cannot be asked, nothing is repeated, however long it takes, until a person settles it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await _work_until_note_is_lost(bureau)
    for _ in range(3):
        bureau.clock.forward(hours=5)
        await work(bureau)
    assert len(bureau.service.texts("note")) == 1
    assert bureau.states(key)["note"] == "uncertain"
    bureau.desk.resolve(f"{key}-r1-note-both", "https://toy.example/found", APPROVER)
    assert bureau.states(key)["note"] == "accepted"


async def _work_until_note_is_lost(bureau: Office) -> None:
    def lose_the_note(key: str) -> None:
        if "-note-" in key:
            bureau.service.faults = [_raises(OutcomeUnknown("timed out"))]

    bureau.service.seen = lose_the_note
    await work(bureau)
    bureau.service.seen = lambda key: None


async def test_uncertain__a_person_says_it_is_not_there(bureau: Office) -> None:
    """Settled as not delivered, it is sent again, with the same key."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await _work_until_note_is_lost(bureau)
    bureau.service.posts = [post for post in bureau.service.posts if "-note-" not in post[0]]
    bureau.desk.resolve(f"{key}-r1-note-both", None, APPROVER)
    await work(bureau)
    assert bureau.states(key)["note"] == "confirmed"
    assert [k for k, _ in bureau.service.posts if "-note-" in k] == [f"{key}-r1-note-both"]


async def test_crash__while_sending_is_looked_into(bureau: Office) -> None:
    """A worker that vanished after the service acted leaves an expired lease; the next one asks, and finds it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    _claim(bureau, "worker-dead")
    bureau.service.posts.append((f"{key}-r1-site-both", "text"))
    bureau.clock.forward(seconds=6)
    await work(bureau, "worker-2")
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


async def test_crash__before_sending_is_not_lost(bureau: Office) -> None:
    """A worker that vanished before the service acted: after the settling time it is sent, once."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    _claim(bureau, "worker-dead")
    bureau.clock.forward(seconds=6)
    await work(bureau, "worker-2")
    assert bureau.states(key)["site"] == "uncertain"
    bureau.clock.forward(minutes=3)
    await work(bureau, "worker-2")
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


def _claim(bureau: Office, owner: str):
    with bureau.store.write() as tx:
        return tx.deliveries.claim(owner, bureau.clock(), timedelta(seconds=5), 10)


async def test_crash__between_receipt_and_release(bureau: Office) -> None:
    """The website's receipt was written and the worker died at once: the next one frees the others."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    (site,) = _claim(bureau, "worker-dead")
    receipt = await bureau.desk.channels["site"].publish(
        bureau.desk.channels["site"].prepare(bureau.desk.preview(key, "site")[0].variant), site.key
    )
    with bureau.store.write() as tx:
        tx.deliveries.apply(
            site, Move(State.CONFIRMED, "delivery.confirmed", receipt=receipt), bureau.clock()
        )
    await work(bureau, "worker-2")
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_fence__a_late_result_changes_nothing(bureau: Office) -> None:
    """A worker that slept past its lease may not write over what happened meanwhile; its result is logged."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    (stale,) = _claim(bureau, "worker-asleep")
    bureau.service.posts.append((f"{key}-r1-site-both", "text"))
    bureau.clock.forward(seconds=6)
    await work(bureau, "worker-2")
    with bureau.store.write() as tx:
        assert not tx.deliveries.apply(stale, Move(State.FAILED, "delivery.failed", "late"), bureau.clock())
    assert bureau.states(key)["site"] == "confirmed"
    with bureau.store.read() as tx:
        assert any(e.name == "delivery.late_result" for e in tx.log.of(key))


async def test_claim__two_workers_send_once(bureau: Office) -> None:
    """Two workers on one store, at the same moment: each delivery is claimed by one of them."""
    keys = [bureau.approved(DOCUMENT.replace("图书角", f"图书角{n}")) for n in range(5)]
    for key in keys:
        bureau.desk.schedule(key, "now", OFFICER)
    await asyncio.gather(*(work(bureau, f"worker-{n}") for n in range(3)))
    await work(bureau)
    posted = [key for key, _ in bureau.service.posts]
    assert sorted(posted) == sorted(set(posted))
    assert len(posted) == 10


async def test_claim__what_is_being_asked_about_is_left_alone(bureau: Office) -> None:
    """While one worker asks about an uncertain post, no other claims it; once its lease is over, another does."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.faults = [_raises(OutcomeUnknown("cut"))]
    bureau.service.hidden = True
    await work(bureau)
    bureau.clock.forward(minutes=3)
    assert [d.state for d in _claim(bureau, "worker-1")] == ["uncertain"]
    assert _claim(bureau, "worker-2") == []
    bureau.clock.forward(seconds=6)
    assert [d.state for d in _claim(bureau, "worker-2")] == ["uncertain"]


async def test_heartbeat__holds_what_takes_long(store: Store, tmp_path: Path) -> None:
    """A delivery that takes longer than its lease is still held by the worker that sends it."""
    bureau = office(store, tmp_path / "home")
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    extended = asyncio.Event()
    engine = EmbeddedEngine(
        store, bureau.desk.channels, "worker-1", now=bureau.clock, lease=timedelta(seconds=0.3)
    )
    plain = engine._extend

    def noticed(tx: Transaction) -> None:
        plain(tx)
        loop.call_soon_threadsafe(extended.set)

    loop = asyncio.get_running_loop()
    engine._extend = noticed  # type: ignore[method-assign]
    bureau.service.hold = extended.wait
    assert await engine.enqueue_due() == 1
    await extended.wait()
    with store.read() as tx:
        assert tx.deliveries.expire(bureau.clock()) == []
    await engine.stop()
    assert bureau.states(key)["site"] == "confirmed"


async def test_canonical__failed_holds_the_rest(bureau: Office) -> None:
    """If the website refuses, nothing goes out with a dead link; mended, a person schedules it again."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.refuse = [_raises(Rejected("the title is too long"))]
    await work(bureau)
    assert bureau.states(key) == {"site": "failed", "note": "waiting"}
    assert bureau.service.posts == []
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


@pytest.mark.parametrize(
    "error", [Unavailable("down"), Throttled("slow", timedelta(seconds=60)), SignInFailed("token refused")]
)
async def test_retry__certain_failures_are_tried_again(bureau: Office, error: Exception) -> None:
    """What certainly did not happen is tried again later and succeeds, once."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.refuse = [_raises(error)]
    await work(bureau)
    assert bureau.states(key)["site"] == "waiting"
    bureau.clock.forward(minutes=30)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.posts) == 2


async def test_slip__in_an_adapter_is_uncertain(bureau: Office) -> None:
    """A programming slip after the post was made is not taken for a failure: the service is asked."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.faults = [_raises(KeyError("id"))]
    await work(bureau)
    assert bureau.states(key)["site"] == "confirmed"
    assert len(bureau.service.texts("site")) == 1


async def test_missed__after_its_grace(bureau: Office) -> None:
    """What could not go out within its grace is missed, not posted; a person may still decide to send it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.clock.forward(hours=25)
    await work(bureau)
    assert bureau.states(key)["site"] == "missed"
    assert bureau.service.posts == []
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_missed__an_invitation_not_after_its_event(bureau: Office) -> None:
    """However long the grace, an invitation does not appear after the event has ended."""
    event = "event: {start: 2026-10-01T10:00, end: 2026-10-01T11:00, timezone: Asia/Shanghai}\n---\n阅览"
    key = bureau.approved(DOCUMENT.replace("---\n阅览", event))
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.clock.forward(hours=3)
    await work(bureau)
    assert bureau.states(key)["site"] == "missed"


async def test_schedule__out_is_out(bureau: Office) -> None:
    """What is published cannot be scheduled, cancelled or revised into a second post."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    with pytest.raises(NotAllowedError, match="already out"):
        bureau.desk.schedule(key, "now", OFFICER)
    with pytest.raises(NotAllowedError, match="can be stopped"):
        bureau.desk.cancel(key, OFFICER)
    _revised(bureau, key)
    with pytest.raises(NotAllowedError, match="publisher correct"):
        bureau.desk.schedule(key, "now", OFFICER)


def _revised(bureau: Office, key: str) -> None:
    """An approved newer revision, which says 点心 instead of 茶点."""
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="c.md")
    bureau.desk.submit(key, OFFICER)
    bureau.desk.approve(key, APPROVER)


async def test_correct__in_place_where_it_can(bureau: Office) -> None:
    """A correction changes the website's post in place; the channel that cannot is named, and gets nothing new."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    _revised(bureau, key)
    told = {s.channel: (s.action, s.told) for s in bureau.desk.correct(key, OFFICER, confirmed=False)}
    assert told["site"] == ("update", "changed in place")
    assert told["note"] == (None, "cannot be changed; what went out stays as it is")
    await work(bureau)
    assert "茶点" in bureau.service.texts("site")[0]  # shown, not done
    bureau.desk.correct(key, OFFICER, confirmed=True)
    await work(bureau)
    assert [k for k, _ in bureau.service.posts] == [f"{key}-r1-site-both", f"{key}-r1-note-both"]
    assert "点心" in bureau.service.texts("site")[0]
    assert "has this revision already" in {s.told for s in bureau.desk.correct(key, OFFICER, confirmed=False)}


async def test_correct__crash_is_repeated(bureau: Office) -> None:
    """A worker that died while correcting: the correction is done again, and there is still one post."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    _revised(bureau, key)
    bureau.desk.correct(key, OFFICER, confirmed=True)
    _claim(bureau, "worker-dead")
    bureau.clock.forward(seconds=6)
    await work(bureau, "worker-2")
    assert "点心" in bureau.service.texts("site")[0]
    assert len(bureau.service.texts("site")) == 1


async def test_correct__only_what_is_approved_and_out(bureau: Office) -> None:
    """Nothing is corrected before it is out, or without approval."""
    key = bureau.approved()
    with pytest.raises(NotAllowedError, match="out yet"):
        bureau.desk.correct(key, OFFICER, confirmed=True)
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="c.md")
    with pytest.raises(NotAllowedError, match="must be approved"):
        bureau.desk.correct(key, OFFICER, confirmed=True)


async def test_retract__takes_back_what_it_can(bureau: Office) -> None:
    """A retraction takes the website's post back once and says that the other stays; it may be published anew."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    told = {s.channel: s.told for s in bureau.desk.retract(key, OFFICER, confirmed=True)}
    assert told == {"site": "taken back", "note": "cannot be taken back; what went out stays"}
    bureau.service.faults = [_raises(OutcomeUnknown("cut"))]
    await work(bureau)
    bureau.clock.forward(minutes=5)
    await work(bureau)
    assert bureau.service.texts("site") == []
    assert bureau.desk.show(key).filed.state == "retracted"
    assert [s.channel for s in bureau.desk.retract(key, OFFICER, confirmed=False)] == ["note"]


async def test_pause__sign_in_refused(bureau: Office) -> None:
    """A refused sign-in pauses the whole channel: its deliveries wait, are tried slowly, and resume by themselves."""
    keys = [bureau.approved(DOCUMENT.replace("图书角", f"图书角{n}")) for n in range(3)]
    for key in keys:
        bureau.desk.schedule(key, "now", OFFICER)
    engine = EmbeddedEngine(bureau.store, bureau.desk.channels, "worker-1", now=bureau.clock, slots=1)
    refused = [_raises(SignInFailed("the token was refused")) for _ in range(9)]
    bureau.service.refuse = list(refused)
    for _ in range(4):
        await engine.enqueue_due()
        await engine.drain()
    assert len(refused) - len(bureau.service.refuse) == 1  # one try, then the pause
    health = bureau.control.health()["site"]
    assert health.paused_at is not None
    assert "token" in health.reason
    bureau.clock.forward(minutes=11)
    for _ in range(4):
        await engine.enqueue_due()
        await engine.drain()
    assert len(refused) - len(bureau.service.refuse) == 2  # one slow try, no more
    bureau.service.refuse = []
    await engine.stop()
    bureau.clock.forward(minutes=11)
    await work(bureau)
    await work(bureau)
    assert bureau.control.health()["site"].paused_at is None
    bureau.clock.forward(minutes=11)
    await work(bureau)
    assert sorted(bureau.states(key)["site"] for key in keys) == ["confirmed"] * 3
    with bureau.store.read() as tx:
        names = {e.name for key in keys for e in tx.log.of(key)}
    assert {"channel.paused", "channel.resumed"} <= names


async def test_pause__five_failures_in_a_row(bureau: Office) -> None:
    """Five failures in a row pause a channel, four and a success do not; a person may resume it."""
    keys = [bureau.approved(DOCUMENT.replace("图书角", f"图书角{n}")) for n in range(6)]
    for key in keys:
        bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.refuse = [_raises(Unavailable("down")) for _ in range(4)]
    engine = EmbeddedEngine(bureau.store, bureau.desk.channels, "worker-1", now=bureau.clock, slots=1)
    for _ in range(5):
        await engine.enqueue_due()
        await engine.drain()
    assert bureau.control.health()["site"].failures == 0
    tried: list[str] = []
    bureau.service.seen = tried.append
    bureau.service.refuse = [_raises(Unavailable("down")) for _ in range(99)]
    for _ in range(20):
        bureau.clock.forward(seconds=15)
        await engine.enqueue_due()
        await engine.drain()
    await engine.stop()
    assert bureau.control.health()["site"].paused_at is not None
    assert sum("-site-" in key for key in tried) == 5
    assert bureau.control.resume("site", OFFICER)
    assert not bureau.control.resume("site", OFFICER)
    bureau.service.refuse = []
    bureau.clock.forward(hours=2)
    await work(bureau)
    assert all(state == "confirmed" for key in keys for state in bureau.states(key).values())


async def test_halt__stops_and_goes_on(bureau: Office) -> None:
    """Halted, nothing goes out however due it is; unhalted, it does."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    assert bureau.control.halt(OFFICER)
    assert not bureau.control.halt(OFFICER)
    await work(bureau)
    assert bureau.service.posts == []
    assert bureau.control.unhalt(OFFICER)
    await work(bureau)
    assert len(bureau.service.posts) == 2


async def test_backlog__drains_with_a_cap(store: Store, tmp_path: Path) -> None:
    """After an outage a channel gets no more than its cap a minute, the oldest first."""
    bureau = office(store, tmp_path / "home", per_minute=3)
    keys = [bureau.approved(DOCUMENT.replace("图书角", f"图书角{n}")) for n in range(7)]
    for key in keys:
        bureau.desk.schedule(key, "now", OFFICER)
        bureau.clock.forward(seconds=1)
    for minute in range(3):
        await work(bureau)
        assert len(bureau.service.texts("site")) == min(7, 3 * (minute + 1))
        bureau.clock.forward(seconds=61)
    assert [key for key, _ in bureau.service.posts if "-site-" in key] == [
        f"{key}-r1-site-both" for key in keys
    ]


async def test_cancel__stops_and_can_be_taken_back(bureau: Office) -> None:
    """A cancelled announcement does not go out; scheduled again, it does, once."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 12:00 Asia/Shanghai", OFFICER)
    assert bureau.desk.cancel(key, OFFICER) == []
    bureau.clock.forward(hours=3)
    await work(bureau)
    assert bureau.service.posts == []
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert len(bureau.service.posts) == 2


async def test_separate__a_delivery_a_language(store: Store, tmp_path: Path) -> None:
    """In layout separate each language is a delivery of its own, and links to its own page."""
    bureau = office(store, tmp_path / "home", layout="separate")
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert sorted(k for k, _ in bureau.service.posts) == [
        f"{key}-r1-{channel}-{scope}" for channel in ("note", "site") for scope in ("en", "zh")
    ]
    chinese = next(text for k, text in bureau.service.posts if k.endswith("note-zh"))
    assert f"https://toy.example/{key}-r1-site-zh" in chinese


def test_log__cannot_be_rewritten(store: Store, tmp_path: Path) -> None:
    """The database itself refuses to change or delete a line of the log, what was signed, or a delivery that is owed."""
    bureau = office(store, tmp_path / "home")
    bureau.desk.schedule(bureau.approved(), "now", OFFICER)
    statements = [
        "UPDATE events SET name = 'x'",
        "UPDATE parts SET data = 'x'",
        "UPDATE seals SET approver = 'Mallory'",
        "UPDATE variants SET channel = 'x'",
        "UPDATE revisions SET content = 'x'",
        *(
            f"DELETE FROM {table}"
            for table in ("events", "parts", "deliveries", "variants", "seals", "revisions")
        ),
    ]
    if store._engine.dialect.name == "sqlite":
        statements += ["REPLACE INTO events SELECT * FROM events", "REPLACE INTO parts SELECT * FROM parts"]
    else:
        statements += [
            f"TRUNCATE {table} CASCADE" for table in ("events", "parts", "deliveries", "revisions")
        ]
    for statement in statements:
        with pytest.raises(Exception, match="written once"), store._engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_store__naive_time_is_refused(store: Store) -> None:
    """A time without a zone would be a guess, and is refused."""
    from datetime import datetime

    with pytest.raises(Exception, match="zone"), store.write() as tx:
        tx.log.add(datetime(2026, 1, 1), "2026-0001", "x.y")


def test_store__newer_program(store: Store, tmp_path: Path, database_url: str) -> None:
    """A store written by a newer version is refused in words, not migrated down."""
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(PublisherError, match="newer version"):
        Store.open(tmp_path / "home", database_url)


def test_store__migrations_make_the_tables(store: Store) -> None:
    """The migrations and the tables the queries see are the same, and the newest one is the head."""
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from publisher.store import database
    from publisher.store.schema import metadata

    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == database.HEAD


def test_clock__is_the_tests_own(bureau: Office) -> None:
    """The toy clock is what the desk reads, or these tests would prove nothing about time."""
    assert isinstance(bureau.clock, Clock)
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER, title=NO_TEXT)
    assert key.startswith("2026-")
    assert bureau.desk.show(key).filed.created_at == bureau.clock.time


async def test_uncertain__a_channel_that_is_gone_changes_nothing(bureau: Office) -> None:
    """An uncertain post whose channel was taken out of the settings stays uncertain: scheduling cannot repeat it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    bureau.service.faults = [_raises(OutcomeUnknown("cut"))]
    bureau.service.hidden = True
    await work(bureau)
    site = bureau.desk.channels.pop("site")
    bureau.clock.forward(minutes=3)
    await work(bureau)
    assert bureau.states(key)["site"] == "uncertain"
    bureau.desk.channels["site"] = site
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    assert len(bureau.service.texts("site")) == 1


async def test_link__never_a_dead_one(bureau: Office) -> None:
    """A delivery whose link is not known fails; the token that stands for it never goes out."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    with bureau.store.write() as tx:
        (note,) = [d for d in tx.deliveries.of(key) if d.channel == "note"]
        tx.deliveries.apply(
            note, Move(State.WAITING, "delivery.released", due_at=bureau.clock()), bureau.clock()
        )
    bureau.service.refuse = [_raises(Unavailable("down"))] * 2
    await work(bureau)
    assert not any("publisher.invalid" in text for _, text in bureau.service.posts)
    assert bureau.states(key)["note"] == "failed"


async def test_cancel__a_retry_does_not_go_out(bureau: Office) -> None:
    """Cancelled while it was being sent, and the sending failed: the retry is cancelled too."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    (site,) = _claim(bureau, "worker-1")
    bureau.desk.cancel(key, OFFICER)
    with bureau.store.write() as tx:
        tx.deliveries.apply(
            site, Move(State.WAITING, "delivery.retried", "451", due_at=bureau.clock()), bureau.clock()
        )
    await work(bureau)
    assert bureau.service.posts == []
    assert bureau.states(key)["site"] == "cancelled"


async def test_retract__nothing_to_take_back_changes_nothing(bureau: Office) -> None:
    """Where no channel can take its post back, the announcement is not called retracted."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    bureau.desk.retract(key, OFFICER, confirmed=True)
    await work(bureau)
    before = bureau.desk.show(key).filed.state
    with pytest.raises(NotAllowedError, match="by hand"):
        bureau.desk.retract(key, OFFICER, confirmed=True)
    assert bureau.desk.show(key).filed.state == before


async def test_resolve__a_channel_without_addresses(bureau: Office) -> None:
    """A newsletter that did arrive is settled without inventing an address for it."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await _work_until_note_is_lost(bureau)
    assert bureau.desk.resolve(f"{key}-r1-note-both", "", APPROVER).state == "accepted"
    assert len(bureau.service.texts("note")) == 1


def test_store__a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """A file that is no database any more is named in words."""
    (tmp_path / "publisher.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(PublisherError, match="store cannot be used"):
        Store.open(tmp_path)
