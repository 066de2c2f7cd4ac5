"""What follows from what came back: who is suppressed and who is not, once, on both databases."""

from __future__ import annotations

import mailbox
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from publisher.audience import SOFT_LIMIT, Audience
from publisher.bounces import Kind
from publisher.errors import PublisherError, UsageError
from publisher.returns import Collector, Returns, files
from publisher.returns import mailbox as imap
from publisher.returns.taking import digest_of
from publisher.settings import imap_account
from publisher.store import Store
from publisher.subscriber import Consent, Reading, Subscriber, SubscriberState, Suppression
from publisher.tokens import Purpose, Tokens
from tests.test_bounces import BOUNCE, TABLE, UNSUBSCRIBE, VECTORS
from tests.test_mailing import bureau, delivery, scheduled  # noqa: F401 - a fixture
from tests.toy import OFFICER, Clock, Office, work

SECRET = SecretStr("a-secret-of-the-tests-long-enough-for-signing")
ACTIVE, BOUNCED, COMPLAINED, UNSUBSCRIBED = (
    SubscriberState.ACTIVE,
    SubscriberState.BOUNCED,
    SubscriberState.COMPLAINED,
    SubscriberState.UNSUBSCRIBED,
)
AFTERWARDS = {Kind.HARD: BOUNCED, Kind.COMPLAINT: COMPLAINED, Kind.UNSUBSCRIBE: UNSUBSCRIBED}


class Desk:
    """One subscriber, Li, and what takes her bounces in."""

    def __init__(self, store: Store, address: str = "li@readers.example") -> None:
        self.store, self.clock, self.tokens = store, Clock(), Tokens([SECRET])
        self.audience, self.address = Audience(store, self.clock), address
        li = Subscriber(address, address, "Li", Reading.ZH, consent=Consent(how="form"))
        self.audience.add(li, OFFICER)
        self.ref = self.li.ref
        self.returns = Returns(store, self.audience, self.tokens, self.clock)

    @property
    def li(self) -> Subscriber:
        found, _ = self.audience.find(self.address)
        assert found is not None
        return found

    @property
    def barred(self) -> Suppression | None:
        return self.audience.find(self.address)[1]

    def raw(self, name: str, mailing: int = 7) -> bytes:
        """A sample with tokens that we have signed for Li."""
        return signed((VECTORS / f"{name}.eml").read_bytes(), self.tokens, self.ref, mailing)


def signed(raw: bytes, tokens: Tokens, ref: str, mailing: int) -> bytes:
    """A sample with tokens of ours in place of those it has."""
    for purpose, written in ((Purpose.BOUNCE, BOUNCE), (Purpose.UNSUBSCRIBE, UNSUBSCRIBE)):
        token = tokens.sign(purpose, ref, mailing)
        raw = raw.replace(written.encode(), token.encode()).replace(
            written.upper().encode(), token.upper().encode()
        )
    return raw


