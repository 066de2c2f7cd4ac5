"""Who gets anything: bringing in, asking and confirming, leaving, bouncing, complaining, on both databases."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from publisher import addresses
from publisher.announcement import Person
from publisher.audience import SOFT_LIMIT, Audience, Imported, Line, list_name
from publisher.errors import NotAllowedError, NotFoundError, UsageError
from publisher.store import Store
from publisher.store.log import OFFICE
from publisher.store.schema import bounces, suppressions
from publisher.subscriber import Consent, Reading, Subscriber, SubscriberState, Suppression
from tests.toy import Clock

OFFICER = Person("Lin", "office")
ADDRESS = "Reader@Example.org"
AGREED = Consent(datetime(2026, 3, 5, tzinfo=UTC), "form at the fair", "I want it.")


@pytest.fixture
def audience(store: Store) -> Audience:
    """An office without subscribers."""
    return Audience(store, Clock())


def person(address: str = ADDRESS, *lists: str, reading: Reading = Reading.BOTH) -> Subscriber:
    """Somebody who has agreed."""
    read = addresses.read(address)
    return Subscriber(read.sent, read.normal, "Reader", reading, lists, consent=AGREED, source="fair.csv")


def lines(*people: Subscriber) -> list[Line]:
    """A file of these people."""
    return [Line(number, one.address, one) for number, one in enumerate(people, 2)]


def bring_in(audience: Audience, *people: Subscriber) -> Imported:
    """Imports them."""
    return audience.bring_in(lines(*people), OFFICER)


def counted(done: Imported) -> tuple[int, int, int, int]:
    """Added, put on more lists, there already, refused."""
    return done.added, done.joined, done.known, len(done.refused)


def events(audience: Audience) -> list[str]:
    """What the office's log says, by name."""
    with audience.store.read() as tx:
        return [entry.name for entry in tx.log.of(OFFICE)]


def asked(audience: Audience, address: str = ADDRESS, *lists: str) -> Subscriber:
    """Somebody has filled in the form, and is to be mailed."""
    one = audience.request(address, "Reader", Reading.EN, lists or ("news",), "form", "I want it.")
    assert one is not None
    return one


def confirmed(audience: Audience, address: str = ADDRESS) -> Subscriber:
    """Somebody who has asked and confirmed."""
    one = audience.confirm(asked(audience, address).ref, how="page")
    assert one is not None
    return one


# --- bringing in ------------------------------------------------------------------------------------------------


def test_import__keeps_everything(audience: Audience) -> None:
    """What a file says of a person is kept, under a ref of 16 hexadecimal digits."""
    assert counted(bring_in(audience, person(ADDRESS, "news", "press"))) == (1, 0, 0, 0)
    one, barred = audience.find("reader@example.ORG")
    assert barred is None and one is not None
    assert replace(one, id=0, ref="", created_at=None) == person(ADDRESS, "news", "press")
    assert len(one.ref) == 16 and int(one.ref, 16) >= 0
    assert audience.of_ref(one.ref) == one


def test_import__twice_changes_nothing(audience: Audience) -> None:
    """The same file again changes nothing, and writes nothing into the log."""
    people = [person(f"r{n}@example.org", "news") for n in range(2500)]
    assert counted(bring_in(audience, *people)) == (2500, 0, 0, 0)
    before = list(audience.all())
    assert counted(bring_in(audience, *people)) == (0, 0, 2500, 0)
    assert list(audience.all()) == before
    assert len({one.ref for one in before}) == 2500
    assert [one.address for one in before] == [one.address for one in people]
    assert events(audience) == ["roster.imported"]


def test_import__merges_lists_only(audience: Audience) -> None:
    """Who is there already comes on more lists, and stays what she is in everything else."""
    bring_in(audience, person(ADDRESS, "news", reading=Reading.ZH))
    again = replace(person("READER@example.org", "press", reading=Reading.EN), name="Another")
    assert counted(bring_in(audience, again)) == (0, 1, 0, 0)
    one, _ = audience.find(ADDRESS)
    assert one is not None
    assert (one.lists, one.reading, one.name, one.address) == (
        ("news", "press"),
        Reading.ZH,
        "Reader",
        "Reader@example.org",
    )


