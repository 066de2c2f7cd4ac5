"""A newsletter to the office's own subscribers through the engine, on both databases: everyone once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from publisher.channel import Doubt, Fate, Letter, MailingSettings, SignInFailed, Unavailable
from publisher.delivery import Delivery, State
from publisher.engine import journal
from publisher.engine.embedded import EmbeddedEngine
from publisher.mailing import LetterState
from publisher.store import Store
from publisher.store.schema import memberships, subscribers
from publisher.tokens import Purpose, Tokens
from tests.toy import OFFICER, SECRET, Office, ToyMail, letter_office, office, work

READINGS = ("zh", "en", "both")


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website, a note, and a newsletter to 30 subscribers, ten of each language."""
    made = office(store, tmp_path / "home")
    subscribe(made, 30)
    channels = dict(made.desk.channels)
    channels["letters"] = ToyMail("letters", MailingSettings(), made.home)
    made.desk = type(made.desk)(made.desk.settings, store, channels, made.clock)
    return made


def subscribe(bureau: Office, count: int, first: int = 1) -> None:
    """Adds ``count`` active subscribers; every second one is on the list ``members``."""
    now = bureau.clock()
    rows = [
        {
            "id": number,
            "ref": f"{number:016x}",
            "address": f"reader{number}@example.org",
            "normal": f"reader{number}@example.org",
            "name": "",
            "reading": READINGS[number % 3],
            "state": "active",
            "created_at": now,
            "changed_at": now,
        }
        for number in range(first, first + count)
    ]
    members = [{"list": "members", "subscriber_id": row["id"]} for row in rows if row["id"] % 2 == 0]
    with bureau.store._engine.begin() as connection:
        connection.execute(subscribers.insert(), rows)
        connection.execute(memberships.insert(), members)


def mail(bureau: Office) -> ToyMail:
    """The newsletter's channel."""
    found = bureau.desk.channels["letters"]
    assert isinstance(found, ToyMail)
    return found


def with_settings(bureau: Office, **settings: object) -> None:
    """The newsletter's channel with other settings."""
    mail(bureau).settings = MailingSettings.model_validate(settings)


def delivery(bureau: Office, key: str) -> Delivery:
    """The newsletter's delivery."""
    return next(d for d in bureau.desk.show(key).deliveries if d.channel == "letters")


def counts(bureau: Office, key: str) -> Mapping[LetterState, int]:
    """Where the letters stand."""
    with bureau.store.read() as tx:
        return tx.mailings.counts(delivery(bureau, key).id)


