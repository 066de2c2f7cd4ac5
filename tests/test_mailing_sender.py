"""Letters over SMTP: the fate of each, stage by stage, against a server that follows a script."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.mailing.payload import build
from publisher.channel import Fate, Rejected
from tests.mailing_host import (
    CUT,
    EARLY,
    EARLY_OK,
    HALF,
    PIPELINING,
    RESET,
    SILENT,
    Host,
    Ledger,
    adapter,
    encryption,
    groups,
    mailed,
    settled,
)
from tests.mailing_letters import letter, letterhead, variant

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


WAYS = {
    "pipelined": {"extensions": PIPELINING},
    "one by one": {"extensions": ()},
    "bytewise": {"extensions": PIPELINING, "bytewise": True},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [0, 1, 2, 33])
async def test_mail__all_sent(start: Start, way: str, count: int) -> None:
    """Every letter is taken once, whatever the server offers, and over one connection."""
    host = start(**WAYS[way])
    ledger = await mailed(host, count)
    assert ledger.of(Fate.SENT) == list(range(1, count + 1)) == sorted(host.numbers())
    assert host.sessions == min(count, 1)
    assert all(answer == "250 2.0.0 queued as 4F00B4R" for answer in ledger.answers.values())
    assert host.verbs().count("QUIT") == min(count, 1)


@pytest.mark.parametrize("way", ["pipelined", "one by one"])
async def test_mail__over_tls(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An encrypted connection carries the same, large letters too."""
    context = encryption(tmp_path, monkeypatch)
    host = start(tls=context, **WAYS[way])
    ledger = await mailed(host, 40, host="localhost", security="tls", connections=3)
    assert len(ledger.of(Fate.SENT)) == 40


LATER, NEVER, SENSELESS = "450 4.2.1 later", "550 5.2.1 never", "299 what"
ONE_FATE = [
    ("MAIL", LATER, Fate.DEFERRED, True),
    ("MAIL", CUT, Fate.UNSENT, False),
    ("MAIL", SILENT, Fate.UNSENT, False),
    ("MAIL", SENSELESS, Fate.UNSENT, False),
    ("MAIL", "hello", Fate.UNSENT, False),
    ("MAIL", "421 4.3.2 closing", Fate.UNSENT, False),
    ("RCPT", LATER, Fate.DEFERRED, True),
    ("RCPT", NEVER, Fate.REFUSED, True),
    ("RCPT", "550 Domain frequency limited", Fate.DEFERRED, True),
    ("RCPT", "550 Mailbox unavailable or access denied", Fate.DEFERRED, True),
    ("RCPT", "451 DT:SPM 163 smtp1", Fate.DEFERRED, True),
    ("RCPT", "421 HL:REP 163 smtp1", Fate.DEFERRED, False),
    ("RCPT", CUT, Fate.UNSENT, False),
    ("RCPT", SILENT, Fate.UNSENT, False),
    ("RCPT", SENSELESS, Fate.UNSENT, False),
    ("DATA", LATER, Fate.DEFERRED, True),
    ("DATA", "554 5.6.0 never", Fate.REFUSED, True),
    ("DATA", "250 2.0.0 Ok", Fate.UNSENT, False),
    ("DATA", CUT, Fate.UNSENT, False),
    ("DATA", SILENT, Fate.UNSENT, False),
    ("DATA", "354 go ahead\r\n250 2.0.0 out of turn", Fate.UNSENT, False),
    ("body", HALF, Fate.UNKNOWN, False),
    ("body", RESET, Fate.UNKNOWN, False),
    ("body", SILENT, Fate.UNKNOWN, False),
    ("dot", LATER, Fate.DEFERRED, True),
    ("dot", NEVER, Fate.REFUSED, True),
    ("dot", "550 Connection frequency limited", Fate.DEFERRED, True),
    ("dot", "451 DT:SPM 163 smtp1", Fate.DEFERRED, True),
    ("dot", "421 4.3.2 closing", Fate.DEFERRED, False),
    ("dot", CUT, Fate.UNKNOWN, False),
    ("dot", RESET, Fate.UNKNOWN, False),
    ("dot", SILENT, Fate.UNKNOWN, False),
    ("dot", SENSELESS, Fate.UNKNOWN, False),
    ("dot", "354 what", Fate.UNKNOWN, False),
    ("dot", "hello", Fate.UNKNOWN, False),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("stage", "action", "fate", "goes_on"), ONE_FATE)
async def test_mail__one_meets_a_fault(
    start: Start, way: str, stage: str, action: str, fate: Fate, goes_on: bool
) -> None:
    """A fault costs its own letter, and the one whose envelope has left behind it where the connection is lost."""
    host = start({(stage, 3): action}, **WAYS[way])
    patience = {"timeout": 0.3, "answer_timeout": 0.3} if action == SILENT else {}
    ledger = await mailed(host, **patience)
    assert ledger.fates[3] is fate
    behind = stage in ("body", "dot") and not goes_on and way != "one by one"
    assert ledger.of(Fate.UNSENT) == [
        n for n in (3, 4) if (n == 3 and fate is Fate.UNSENT) or (n == 4 and behind)
    ]
    assert len(ledger.of(Fate.SENT)) == (4 if behind else 5)
    assert host.sessions == (1 if goes_on else 2)