@pytest.mark.parametrize("apart", [0, 1500])
def test_import__twice_in_the_file(audience: Audience, apart: int) -> None:
    """An address that stands in a file twice is taken once, however it is written and however far apart."""
    between = [person(f"r{n}@example.org") for n in range(apart)]
    done = bring_in(audience, person("lin@例子.中国"), *between, person("LIN@xn--fsqu00a.xn--fiqs8s"))
    assert counted(done) == (1 + apart, 0, 0, 1)
    assert (done.refused[0].number, done.refused[0].why) == (apart + 3, "is in this file already, further up")


def test_import__reports_what_cannot_be_read(audience: Audience) -> None:
    """A refused line is reported with its number, its text and the reason, in the order of the file."""
    found = [*lines(person("a@example.org")), Line(3, "nobody,Lin", refusal="is not a mail address")]
    found += [replace(line, number=4) for line in lines(person("A@example.org"))]
    done = audience.bring_in(found, OFFICER)
    assert [(one.number, one.text) for one in done.refused] == [(3, "nobody,Lin"), (4, "A@example.org")]
    assert done.lines == 3


def test_import__rehearsal(audience: Audience) -> None:
    """A rehearsal says the same and does nothing."""
    people = [person("a@example.org", "news"), person("A@example.org"), person("b@example.org")]
    before = audience.bring_in(lines(*people), OFFICER, rehearsal=True)
    assert list(audience.all()) == [] and events(audience) == []
    assert bring_in(audience, *people) == before


def test_import__ends_half_way(audience: Audience) -> None:
    """What came in before a fault is there, the log says who did it, and the same file again brings the rest."""
    people = [person(f"r{n}@example.org") for n in range(1500)]

    def broken() -> Iterator[Line]:
        yield from lines(*people[:1200])
        raise OSError("The disk is gone.")

    with pytest.raises(OSError, match="disk"):
        audience.bring_in(broken(), OFFICER)
    assert events(audience) == ["roster.imported"]
    assert counted(bring_in(audience, *people)) == (500, 0, 1000, 0)


def test_import__two_at_a_time(audience: Audience) -> None:
    """Two who import the same people at once bring each in once, on the lists of both."""
    start = threading.Barrier(2)
    people = [f"r{n}@example.org" for n in range(600)]

    def work(name: str) -> Imported:
        start.wait()
        return bring_in(audience, *(person(address, name) for address in people))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, ("news", "press")))
    found = list(audience.all())
    assert sorted(one.address for one in found) == sorted(people)
    assert {one.lists for one in found} == {("news", "press")}


def test_import__memory_is_flat(audience: Audience) -> None:
    """A file ten times as long takes little more memory: an address each, to see who stands in it twice."""

    def peak(count: int, prefix: str) -> int:
        found = (Line(n, "", person(f"{prefix}{n}@example.org")) for n in range(count))
        tracemalloc.start()
        audience.bring_in(found, OFFICER, rehearsal=True)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(1000, "warm")
    assert peak(6000, "b") - peak(2000, "a") < 4000 * 300


# --- nobody is brought back -------------------------------------------------------------------------------------


def _removed(audience: Audience, one: Subscriber) -> None:
    audience.remove(one.address, OFFICER)


def _gone(act: Callable[[Audience, Subscriber], object]) -> Callable[[Audience, Subscriber], None]:
    """She has done this, and is deleted afterwards."""

    def work(audience: Audience, one: Subscriber) -> None:
        act(audience, one)
        audience.remove(one.address, OFFICER)

    return work


WAYS: dict[str, Callable[[Audience, Subscriber], object]] = {
    "unsubscribed": lambda a, one: a.unsubscribe(one.ref, how="one-click"),
    "bounced": lambda a, one: a.bounced_hard(one.ref, detail="5.1.1"),
    "complained": lambda a, one: a.complained(one.ref, detail="feedback report"),
    "removed": _removed,
    "unsubscribed, removed": _gone(lambda a, one: a.unsubscribe(one.ref, how="page")),
    "complained, removed": _gone(lambda a, one: a.complained(one.ref, detail="report")),
}