def scheduled(bureau: Office) -> str:
    """An approved announcement that is due now."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    return key


def once_each(bureau: Office, expected: int) -> None:
    """Everyone has it once."""
    got = Counter(letter.address for letter in mail(bureau).got)
    assert set(got.values()) == {1}
    assert len(got) == expected


async def test_mailing__everyone_once_in_their_language(bureau: Office) -> None:
    """Every subscriber gets one letter, in the language she reads, with tokens that name her and the mailing."""
    key = scheduled(bureau)
    await work(bureau)
    once_each(bureau, 30)
    one = delivery(bureau, key)
    assert one.state is State.ACCEPTED
    assert one.reason == "30 sent"
    assert Counter(letter.scope for letter in mail(bureau).got) == {"zh": 10, "en": 10, "both": 10}
    tokens = Tokens([SECRET])
    for letter in mail(bureau).got:
        named = tokens.read(Purpose.UNSUBSCRIBE, letter.unsubscribe.rpartition("/")[2])
        assert named is not None
        assert (named.ref, named.mailing) == (letter.ref, one.id)
        assert tokens.read(Purpose.BOUNCE, letter.bounce) == named
        assert tokens.read(Purpose.UNSUBSCRIBE, letter.bounce) is None


async def test_mailing__only_its_lists(bureau: Office) -> None:
    """A channel with lists sends to their members only."""
    with_settings(bureau, lists="members")
    scheduled(bureau)
    await work(bureau)
    once_each(bureau, 15)


async def test_mailing__who_left_or_came_meanwhile(bureau: Office) -> None:
    """Who unsubscribes before her turn gets nothing; who subscribes after the beginning gets the next one."""
    key = scheduled(bureau)
    mail(bureau).fate = lambda one: (Fate.DEFERRED, "450 later")
    await work(bureau)
    with bureau.store._engine.begin() as connection:
        some = subscribers.update().where(subscribers.c.id > 20)
        connection.execute(some.values(state="unsubscribed"))
        connection.execute(memberships.delete().where(memberships.c.subscriber_id == 1))
        connection.execute(subscribers.delete().where(subscribers.c.id == 1))
    subscribe(bureau, 5, first=100)
    mail(bureau).fate = lambda one: (Fate.SENT, "250 ok")
    bureau.clock.forward(minutes=1)
    await work(bureau)
    assert counts(bureau, key) == {LetterState.SENT: 19, LetterState.SKIPPED: 11}
    once_each(bureau, 19)


async def test_mailing__deferred_letters_are_tried_again(bureau: Office) -> None:
    """What a server puts off is tried again later, and the others are not sent twice."""
    key, again = scheduled(bureau), {"reader3@example.org", "reader4@example.org"}
    mail(bureau).fate = lambda one: (
        (Fate.DEFERRED, "450 later") if one.address in again else (Fate.SENT, "250 ok")
    )
    await work(bureau)
    assert counts(bureau, key) == {LetterState.SENT: 28, LetterState.DEFERRED: 2}
    one = delivery(bureau, key)
    assert one.state is State.WAITING
    assert one.due_at is not None
    await work(bureau)
    assert len(mail(bureau).got) == 28
    again.clear()
    bureau.clock.forward(minutes=1)
    await work(bureau)
    once_each(bureau, 30)
    assert delivery(bureau, key).state is State.ACCEPTED


async def test_mailing__deferred_for_too_long(bureau: Office) -> None:
    """What is put off until the time for it has passed is given up, and the mailing ends."""
    key = scheduled(bureau)
    mail(bureau).fate = lambda one: (
        (Fate.DEFERRED, "450 later") if one.address.startswith("reader3@") else (Fate.SENT, "250 ok")
    )
    for _ in range(60):
        await work(bureau)
        if delivery(bureau, key).state is State.ACCEPTED:
            break
        bureau.clock.forward(hours=1)
    assert counts(bureau, key) == {LetterState.SENT: 29, LetterState.REFUSED: 1}
    once_each(bureau, 29)


async def test_mailing__in_doubt_is_held(bureau: Office) -> None:
    """A letter that may have been sent is not sent again; a person settles it, either way."""
    key = scheduled(bureau)
    mail(bureau).fate = lambda one: (
        (Fate.UNKNOWN, "the connection was lost")
        if one.address.startswith("reader7@")
        else (Fate.SENT, "250 ok")
    )
    await work(bureau)
    one = delivery(bureau, key)
    assert one.state is State.UNCERTAIN
    assert one.due_at is None
    assert "29 sent" in one.reason
    with bureau.store.read() as tx:
        assert [letter.address for letter in tx.mailings.doubtful(one.id)] == ["reader7@example.org"]
    bureau.clock.forward(hours=5)
    await work(bureau)
    once_each(bureau, 30)


@pytest.mark.parametrize("arrived", [True, False])
async def test_mailing__a_person_settles_the_doubt(bureau: Office, arrived: bool) -> None:
    """Settled as arrived nothing more is sent; settled as not arrived those in doubt get it again, and only those."""
    key = scheduled(bureau)
    mail(bureau).fate = lambda one: (
        (Fate.UNKNOWN, "lost") if one.address.startswith("reader7@") else (Fate.SENT, "250 ok")
    )
    await work(bureau)
    mail(bureau).fate = lambda one: (Fate.SENT, "250 ok")
    bureau.desk.resolve(delivery(bureau, key).key, "" if arrived else None, OFFICER)
    await work(bureau)
    assert delivery(bureau, key).state is State.ACCEPTED
    assert counts(bureau, key) == {LetterState.SENT: 30}
    got = Counter(letter.address for letter in mail(bureau).got)
    assert got.pop("reader7@example.org") == (1 if arrived else 2)
    assert set(got.values()) == {1}


async def test_mailing__in_doubt_is_sent_again_where_wished(bureau: Office) -> None:
    """With WHEN_IN_DOUBT=resend a letter in doubt is sent again, with the same Message-ID, and not for ever."""
    with_settings(bureau, when_in_doubt=Doubt.RESEND)
    key = scheduled(bureau)
    mail(bureau).fate = lambda one: (
        (Fate.UNKNOWN, "lost") if one.address.startswith("reader7@") else (Fate.SENT, "250 ok")
    )
    await work(bureau)
    got = [letter for letter in mail(bureau).got if letter.address == "reader7@example.org"]
    assert len(got) == 3
    assert {letter.ref for letter in got} == {got[0].ref}
    assert delivery(bureau, key).state is State.UNCERTAIN


async def test_mailing__the_server_is_away(bureau: Office) -> None:
    """While the server cannot be reached, or refuses us, nobody loses or doubles anything."""
    key = scheduled(bureau)
    trouble: list[Exception] = [Unavailable("it is away"), SignInFailed("who are you")]

    def fate(letter: Letter) -> tuple[Fate, str]:
        if trouble and len(mail(bureau).got) >= 10:
            raise trouble.pop(0)
        return Fate.SENT, "250 ok"

    mail(bureau).fate = fate
    await work(bureau)
    assert delivery(bureau, key).state is State.WAITING
    assert counts(bureau, key)[LetterState.UNKNOWN] == 1  # it was begun, and the adapter did not say
    for _ in range(3):
        bureau.clock.forward(minutes=30)
        await work(bureau)
    got = Counter(letter.address for letter in mail(bureau).got)
    assert set(got.values()) == {1}
    assert counts(bureau, key) == {LetterState.SENT: 28, LetterState.UNKNOWN: 2}


async def test_mailing__refused_for_good(bureau: Office) -> None:
    """Who has no mailbox is not written to again; what is our own fault, or a full mailbox, ends no subscription."""
    key = scheduled(bureau)
    said = {
        "reader1@example.org": "550 5.1.1 <reader1@example.org>: user unknown",
        "reader2@example.org": "552 5.2.2 mailbox full",
        "reader3@example.org": "554 5.7.1 message rejected as spam",
    }
    mail(bureau).fate = lambda one: (
        (Fate.REFUSED, said[one.address]) if one.address in said else (Fate.SENT, "250 ok")
    )
    await work(bureau)
    assert counts(bureau, key) == {LetterState.SENT: 27, LetterState.REFUSED: 3}
    with bureau.store.read() as tx:
        found = tx.subscribers.by_normal(said)
    assert {address: str(one.state) for address, one in found.items()} == {
        "reader1@example.org": "bounced",
        "reader2@example.org": "active",
        "reader3@example.org": "active",
    }


async def test_mailing__halted_and_let_go_on(bureau: Office) -> None:
    """A halt stops between two letters, and what follows goes on where it was."""
    key = scheduled(bureau)
    halted = asyncio.Event()

    async def hold(letter: Letter) -> None:
        if len(mail(bureau).got) == 10 and not halted.is_set():
            bureau.control.halt(OFFICER)
            halted.set()
            await asyncio.sleep(0.6)  # longer than the mailing takes to notice

    mail(bureau).hold = hold
    await work(bureau)
    assert delivery(bureau, key).state is State.WAITING
    assert len(mail(bureau).got) == 11
    bureau.control.unhalt(OFFICER)
    await work(bureau)
    once_each(bureau, 30)
    assert delivery(bureau, key).state is State.ACCEPTED


async def test_mailing__cancelled_on_its_way(bureau: Office) -> None:
    """Cancelling stops it between two letters; who has it has it, the others do not get it."""
    key = scheduled(bureau)

    async def hold(letter: Letter) -> None:
        if len(mail(bureau).got) == 10:
            bureau.desk.cancel(key, OFFICER)
            await asyncio.sleep(0.6)

    mail(bureau).hold = hold
    await work(bureau)
    assert counts(bureau, key) == {LetterState.SENT: 11, LetterState.SKIPPED: 19}
    assert delivery(bureau, key).state is State.ACCEPTED


async def test_mailing__after_its_hour(bureau: Office) -> None:
    """A mailing that was interrupted and is taken up after its grace reaches nobody else, and says so."""
    key = scheduled(bureau)
    mail(bureau).fate = lambda one: (Fate.DEFERRED, "450") if one.number > 5 else (Fate.SENT, "250 ok")
    await work(bureau)
    bureau.clock.forward(hours=25)
    await work(bureau)
    assert delivery(bureau, key).state is State.ACCEPTED
    assert counts(bureau, key).keys() == {LetterState.SENT, LetterState.SKIPPED}


async def test_mailing__another_worker_takes_over(bureau: Office) -> None:
    """A worker that hangs while its lease runs out is not doubled: its journal is in use, so the next one waits."""
    key = scheduled(bureau)
    stuck, go = asyncio.Event(), asyncio.Event()

    async def hold(letter: Letter) -> None:
        if len(mail(bureau).got) == 10:
            stuck.set()
            await go.wait()

    mail(bureau).hold = hold
    first = engine(bureau, "first")
    await first.enqueue_due()
    await until_letters(bureau, first)
    running = asyncio.create_task(first.drain())
    await stuck.wait()
    bureau.clock.forward(seconds=60)  # its heartbeat has not been written for a minute
    await work(bureau, "second")
    assert delivery(bureau, key).state is State.UNCERTAIN
    mail(bureau).hold = None
    go.set()
    await running
    await first.stop()
    bureau.clock.forward(seconds=60)
    await work(bureau, "third")
    await work(bureau, "third")
    once_each(bureau, 30)
    assert delivery(bureau, key).state is State.ACCEPTED


def engine(bureau: Office, owner: str) -> EmbeddedEngine:
    """A worker's engine."""
    return EmbeddedEngine(
        bureau.store,
        bureau.desk.channels,
        owner,
        now=bureau.clock,
        office=letter_office(bureau.home),
        lease=timedelta(seconds=5),
    )