EARLY_FATES = [
    (EARLY, Fate.DEFERRED, "452 4.3.1 early"),
    (EARLY_OK, Fate.UNKNOWN, "the server spoke out of turn"),
]


@pytest.mark.parametrize(("action", "fate", "answer"), EARLY_FATES)
async def test_mail__answered_too_early(start: Start, action: str, fate: Fate, answer: str) -> None:
    """A refusal before the end of a message stands, and its final dot never leaves; a 250 would mean nothing."""
    payload = build(variant(text="河流与城市" * 400_000), letterhead())
    host = start({("body", 1): action}, extensions=("PIPELINING",))
    host.listening.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 65536
    )  # so that it cannot leave as a whole
    ledger, people = Ledger(), [letter(1), letter(2)]
    await adapter(host).mail(payload, groups(people), ledger)
    settled(host, ledger, people)
    assert ledger.fates == {1: fate, 2: Fate.UNSENT}
    assert ledger.answers[1] == answer and ledger.begun == [1]


async def test_mail__too_large_for_the_server(start: Start) -> None:
    """Where the server says that it takes no message of this size, nobody is blamed and nothing is begun."""
    host, ledger = start(extensions=("PIPELINING", "SIZE 500")), Ledger()
    with pytest.raises(Rejected, match="messages of 500 bytes at most"):
        await mailed(host, 5, ledger)
    assert not ledger.begun and ledger.of(Fate.UNSENT) == [1, 2, 3, 4, 5] and "MAIL" not in host.verbs()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("data", ["354 go ahead", "503 no"])
async def test_mail__invited_without_a_recipient(start: Start, way: str, data: str) -> None:
    """A server that asks for a message although nobody was accepted gets a lone dot, and the next letter goes out."""
    host = start({("RCPT", 2): "450 4.2.1 later", ("DATA", 2): data}, **WAYS[way])
    ledger = await mailed(host, 4)
    assert ledger.of(Fate.SENT) == [1, 3, 4] and ledger.of(Fate.DEFERRED) == [2]
    assert host.lone_dots == (data[0] == "3" and way != "one by one")
    assert host.verbs().count("RSET") == 1
    assert host.sessions == 1


async def test_mail__withdrawn(start: Start) -> None:
    """Nothing leaves of a letter that must not begin: the connection is closed, and others go on over another."""
    host = start()
    ledger = await mailed(host, 6, Ledger(refuse={2, 3}))
    assert ledger.of(Fate.UNSENT) == [2, 3] and ledger.of(Fate.SENT) == [1, 4, 5, 6]
    assert host.lone_dots == 0


async def test_mail__all_withdrawn(start: Start) -> None:
    """A mailing none of whose letters may begin any more does not open a connection for each of them."""
    host = start()
    ledger = await mailed(host, 200, Ledger(refuse=range(1, 201)))
    assert len(ledger.of(Fate.UNSENT)) == 200 and host.sessions <= 11


@pytest.mark.parametrize("offered", [("SMTPUTF8", "8BITMIME", "PIPELINING"), ("8BITMIME", "PIPELINING")])
async def test_mail__address_in_unicode(start: Start, offered: tuple[str, ...]) -> None:
    """An address that is not ASCII before its @ is sent as it is where the server can, else refused and explained."""
    host = start(extensions=offered)
    chinese = letter(2, address="读者@example.com")
    ledger = await mailed(host, [letter(1), chinese, letter(3)])
    assert ledger.of(Fate.SENT) == ([1, 2, 3] if "SMTPUTF8" in offered else [1, 3])
    if "SMTPUTF8" in offered:
        (mail,) = (command for command in host.commands if "SMTPUTF8" in command)
        assert mail.endswith(" BODY=8BITMIME SMTPUTF8")
        assert "RCPT TO:<读者@example.com>" in host.commands
    else:
        assert "SMTPUTF8" in ledger.answers[2] and ledger.fates[2] is Fate.REFUSED


async def test_mail__extensions(start: Start) -> None:
    """Size, the kind of report and the letter's own mark are said where the server takes them."""
    host = start(extensions=("PIPELINING", "SIZE", "DSN"))
    await mailed(host, [letter(1, address="a+b=c@example.com")])
    size = len(host.taken[0][1])
    token = letter(1).bounce
    assert host.commands[1:3] == [
        f"MAIL FROM:<bounces+b-{token}@news.example.org> SIZE={size} RET=HDRS ENVID={token}",
        "RCPT TO:<a+b=c@example.com> NOTIFY=FAILURE ORCPT=rfc822;a+2Bb+3Dc@example.com",
    ]


async def test_mail__letter_that_cannot_be_composed(start: Start) -> None:
    """A letter whose address no message can carry is refused, and nothing of it is said to the server."""
    host = start()
    ledger = await mailed(host, [letter(1), letter(2, address="a>\r\nRCPT TO:<b@example.com"), letter(3)])
    assert ledger.of(Fate.REFUSED) == [2] and ledger.of(Fate.SENT) == [1, 3]
    assert host.verbs().count("RCPT") == 2