@pytest.mark.parametrize("way", WAYS)
def test_suppressed__no_file_brings_her_back(audience: Audience, way: str) -> None:
    """Whoever has gone, in whatever way, is not brought back by a file or by hand, and the report says why."""
    bring_in(audience, person(ADDRESS, "news"))
    one, _ = audience.find(ADDRESS)
    assert one is not None
    WAYS[way](audience, one)
    for written in (ADDRESS, "READER@EXAMPLE.ORG", "reader＠example．org"):
        done = bring_in(audience, person(written, "press"))
        assert counted(done) == (0, 0, 0, 1)
        assert done.refused[0].number == 2 and done.refused[0].why
        with pytest.raises(NotAllowedError):
            audience.add(person(written, "press"), OFFICER)
    assert sum(audience.reach().values()) == 0
    left, barred = audience.find(ADDRESS)
    assert barred is not None
    assert left is None or (left.state is not SubscriberState.ACTIVE and left.lists == ("news",))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "complained"])
def test_suppressed__comes_back_herself(audience: Audience, way: str) -> None:
    """She may ask again; she gets nothing and no file brings her in until she confirms, and then she is back."""
    bring_in(audience, person(ADDRESS, "news"))
    one, _ = audience.find(ADDRESS)
    assert one is not None
    WAYS[way](audience, one)
    again = asked(audience)
    assert sum(audience.reach().values()) == 0
    assert counted(bring_in(audience, person())) == (0, 0, 0, 1)
    assert audience.find(ADDRESS)[1] is not None
    back = audience.confirm(again.ref, how="page")
    assert back is not None and back.state is SubscriberState.ACTIVE
    assert audience.find(ADDRESS)[1] is None
    assert counted(bring_in(audience, person())) == (0, 0, 1, 0)
    assert sum(audience.reach().values()) == 1


def test_complained__is_not_mailed_again(audience: Audience) -> None:
    """Anybody can type an address into a form: one that has reported spam gets no letter for it."""
    one = confirmed(audience)
    audience.complained(one.ref, detail="feedback report")
    assert audience.request(ADDRESS, "", Reading.EN, ("news",), "form", "") is None
    found = audience.of_ref(one.ref)
    assert found is not None and found.state is SubscriberState.COMPLAINED
    old = audience.confirm(one.ref, how="page")
    assert old is not None and old.state is SubscriberState.COMPLAINED


@pytest.mark.parametrize("way", ["unsubscribed", "bounced", "complained"])
def test_confirm__an_old_letter(audience: Audience, way: str) -> None:
    """The letter that once confirmed brings nobody back who has gone since and has not asked again."""
    one = confirmed(audience)
    WAYS[way](audience, one)
    left = audience.confirm(one.ref, how="page")
    assert left is not None and left.state is SubscriberState(way)
    assert audience.find(ADDRESS)[1] is Suppression(way)


def test_undo__of_leaving_only(audience: Audience) -> None:
    """Who has unsubscribed by mistake is back at once; who has complained or bounced is not."""
    one = confirmed(audience)
    audience.unsubscribe(one.ref, how="page")
    back = audience.undo(one.ref, how="page")
    assert back is not None and back.state is SubscriberState.ACTIVE
    assert audience.find(ADDRESS)[1] is None
    audience.complained(one.ref, detail="report")
    audience.undo(one.ref, how="page")
    assert audience.find(ADDRESS)[1] is Suppression.COMPLAINED


