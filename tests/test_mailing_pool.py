"""A mailing as a whole: how many connections, how fast, when it stops, and what then becomes of the letters."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from channels.mailing.pace import provider
from channels.mailing.queue import Queue
from publisher.channel import DeliveryError, Fate, Letter, Rejected, SignInFailed, Throttled, Unavailable
from tests.mailing_host import (
    CUT,
    HALF,
    PAYLOAD,
    PIPELINING,
    RESET,
    SILENT,
    Host,
    Ledger,
    adapter,
    encryption,
    mailed,
    settled,
)
from tests.mailing_letters import letter

Start = Callable[..., Host]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts scripted servers; all are stopped at the end."""
    hosts: list[Host] = []

    def started(*args: Any, **kwargs: Any) -> Host:
        hosts.append(Host(*args, **kwargs))
        return hosts[-1]

    yield started
    for host in hosts:
        host.stop()


# --- connections -----------------------------------------------------------------------------------------


class Gate:
    """A script that holds every message until ``count`` have come, over as many connections."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)

    def __call__(self, stage: str, number: int) -> str | None:
        if stage == "dot" and not self.barrier.broken:
            self.barrier.wait(5)
        return None


async def test_connections__as_many_as_set(start: Start) -> None:
    """Letters travel over all the connections at once, and over no more."""
    host = start(Gate(5))
    ledger = await mailed(host, 50, connections=5)
    assert len(ledger.of(Fate.SENT)) == 50
    assert host.peak == 5 == host.sessions


async def test_connections__fewer_letters(start: Start) -> None:
    """No more connections are opened than there are letters for."""
    host = start()
    await mailed(host, 2, connections=10)
    assert host.peak <= 2


async def test_connections__server_takes_fewer(start: Start) -> None:
    """A server that turns further connections away gets all letters over those that it takes."""
    host = start(most=2)
    ledger = await mailed(host, 60, connections=6)
    assert len(ledger.of(Fate.SENT)) == 60


@pytest.mark.parametrize("extensions", [PIPELINING, ()])
async def test_connections__few_messages_each(start: Start, extensions: tuple[str, ...]) -> None:
    """A connection is closed politely after its share of messages, and no envelope is begun in vain."""
    host = start(extensions=extensions)
    ledger = await mailed(host, 10, messages_per_connection=3)
    assert len(ledger.of(Fate.SENT)) == 10
    verbs = host.verbs()
    assert (host.sessions, verbs.count("QUIT"), verbs.count("MAIL")) == (4, 4, 10)


async def test_connections__closed_by_the_server_between_messages(start: Start) -> None:
    """A server that closes after some messages costs no letter that it answered, and the mailing goes on."""
    closing = {("MAIL", number): "421 4.7.0 enough" for number in (4, 8, 12)}
    ledger = await mailed(start(closing), 14)
    assert ledger.of(Fate.UNSENT) == [4, 8, 12]
    assert len(ledger.of(Fate.SENT)) == 11


async def test_connections__idle_ones_closed(start: Start) -> None:
    """A server that closes connections on which nothing happens costs nothing."""
    host = start(lambda stage, number: None)
    more = asyncio.Event()

    async def letters() -> AsyncIterator[Sequence[Letter]]:
        yield [letter(1)]
        await more.wait()
        yield [letter(2)]

    ledger = Ledger()
    task = asyncio.ensure_future(adapter(host).mail(PAYLOAD, letters(), ledger))
    await until(lambda: 1 in ledger.fates)
    host.hang_up()
    await until(lambda: host.open == 0)
    more.set()
    await task
    assert ledger.of(Fate.SENT) == [1, 2] and host.sessions == 2


async def until(true: Callable[[], bool]) -> None:
    """Waits until something that other threads do has happened."""
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


# --- when nothing can be sent -------------------------------------------------------------------------------


ENDS = [
    ({("greeting", 0): "554 no"}, {}, SignInFailed, "refuses to talk to this machine"),
    ({("greeting", 0): "421 busy"}, {}, Unavailable, "421 busy"),
    ({("greeting", 0): CUT}, {}, Unavailable, "broke the conversation off"),
    ({("greeting", 0): SILENT}, {"timeout": 0.2}, Unavailable, "timed out"),
    ({("MAIL", 1): "550 5.1.0 not you"}, {}, Rejected, "refuses the sender"),
    ({("MAIL", 1): "550 Sender frequency limited"}, {}, Throttled, "to wait"),
    ({("RCPT", 1): "530 5.7.0 Authentication required"}, {}, SignInFailed, "wants a sign-in"),
]


@pytest.mark.parametrize("extensions", [PIPELINING, ()])
@pytest.mark.parametrize(("script", "values", "error", "said"), ENDS)
async def test_mail__nothing_can_be_sent(
    start: Start,
    extensions: tuple[str, ...],
    script: dict[tuple[str, int], str],
    values: dict[str, Any],
    error: type[DeliveryError],
    said: str,
) -> None:
    """Where the server takes nothing at all the mailing ends at once, and no subscriber is blamed for it."""
    host, ledger = start(script, extensions=extensions), Ledger()
    with pytest.raises(error, match=said):
        await mailed(host, 6, ledger, **values)
    assert not host.taken and not ledger.begun
    assert set(ledger.fates.values()) <= {Fate.UNSENT}


async def test_mail__unreachable(start: Start) -> None:
    """A server that is not there is for later."""
    host = start()
    host.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await mailed(host, 3)


async def test_mail__wrong_password(start: Start) -> None:
    """A refused sign-in pauses the channel, and the password stays unsaid."""
    host = start(extensions=("AUTH PLAIN",))
    host.usual["AUTH"] = "535 5.7.8 no"
    with pytest.raises(SignInFailed, match="USERNAME and PASSWORD"):
        await mailed(host, 30, username="u", password="geheim", connections=10)
    assert host.sessions == 1, "one refusal is enough to know"
    assert "geheim" not in str(host.commands) and "MAIL" not in host.verbs()


EVERYBODY = [
    ("RCPT", "554 5.7.1 Relay access denied", Rejected, 24),
    ("dot", "554 5.7.1 <reader.{}@example.com> spam 4F{}ABCD", Rejected, 24),
    ("dot", "452 4.3.1 no space", Unavailable, 24),
    ("MAIL", "451 4.3.0 later", Unavailable, 24),
]


@pytest.mark.parametrize(("stage", "reply", "error", "count"), EVERYBODY)
async def test_mail__everybody_refused_alike(
    start: Start, stage: str, reply: str, error: type[DeliveryError], count: int
) -> None:
    """A server that refuses one after the other for a reason of ours does not go through the whole list."""
    host = start(lambda at, number: reply.replace("{}", str(number)) if at == stage else None)
    ledger = Ledger()
    with pytest.raises(error):
        await mailed(host, 100, ledger)
    blamed = len(ledger.fates) - len(ledger.of(Fate.UNSENT))
    assert blamed == count


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "450 4.7.1 Greylisted, try again"])
async def test_mail__everybody_refused_for_a_reason_of_their_own(start: Start, reply: str) -> None:
    """Dead addresses and greylisting are of each letter alone: the mailing goes through."""
    host = start(lambda stage, number: reply if stage == "RCPT" else None)
    ledger = await mailed(host, 60)
    assert len(ledger.of(Fate.REFUSED if reply[0] == "5" else Fate.DEFERRED)) == 60


async def test_mail__greylisted_then_taken(start: Start) -> None:
    """What was put off is taken when it is tried again, under the same Message-ID."""
    seen: set[int] = set()

    def greylist(stage: str, number: int) -> str | None:
        if stage != "RCPT" or number in seen:
            return None
        seen.add(number)
        return "451 4.7.1 Greylisted"

    host = start(greylist)
    assert len((await mailed(host, 5)).of(Fate.DEFERRED)) == 5
    assert len((await mailed(host, 5)).of(Fate.SENT)) == 5


@pytest.mark.parametrize(
    ("stage", "action"), [("MAIL", CUT), ("body", HALF), ("dot", CUT), ("RCPT", "hello")]
)
async def test_mail__server_breaks_off_again_and_again(start: Start, stage: str, action: str) -> None:
    """A server on which every connection breaks costs a few letters, not all."""
    host, ledger = start(lambda at, number: action if at == stage else None), Ledger()
    with pytest.raises(Unavailable, match="one connection of newsletter after the other"):
        await mailed(host, 200, ledger, connections=2)
    assert len(ledger.begun) <= 8
    assert len(ledger.of(Fate.UNKNOWN)) == len(ledger.begun)


# --- the other side ------------------------------------------------------------------------------------------


async def test_mail__cancelled(start: Start) -> None:
    """Called off, it finishes what is under way and begins nothing more."""
    reached, go = threading.Event(), threading.Event()

    def hold(stage: str, number: int) -> str | None:
        if stage == "dot":
            reached.set()
            go.wait(5)
        return None

    host, ledger = start(hold), Ledger()
    task = asyncio.ensure_future(mailed(host, 50, ledger, connections=1))
    await asyncio.to_thread(reached.wait, 5)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.of(Fate.SENT) == [1] == ledger.begun
    assert len(ledger.of(Fate.UNSENT)) == len(ledger.fates) - 1


async def test_mail__cancelled_twice(start: Start) -> None:
    """Called off again, it ends at once: what has begun may have been sent."""
    reached = threading.Event()

    def hold(stage: str, number: int) -> str | None:
        if stage == "dot":
            reached.set()
            return SILENT
        return None

    host, ledger = start(hold), Ledger()
    task = asyncio.ensure_future(mailed(host, 50, ledger))
    await asyncio.to_thread(reached.wait, 5)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ledger.of(Fate.UNKNOWN) == [1]


async def test_mail__letters_cannot_be_had(start: Start) -> None:
    """What the source of letters raises comes out, when the letters under way have their fates."""

    async def letters() -> AsyncIterator[Sequence[Letter]]:
        yield [letter(1), letter(2)]
        raise RuntimeError("no database")

    host, ledger = start(), Ledger()
    with pytest.raises(RuntimeError, match="no database"):
        await adapter(host).mail(PAYLOAD, letters(), ledger)
    settled(host, ledger, [letter(1), letter(2)])
    assert set(ledger.fates) == {1, 2}


async def test_mail__letters_cannot_be_had_any_more(start: Start) -> None:
    """When the source of letters breaks, what is under way is finished and nothing more begins."""
    reached, go = threading.Event(), threading.Event()

    def hold(stage: str, number: int) -> None:
        if stage == "dot":
            reached.set()
            go.wait(5)

    async def letters() -> AsyncIterator[Sequence[Letter]]:
        yield [letter(n) for n in range(1, 51)]
        await asyncio.to_thread(reached.wait, 5)
        raise RuntimeError("no database")

    host, ledger = start(hold), Ledger()
    task = asyncio.ensure_future(adapter(host).mail(PAYLOAD, letters(), ledger))
    await until(reached.is_set)
    await asyncio.sleep(0.1)
    go.set()
    with pytest.raises(RuntimeError, match="no database"):
        await task
    assert ledger.begun == [1] == ledger.of(Fate.SENT) and len(ledger.of(Fate.UNSENT)) == 49


async def test_mail__slow_letters_do_not_pile_up(start: Start) -> None:
    """Letters for a slow provider are held back up to a limit, after which no more groups are asked for."""
    pulled = 0

    async def letters() -> AsyncIterator[Sequence[Letter]]:
        nonlocal pulled
        for group in range(40):
            pulled += 1
            yield [letter(group * 200 + n, address=f"r{n}@qq.com") for n in range(1, 201)]

    host, ledger = start(), Ledger()
    task = asyncio.ensure_future(adapter(host, domain_pace="qq.com=0.1").mail(PAYLOAD, letters(), ledger))
    await until(lambda: bool(ledger.fates))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 10 <= pulled <= 12
    assert len(ledger.fates) == pulled * 200


@pytest.mark.parametrize("method", ["begin", "end"])
async def test_mail__record_fails(start: Start, method: str) -> None:
    """What cannot be written down is not begun, and what ended meanwhile is still told."""

    class Full(Ledger):
        def begin(self, number: int) -> bool:
            if method == "begin" and number == 3:
                raise OSError("no space")
            return super().begin(number)

        def end(self, number: int, fate: Fate, answer: str) -> None:
            super().end(number, fate, answer)
            if method == "end" and number == 3:
                raise OSError("no space")

    host, ledger = start(), Full()
    with pytest.raises(OSError, match="no space"):
        await mailed(host, 20, ledger)
    assert len(ledger.fates) == 20 or set(ledger.fates) >= {1, 2, 3, 4}
    assert len(ledger.begun) <= 4


async def test_mail__pulls_only_what_it_needs(start: Start) -> None:
    """Of an endless list only a few groups are in memory while the server is slow."""
    go = threading.Event()

    def hold(stage: str, number: int) -> None:
        if stage == "dot":
            go.wait(5)

    host = start(hold)
    pulled = 0

    async def letters() -> AsyncIterator[Sequence[Letter]]:
        nonlocal pulled
        for group in range(20):
            pulled += 1
            yield [letter(group * 100 + n) for n in range(1, 101)]

    ledger = Ledger()
    task = asyncio.ensure_future(adapter(host, connections=3).mail(PAYLOAD, letters(), ledger))
    await until(lambda: len(ledger.begun) >= 3)
    await asyncio.sleep(0.05)
    assert pulled <= 4
    go.set()
    await task
    assert len(ledger.of(Fate.SENT)) == 2000


async def test_mail__loop_stays_free(start: Start) -> None:
    """The event loop is never held up for long while letters go out."""
    host, longest = start(), 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.001)
            longest = max(longest, time.monotonic() - begun)

    watching = asyncio.ensure_future(watch())
    await mailed(host, 500, connections=4)
    watching.cancel()
    assert longest < 0.5


# --- pace ----------------------------------------------------------------------------------------------------


async def test_pace__of_the_server(start: Start) -> None:
    """No more messages a second than set, in any second."""
    times: list[float] = []
    host = start(lambda stage, number: times.append(time.monotonic()) if stage == "RCPT" else None)
    await mailed(host, 20, per_second=50, connections=4)
    assert times[-1] - times[0] >= 19 / 50 - 0.05


async def test_pace__of_a_provider(start: Start) -> None:
    """Recipients of one provider wait, and the others pass them by."""
    slow = {n: ("qq.com", "foxmail.com", "FoxMail.com")[n % 3] for n in range(1, 7)}
    people = [letter(n, address=f"reader.{n}@{slow.get(n, 'example.com')}") for n in range(1, 31)]
    order: list[tuple[int, float]] = []
    host = start(lambda stage, n: order.append((n, time.monotonic())) if stage == "RCPT" else None)
    ledger = await mailed(host, people, domain_pace="qq.com=20", connections=4)
    assert len(ledger.of(Fate.SENT)) == 30
    at = dict(order)
    assert max(at[n] for n in slow) - min(at[n] for n in slow) >= 5 / 20 - 0.05
    assert max(at[n] for n in at if n not in slow) < max(at[n] for n in slow)


def test_queue__hands_out_each_once() -> None:
    """Whatever the paces, every letter comes out once, in order within its provider, never before its time."""
    people = [letter(n, address=f"r{n}@{['qq.com', 'yeah.net', 'b.org'][n % 3]}") for n in range(30)]
    queue, now, found = Queue(100, {"qq.com": 10, "163.com": 5, "126.com": 2}), 1000.0, []
    queue.add(people)
    while len(queue):
        if one := queue.take(now):
            found.append((one, now))
        else:
            assert queue.wait(now) > 0
            now += queue.wait(now)
    assert sorted(one.number for one, _ in found) == list(range(30))
    for domain, rate in (("qq.com", 10), ("163.com", 2)):
        mine = [at for one, at in found if provider(one.address.partition("@")[2]) == domain]
        assert mine == sorted(mine)
        assert mine[-1] - mine[0] == pytest.approx((len(mine) - 1) / rate, abs=0.03)


# --- storms --------------------------------------------------------------------------------------------------

FAULTS = [
    ("MAIL", "451 4.3.0 later"), ("MAIL", CUT), ("MAIL", "421 4.3.2 closing"), ("MAIL", "hello"),
    ("RCPT", "450 4.2.1 later"), ("RCPT", "550 5.1.1 never"), ("RCPT", CUT), ("RCPT", RESET), ("RCPT", "299 what"),
    ("DATA", "450 4.2.1 later"), ("DATA", "554 5.6.0 never"), ("DATA", CUT), ("DATA", "250 what"),
    ("body", HALF), ("body", RESET), ("dot", "451 4.3.0 later"), ("dot", "550 5.6.0 never"), ("dot", CUT),
    ("dot", RESET), ("dot", "299 what"), ("dot", "hello"), ("dot", "421 4.3.2 closing"), ("dot", SILENT),
    ("RCPT", SILENT),
]  # fmt: skip


@pytest.mark.parametrize("extensions", [PIPELINING, ()])
@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("seed", range(3))
async def test_storm__each_letter_has_one_true_fate(
    start: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    protected: bool,
    extensions: tuple[str, ...],
) -> None:
    """Faults at random over several connections: none is sent twice, none is lost, no fate is a lie."""
    print(f"seed {seed}")
    source = random.Random(seed)
    faults = {number: source.choice(FAULTS) for number in range(1, 301) if source.random() < 0.15}
    more = {"tls": encryption(tmp_path, monkeypatch)} if protected else {}
    host = start(
        {(stage, number): action for number, (stage, action) in faults.items()},
        extensions=extensions,
        bytewise=seed == 2,
        **more,
    )
    how = {"host": "localhost", "security": "tls"} if protected else {}
    ledger = await mailed(
        host, 300, connections=5, timeout=0.6, answer_timeout=0.6, messages_per_connection=40, **how
    )
    assert len(ledger.fates) == 300
    clean = set(range(1, 301)) - set(faults)
    assert {ledger.fates[n] for n in clean} <= {Fate.SENT, Fate.UNSENT, Fate.UNKNOWN}
    assert len(ledger.of(Fate.UNKNOWN)) <= sum(stage in ("body", "dot") for stage, _ in faults.values()) + 10