@pytest.fixture
def desk(store: Store) -> Desk:
    """Li has subscribed."""
    return Desk(store)


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for all samples: a new one for each would take longer than all else."""
    opened = Store.open(tmp_path_factory.mktemp("returns"))
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("name", "kind", "status", "ours"), [row[:4] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_take__what_follows(one_store: Store, name: str, kind: Kind, status: str, ours: str) -> None:
    """Li is suppressed by what certainly ends it and has our signature, and by nothing else."""
    desk = Desk(one_store, f"{name}@readers.example")
    proven = "b" in ours or "u" in ours
    taken = desk.returns.take(desk.raw(name))
    expected = AFTERWARDS.get(kind, ACTIVE) if proven else ACTIVE
    assert desk.li.state is expected
    assert (desk.barred is None) == (expected is ACTIVE)
    with desk.store.read() as tx:
        (kept,) = tx.bounces.recent(1)
    acted_on = kind in (*AFTERWARDS, Kind.SOFT)
    assert taken.kind is kept.kind is (kind if proven or not acted_on else Kind.UNKNOWN)
    assert (kept.subscriber, kept.delivery) == ((desk.li.id, 7) if proven else (None, None))
    assert kept.status == status


@pytest.mark.parametrize("name", [row[0] for row in TABLE if row[1] in AFTERWARDS])
def test_take__forged(one_store: Store, name: str) -> None:
    """A bounce, complaint or wish with a token that we have not signed suppresses nobody; a person is shown it."""
    desk = Desk(one_store, f"forged-{name}@readers.example")
    forged = signed((VECTORS / f"{name}.eml").read_bytes(), Tokens([SecretStr("x" * 40)]), desk.ref, 7)
    assert desk.returns.take(forged).kind is Kind.UNKNOWN
    assert (desk.li.state, desk.barred) == (ACTIVE, None)
    with desk.store.read() as tx:
        (kept,) = tx.bounces.recent(1, kinds=[Kind.UNKNOWN])
    assert kept.said.startswith("No signature of ours")
    assert (kept.subscriber, kept.delivery) == (None, None)


def test_take__a_token_for_another_purpose(desk: Desk) -> None:
    """The token of the link to confirm proves nothing in a return path."""
    token = desk.tokens.sign(Purpose.CONFIRM, desk.ref, 7).encode()
    raw = (VECTORS / "qmail.eml").read_bytes()
    desk.returns.take(raw.replace(BOUNCE.encode(), token).replace(UNSUBSCRIBE.encode(), token))
    assert desk.li.state is ACTIVE


def test_take__twice(desk: Desk) -> None:
    """The same report counts once, with whichever line ends, from a mailbox or from an mbox."""
    raw = desk.raw("outlook-full")
    again = [raw, raw.replace(b"\n", b"\r\n"), b"From MAILER-DAEMON Wed Sep 23 01:00:00 2026\n" + raw + b"\n"]
    assert [desk.returns.take(one).is_new for one in again] == [True, False, False]
    assert len({digest_of(one) for one in again}) == 1
    with desk.store.read() as tx:
        assert tx.bounces.counts() == {Kind.SOFT: 1}
    assert _softs(desk) == 1


def test_take__crash_before_it_is_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was acted on and not kept is read again, and then kept."""
    with monkeypatch.context() as patched:
        patched.setattr(desk.returns, "_keep", _crash)
        with pytest.raises(RuntimeError):
            desk.returns.take(desk.raw("qmail"))
    assert desk.li.state is BOUNCED
    assert desk.returns.take(desk.raw("qmail")).is_new
    with desk.store.read() as tx:
        assert tx.bounces.counts() == {Kind.HARD: 1}


def _crash(*_: object) -> None:
    raise RuntimeError("the machine went down")


def test_take__subscriber_is_gone(desk: Desk) -> None:
    """A report about somebody who was removed meanwhile is kept without her."""
    raw = desk.raw("qmail")
    desk.audience.remove("li@readers.example", OFFICER)
    assert desk.returns.take(raw).kind is Kind.HARD
    with desk.store.read() as tx:
        (kept,) = tx.bounces.recent()
    assert (kept.subscriber, kept.delivery) == (None, 7)


def _softs(desk: Desk) -> int:
    with desk.store._engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT bounces FROM subscribers").scalar_one())


def test_take__soft_bounces(desk: Desk) -> None:
    """A mailbox that could not take one mailing after another is given up; several reports about one count once."""
    for mailing in range(1, SOFT_LIMIT):
        desk.returns.take(desk.raw("outlook-full", mailing))
        desk.returns.take(desk.raw("qmail-remote", mailing))
    assert (_softs(desk), desk.li.state) == (SOFT_LIMIT - 1, ACTIVE)
    desk.returns.take(desk.raw("outlook-full", SOFT_LIMIT))
    assert desk.li.state is BOUNCED


async def test_take__soft_bounces_not_in_a_row(bureau: Office) -> None:  # noqa: F811
    """A newsletter that arrived in between makes the count begin anew."""
    made = []
    for _ in range(3):
        made.append(delivery(bureau, scheduled(bureau)).id)
        await work(bureau)
    tokens, audience = Tokens([SECRET]), Audience(bureau.store, bureau.clock)
    returns = Returns(bureau.store, audience, tokens, bureau.clock)
    full = (VECTORS / "outlook-full.eml").read_bytes()
    for mailing in (made[0], made[2]):
        returns.take(signed(full, tokens, f"{1:016x}", mailing))
    for mailing in (made[0], made[1]):
        returns.take(signed(full, tokens, f"{2:016x}", mailing))
    with bureau.store._engine.connect() as connection:
        counts = connection.exec_driver_sql("SELECT bounces FROM subscribers WHERE id < 3 ORDER BY id")
        assert [row[0] for row in counts] == [1, 2]