def test_confirm__while_she_leaves(audience: Audience) -> None:
    """Who leaves at the moment in which a confirmation arrives has left, in the row as in the suppression list."""
    one = asked(audience)
    begun = threading.Event()

    def clock() -> datetime:
        begun.set()
        return audience._now()

    late = Audience(audience.store, clock)
    with ThreadPoolExecutor(1) as pool:
        with audience.store.write() as tx:
            tx.subscribers.change(one.id, audience._now(), state=SubscriberState.UNSUBSCRIBED)
            tx.subscribers.suppress(one.normal, Suppression.UNSUBSCRIBED, audience._now())
            answer = pool.submit(late.confirm, one.ref, how="page")
            begun.wait(10)
        answer.result()
    left = audience.of_ref(one.ref)
    assert left is not None and left.state is SubscriberState.UNSUBSCRIBED
    assert audience.find(ADDRESS)[1] is Suppression.UNSUBSCRIBED


def test_remove__keeps_a_digest_only(audience: Audience) -> None:
    """Of a removed person nothing is kept but what recognises her address."""
    bring_in(audience, person(ADDRESS, "news"))
    one, _ = audience.find(ADDRESS)
    assert one is not None
    audience.remove("reader@EXAMPLE.org", OFFICER)
    assert audience.find(ADDRESS) == (None, Suppression.REMOVED)
    assert audience.of_ref(one.ref) is None
    with audience.store._engine.connect() as connection:
        (kept,) = connection.execute(select(suppressions)).all()
    assert kept.digest == addresses.digest("reader@example.org")
    assert (kept.reason, kept.detail) == ("removed", "")


def test_remove__nobody(audience: Audience) -> None:
    """Who is not there cannot be removed, and it is said whether she ever was."""
    with pytest.raises(NotFoundError, match=r"nobody@example\.org"):
        audience.remove("nobody@example.org", OFFICER)
    bring_in(audience, person())
    audience.remove(ADDRESS, OFFICER)
    with pytest.raises(NotAllowedError, match="not there any more"):
        audience.remove(ADDRESS, OFFICER)


# --- by hand ----------------------------------------------------------------------------------------------------


def test_add__by_hand(audience: Audience) -> None:
    """One is added, put on more lists, or left as she is, and the log says who did it, never to which address."""
    assert audience.add(person(ADDRESS, "news"), OFFICER)
    assert audience.add(person(ADDRESS, "press"), OFFICER)
    assert not audience.add(person(ADDRESS, "press"), OFFICER)
    with audience.store.read() as tx:
        log = tx.log.of(OFFICE)
    one, _ = audience.find(ADDRESS)
    assert one is not None and one.lists == ("news", "press")
    assert [(entry.name, entry.actor, entry.detail["ref"]) for entry in log] == [
        ("subscriber.added", "Lin", one.ref),
        ("subscriber.changed", "Lin", one.ref),
    ]


def test_change__what_is_given(audience: Audience) -> None:
    """Only what is given changes."""
    bring_in(audience, person(ADDRESS, "news", "press"))
    one = audience.change(ADDRESS, OFFICER, reading=Reading.ZH)
    assert (one.name, one.reading, one.lists) == ("Reader", Reading.ZH, ("news", "press"))
    one = audience.change(ADDRESS, OFFICER, name=" New\nName ", lists=["press", "board"])
    assert (one.name, one.reading, one.lists) == ("New Name", Reading.ZH, ("board", "press"))
    with pytest.raises(NotFoundError):
        audience.change("nobody@example.org", OFFICER, name="x")
    with pytest.raises(UsageError):
        audience.change("nobody", OFFICER, name="x")


@pytest.mark.parametrize("name", ["", "a b", "新闻", "-x", "x" * 65, "a/b"])
def test_list_name__refused(name: str) -> None:
    """The name of a list is short and plain."""
    with pytest.raises(UsageError, match="not the name of a list"):
        list_name(name)
    assert list_name(" News_1 ") == "news_1"