async def until_letters(bureau: Office, one: EmbeddedEngine) -> None:
    """Runs until the newsletter is under way: the website first."""
    while not mail(bureau).got:
        await one.enqueue_due()
        await asyncio.sleep(0.01)


def test_journal__what_it_tells(tmp_path: Path) -> None:
    """Begun, ended and untouched letters are told apart; a torn last line is as if it had not been written."""
    path = journal.path_of(tmp_path, 7, 1)
    written = journal.Journal(path)
    with pytest.raises(journal.InUseError):
        journal.read(path)
    written.begin(1)
    written.end(1, Fate.SENT, "250 2.0.0\nqueued")
    written.begin(2)
    with path.open("ab") as file:
        file.write(b"> 3")
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    found = journal.read(copy)
    assert found.whole
    assert found.begun == {1, 2}
    assert found.ended == {1: (Fate.SENT, "250 2.0.0 queued")}
    written.close()
    assert not path.exists()
    assert not journal.read(path).whole


def test_journal__of_another_start_of_the_machine(tmp_path: Path) -> None:
    """After the machine was lost, silence about a letter proves nothing."""
    path = tmp_path / "journal"
    path.write_bytes(b"another boot\n> 1\n< 1 sent 250\n> 2\n")
    found = journal.read(path)
    assert not found.whole
    assert found.ended.keys() == {1}
    path.write_bytes(path.read_bytes().replace(b"> 1\n", b"> 1> 5\n"))
    assert not journal.read(path).whole