async def test_tallies__of_a_mailing(bureau: Office) -> None:  # noqa: F811
    """A mailing is told with what was sent and with how many subscribers each kind of report is about."""
    key = scheduled(bureau)
    await work(bureau)
    one, tokens = delivery(bureau, key), Tokens([SECRET])
    returns = Returns(bureau.store, Audience(bureau.store, bureau.clock), tokens, bureau.clock)
    came = [("qmail", 1), ("exim", 1), ("yahoo", 2), ("outlook-full", 3), ("complaint-arf", 4)]
    for name, number in [*came, ("unsubscribe-mailto", 5)]:
        raw = (VECTORS / f"{name}.eml").read_bytes()
        returns.take(signed(raw, tokens, f"{number:016x}", one.id))
    with bureau.store.read() as tx:
        (tally,) = tx.bounces.tallies()
        counted = tx.bounces.counts(one.id)
    assert (tally.delivery, tally.key, tally.channel, tally.sent) == (one.id, one.key, "letters", 30)
    assert tally.kinds == {Kind.HARD: 2, Kind.SOFT: 1, Kind.COMPLAINT: 1, Kind.UNSUBSCRIBE: 1}
    assert counted[Kind.HARD] == 3
    after = {n: Audience(bureau.store).of_ref(f"{n:016x}") for n in range(1, 7)}
    states = [one and one.state for one in after.values()]
    assert states == [BOUNCED, BOUNCED, ACTIVE, COMPLAINED, UNSUBSCRIBED, ACTIVE]


# --- files --------------------------------------------------------------------------------------------------------


def test_files__one_message(tmp_path: Path) -> None:
    """A file may hold one message."""
    (tmp_path / "one.eml").write_bytes(b"Subject: one\n\nFrom here on\n")
    assert list(files.messages(tmp_path / "one.eml")) == [b"Subject: one\n\nFrom here on\n"]


@pytest.mark.parametrize("kind", [mailbox.mbox, mailbox.Maildir])
def test_files__mailboxes(tmp_path: Path, kind: type[mailbox.mbox] | type[mailbox.Maildir]) -> None:
    """Every message of an mbox and of a Maildir is found as it was put in, lines that begin with From too."""
    texts = [b"Subject: %d\n\nFrom here on\n\nFrom the start\n" % number for number in range(3)]
    box = kind(tmp_path / "box")
    for text in texts:
        box.add(text)
    box.close()
    found = [one.rstrip(b"\n") + b"\n" for one in files.messages(tmp_path / "box")]
    assert sorted(found) == texts


def test_files__folder(desk: Desk) -> None:
    """A folder of messages is read in the order of their names."""
    assert desk.returns.take_all(files.messages(VECTORS)).read == len(TABLE)


def test_files__nothing(tmp_path: Path) -> None:
    """Nothing piped in is no message; what is not there is named."""
    assert list(files.split(b"\n")) == []
    with pytest.raises(UsageError, match=r"none\.mbox does not exist"):
        list(files.messages(tmp_path / "none.mbox"))


# --- a mailbox that cannot be read -------------------------------------------------------------------------------


def test_mailbox__unreachable(desk: Desk) -> None:
    """A server that is away is one sentence, without the name or the password."""
    with pytest.raises(PublisherError) as refusal:
        imap.empty(imap_account(SecretStr(_nowhere())), desk.returns)
    assert "127.0.0.1 cannot be read (Connection refused)" in str(refusal.value)
    assert "s3cret" not in str(refusal.value) + repr(refusal.value.__context__)
    assert "office" not in str(refusal.value)


def _nowhere() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"imaps://office:s3cret@127.0.0.1:{probe.getsockname()[1]}/INBOX"


def test_collector__says_it_once(desk: Desk) -> None:
    """What the worker cannot read is logged once, however often it tries, and stops nothing."""
    collector = Collector(desk.returns, imap_account(SecretStr(_nowhere())))
    with capture_logs() as logged:
        assert [collector.collect() for _ in range(3)] == [None, None, None]
    assert [line["event_name"] for line in logged] == ["bounces.unreadable"]
    assert "s3cret" not in str(logged)


def test_collector__recovers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the mailbox can be read again is logged too, and what was read is told in numbers."""
    collector = Collector(desk.returns, imap_account(SecretStr(_nowhere())))
    with capture_logs() as logged:
        collector.collect()
        monkeypatch.setattr(imap, "empty", lambda _, returns: returns.take_all([desk.raw("qmail")]))
        collector.collect()
        collector.collect()
    names = [line["event_name"] for line in logged]
    assert names == ["bounces.unreadable", "bounces.readable", "bounces.read"]
    assert logged[-1]["hard"] == 1