def test_counts_and_reach(audience: Audience) -> None:
    """Counts by state, language and list; a newsletter to several lists reaches everybody once, and only the active."""
    bring_in(
        audience,
        person("a@example.org", "news", "press", reading=Reading.ZH),
        person("b@example.org", "news", reading=Reading.EN),
        person("c@example.org", "press", reading=Reading.EN),
        person("d@example.org"),
        person("e@example.org", "news"),
    )
    one, _ = audience.find("e@example.org")
    assert one is not None
    audience.unsubscribe(one.ref, how="page")
    asked(audience, "f@example.org")
    states, lists = audience.counts()
    assert states == {
        ("active", "zh"): 1,
        ("active", "en"): 2,
        ("active", "both"): 1,
        ("unsubscribed", "both"): 1,
        ("pending", "en"): 1,
    }
    assert lists == {"news": 2, "press": 2}
    assert audience.reach(["news", "press"]) == {Reading.ZH: 1, Reading.EN: 2, Reading.BOTH: 0}
    assert audience.reach(["press"]) == {Reading.ZH: 1, Reading.EN: 1, Reading.BOTH: 0}
    assert audience.reach(["nothing"]) == {Reading.ZH: 0, Reading.EN: 0, Reading.BOTH: 0}
    assert sum(audience.reach().values()) == 4
    assert [one.address for one in audience.all("news", SubscriberState.UNSUBSCRIBED)] == ["e@example.org"]


# --- asking and confirming --------------------------------------------------------------------------------------


def test_request__waits_for_her_word(audience: Audience) -> None:
    """Who asks is mailed, and gets nothing until she confirms; her consent is of the moment she asked and confirmed."""
    one = asked(audience, "林若兰 <lin＠例子.中国>")
    assert (one.state, one.address, one.name) == (
        SubscriberState.PENDING,
        "lin@xn--fsqu00a.xn--fiqs8s",
        "Reader",
    )
    assert sum(audience.reach().values()) == 0
    assert counted(bring_in(audience, person("lin@例子.中国"))) == (0, 0, 0, 1)
    assert audience.confirm(one.ref, how="page", detail="Mail/1.0") is not None
    found = audience.of_ref(one.ref)
    assert found is not None and found.state is SubscriberState.ACTIVE
    assert (found.consent.how, found.consent.text) == ("form", "I want it.")
    assert found.consent.at == audience._now()
    assert events(audience) == ["subscriber.asked", "subscriber.confirmed"]


def test_request__again(audience: Audience) -> None:
    """Asking again keeps the person and mails her again, on the lists of both; once she has confirmed, never."""
    one = asked(audience, ADDRESS, "news")
    again = asked(audience, "reader@EXAMPLE.org", "press")
    assert (again.ref, again.lists) == (one.ref, ("news", "press"))
    audience.confirm(one.ref, how="page")
    before = audience.of_ref(one.ref)
    assert audience.request(ADDRESS, "Thief", Reading.ZH, ("board",), "form", "") is None
    assert audience.of_ref(one.ref) == before


def test_request__no_address(audience: Audience) -> None:
    """What is no address is refused before anything is kept."""
    with pytest.raises(UsageError, match="is not a mail address"):
        audience.request("nobody", "", Reading.EN, ("news",), how="form", text="")
    assert list(audience.all()) == [] and events(audience) == []


def test_request__two_at_a_time(audience: Audience) -> None:
    """Two clicks on the same button make one person."""
    start = threading.Barrier(2)

    def work(_: int) -> Subscriber:
        start.wait()
        return asked(audience)

    with ThreadPoolExecutor(2) as pool:
        refs = {one.ref for one in pool.map(work, range(2))}
    assert len(refs) == 1


def test_ref__unknown(audience: Audience) -> None:
    """A ref that is nobody's changes nothing."""
    ref = "0123456789abcdef"
    assert audience.of_ref(ref) is None
    assert audience.confirm(ref, how="page") is None
    assert audience.unsubscribe(ref, how="page") is None
    assert audience.complained(ref, detail="") is None
    assert audience.bounced_hard(ref, detail="") is None
    assert audience.bounced_soft(ref, detail="") is None
    assert events(audience) == []


# --- leaving, bouncing, complaining -----------------------------------------------------------------------------


