"""Letters over SMTP: the fate of each, stage by stage, against a server that follows a script."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from publisher.channel import Fate
from tests.mailing_host import CUT, HALF, PIPELINING, RESET, SILENT, Host, mailed

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


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed, made for this run."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so no certificate can be made")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command = [
        *make.split(),
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        f"{path}.key",
        "-out",
        str(path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return path


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
    start: Start, certificate: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An encrypted connection carries the same, large letters too."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, f"{certificate}.key")
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