def test_unsubscribe__once_or_again(audience: Audience) -> None:
    """A second click says the same and does nothing; the log says once by what means and when."""
    one = confirmed(audience)
    for _ in range(2):
        left = audience.unsubscribe(one.ref, how="one-click", detail="Mail/1.0")
        assert left is not None and left.state is SubscriberState.UNSUBSCRIBED
    with audience.store.read() as tx:
        (entry,) = [entry for entry in tx.log.of(OFFICE) if entry.name == "subscriber.unsubscribed"]
    assert entry.detail == {"ref": one.ref, "how": "one-click", "detail": "Mail/1.0"}
    assert entry.at == audience._now()


@pytest.mark.parametrize(
    "said",
    [
        "550 5.1.1 <Reader@example.org>: user unknown",
        "550 reader@EXAMPLE.org is not here; rfc822;READER@example.org",
        "forwarded to other.person@example.net, which is full",
        "no\x00such\x1b[31m\r\nuser",
    ],
)
def test_log__has_no_address(audience: Audience, said: str) -> None:
    """What a server says is kept on one line and without an address, in the log as in the suppression list."""
    one = confirmed(audience)
    audience.bounced_hard(one.ref, detail=said)
    other = confirmed(audience, "second@example.org")
    audience.unsubscribe(other.ref, how="mailto", detail=f"{said} second@example.org")
    with audience.store.read() as tx:
        log = tx.log.of(OFFICE)
    with audience.store._engine.connect() as connection:
        kept = [row.detail for row in connection.execute(select(suppressions))]
    written = [str(value) for entry in log for value in entry.detail.values()] + kept
    assert not [text for text in written if "@" in text or not text.isprintable()]
    assert len(kept) == 2 and all(kept)


def test_bounced_soft__given_up_in_the_end(audience: Audience) -> None:
    """A full mailbox is given up after several newsletters, and her own new confirmation begins the count anew."""
    one = confirmed(audience)
    for number in range(1, SOFT_LIMIT + 1):
        found = audience.bounced_soft(one.ref, detail="4.2.2", mailing=number)
        state = SubscriberState.BOUNCED if number == SOFT_LIMIT else SubscriberState.ACTIVE
        assert found is not None and found.state is state
    assert audience.find(ADDRESS)[1] is Suppression.BOUNCED
    audience.bounced_soft(one.ref, detail="4.2.2", mailing=99)
    confirmed(audience)
    found = audience.bounced_soft(one.ref, detail="4.2.2", mailing=100)
    assert found is not None and found.state is SubscriberState.ACTIVE


def test_bounced_soft__one_letter_counts_once(audience: Audience) -> None:
    """Servers report one letter more than once: it counts once when a report of it is kept."""
    one = confirmed(audience)
    for number in range(2 * SOFT_LIMIT):
        audience.bounced_soft(one.ref, detail="4.2.2", mailing=7)
        with audience.store._engine.begin() as connection:
            kept = {"digest": f"{number:064}", "at": audience._now(), "kind": "soft"}
            connection.execute(insert(bounces).values(**kept, subscriber_id=one.id, delivery_id=7))
    found = audience.of_ref(one.ref)
    assert found is not None and found.state is SubscriberState.ACTIVE


def test_complained__after_leaving(audience: Audience) -> None:
    """Who has left and complains afterwards has complained."""
    one = confirmed(audience)
    audience.unsubscribe(one.ref, how="page")
    audience.complained(one.ref, detail="report")
    assert audience.find(ADDRESS)[1] is Suppression.COMPLAINED
    found = audience.of_ref(one.ref)
    assert found is not None and found.state is SubscriberState.COMPLAINED


@pytest.mark.parametrize("then", ["unsubscribed", "bounced"])
def test_complained__stays_so(audience: Audience, then: str) -> None:
    """A complaint is the strongest word: a click or a bounce after it does not open the form to her address again."""
    one = confirmed(audience)
    audience.complained(one.ref, detail="report")
    WAYS[then](audience, one)
    assert audience.find(ADDRESS)[1] is Suppression.COMPLAINED
    assert audience.request(ADDRESS, "", Reading.EN, ("news",), "form", "") is None
