"""The newsletter to its subscribers through a real Postfix into real mailboxes, its worker killed on the way.

PUBLISHER_REAL_DOCUMENT names another announcement than the sample that ships.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import dkim
import httpx
import pytest

from channels.mailing import keys
from tests.real.office import Office, environment
from tests.real.servers.mail import OFFICE, PASSWORD, READERS, USER, MailServer, Received
from tests.real.test_pages import SAMPLES, TITLE_EN

DOCUMENT = Path(os.environ.get("PUBLISHER_REAL_DOCUMENT", SAMPLES / "sample.txt"))
READINGS = ("zh", "en", "both")
CONNECTIONS = 4
_HAN, _LATIN = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"\b(?:the|and|of)\b")


def bureau(folder: Path, mail: MailServer, port: int, *, per_second: int = 0) -> Office:
    """An office with a site and a newsletter that is sent, encrypted and signed in, to its own subscribers."""
    records = {}
    settings = {}
    for algorithm, name in ((keys.Algorithm.RSA, "dkim"), (keys.Algorithm.ED25519, "dkim_ed25519")):
        pem, record = keys.generate(algorithm)
        path = folder / f"{name}.pem"
        folder.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(pem, encoding="ascii")
        settings |= {f"{name}_key": str(path), f"{name}_selector": name.replace("_", "-")}
        records[f"{settings[f'{name}_selector']}._domainkey.{OFFICE}"] = record
    mail.publish_keys(records)
    newsletter = {
        "adapter": "mailing",
        "host": mail.host,
        "port": str(mail.submission),
        "username": USER,
        "password": PASSWORD,
        "sender": f"云岭交流协会 Yunling Association <newsletter@{OFFICE}>",
        "bounces": f"bounces@{OFFICE}",
        "list_id": f"announce.{OFFICE}",
        "connections": str(CONNECTIONS),
        "per_second": str(per_second),
        **settings,
    }
    website = {"adapter": "static_site", "folder": "site", "url": f"https://{OFFICE}/"}
    return Office(
        folder,
        {"website": website, "newsletter": newsletter},
        url=f"http://127.0.0.1:{port}/",
        secret=secrets.token_hex(32),
    )


def subscribed(office: Office, count: int) -> dict[str, str]:
    """Imports so many subscribers; what each of them reads, by address."""
    readers = {f"reader{number}@{READERS}": READINGS[number % 3] for number in range(count)}
    lines = [f'{address},"读者 {number}",{reads}' for number, (address, reads) in enumerate(readers.items())]
    table = office.folder / "subscribers.csv"
    table.write_text("\n".join(["邮箱,姓名,语言", *lines]) + "\n", encoding="utf-8-sig")
    office.run("subscribers", "import", str(table), "--consent-how", "登记表")
    return readers


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def worker(office: Office) -> Iterator[subprocess.Popen[bytes]]:
    """``publisher worker``, killed at the end of the block."""
    with (office.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "publisher", "worker", "--env", str(office.env)],
            stdout=log, stderr=log, cwd=office.folder, env=environment(),
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextmanager
def served(office: Office, port: int) -> Iterator[None]:
    """``publisher serve``: the pages alone."""
    with (office.folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "publisher", "serve", "--without-worker", "--port", str(port),
             "--env", str(office.env)],
            stdout=log, stderr=log, cwd=office.folder, env=environment(),
        )  # fmt: skip
        try:
            _until(lambda: _answers(port), process)
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _leaves(office: Office, received: Received) -> None:
    """One-click by the header of a message (RFC 8058): to look changes nothing, the POST ends the subscription."""
    message = parsed(received)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.search(
        r"h=[^;]*list-unsubscribe:[^;]*list-unsubscribe-post", _unfolded(message["DKIM-Signature"])
    )
    address = message["List-Unsubscribe"].split(",")[0].strip("<> ")
    assert httpx.get(address).status_code == 200
    assert _state(office, received.recipient) == "active"
    answer = httpx.post(address, data={"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.history) == (200, [])
    assert _state(office, received.recipient) == "unsubscribed"


def _unfolded(header: str) -> str:
    return re.sub(r"\s", "", header)


def _state(office: Office, address: str) -> str:
    shown = json.loads(office.run("subscribers", "show", address, "--json"))
    return str(shown["subscriber"]["state"])


def killed(office: Office, mail: MailServer, key: str, readers: int, kills: int) -> None:
    """Sends it all, while the worker is killed so many times, about evenly over the mailing."""
    for kill in range(1, kills + 1):
        with worker(office) as process:
            _until(lambda kill=kill: mail.arrived() >= readers * kill // (kills + 1), process)
    with worker(office) as process:
        _until(lambda: _is_settled(office, key), process)


def _until(done: object, process: subprocess.Popen[bytes], timeout: float = 300.0) -> None:
    deadline = time.monotonic() + timeout
    while not done():  # type: ignore[operator]
        assert process.poll() is None, "the worker ended by itself"
        assert time.monotonic() < deadline, "the newsletter is not out"
        time.sleep(0.01)  # an arbitrary moment is wanted, and files are all there is to see


def _is_settled(office: Office, key: str) -> bool:
    time.sleep(0.5)  # asking is a process of its own
    return (
        newsletter(office, key)["state"] in ("accepted", "uncertain")
        and not newsletter(office, key)["due_at"]
    )


def newsletter(office: Office, key: str) -> dict[str, object]:
    """The newsletter's delivery."""
    return next(one for one in office.deliveries(key) if one["channel"] == "newsletter")


def reads(message: email.message.EmailMessage) -> str:
    """In which languages a message is."""
    part = message.get_body(("plain",))
    assert part is not None
    text = str(part.get_content())
    found = [code for code, pattern in (("zh", _HAN), ("en", _LATIN)) if len(pattern.findall(text)) > 20]
    return found[0] if len(found) == 1 else "both"


def parsed(received: Received) -> email.message.EmailMessage:
    """The message."""
    message = email.message_from_bytes(received.sent, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


@pytest.mark.parametrize(
    ("count", "kills"), [(300, 3), pytest.param(10_000, 20, marks=pytest.mark.slow)], ids=["300", "10000"]
)
def test_newsletter__everyone_once(
    mail: MailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, kills: int
) -> None:
    """Everyone gets it exactly once, in her language, signed; only what was under way at a kill is in doubt."""
    monkeypatch.setenv("SSL_CERT_FILE", str(mail.ca))
    port = free_port()
    office = bureau(tmp_path / "office", mail, port, per_second=0 if count > 1000 else 100)
    readers = subscribed(office, count)
    key = office.published(DOCUMENT, "--title-en", TITLE_EN)
    began = time.monotonic()
    killed(office, mail, key, count, kills)
    print(f"{count} readers, {kills} kills, {time.monotonic() - began:.0f} s")
    _settle(office, key, mail, kills)
    got = mail.wait_for(count, timeout=120)
    assert Counter(one.recipient for one in got) == Counter(readers.keys())
    _right(got, readers, office)
    with served(office, port):
        _leaves(office, got[count // 2])


def _settle(office: Office, key: str, mail: MailServer, kills: int) -> None:
    """A person looks up those in doubt, here in their mailboxes, and has those without it sent again."""
    found = newsletter(office, key)
    doubtful = {str(one["address"]) for one in found.get("in_doubt", [])}  # type: ignore[attr-defined]
    print(f"in doubt: {len(doubtful)}; {found['reason']}")
    assert len(doubtful) <= kills * CONNECTIONS
    if not doubtful:
        return
    _wait_until_quiet(mail)
    have = {one.recipient for one in mail.mail()}
    missing = sorted(doubtful - have)
    if missing:
        office.run("resolve", str(found["key"]), "--not-delivered", *missing)
        with worker(office) as process:
            _until(lambda: _is_settled(office, key), process)
    if newsletter(office, key)["state"] == "uncertain":
        office.run("resolve", str(found["key"]), "--delivered")
    assert newsletter(office, key)["state"] == "accepted"


def _wait_until_quiet(mail: MailServer) -> None:
    deadline = time.monotonic() + 60
    while mail.queued() and time.monotonic() < deadline:
        time.sleep(0.1)


def _right(got: Sequence[Received], readers: dict[str, str], office: Office) -> None:
    """The language of each, and its signatures, by OpenDKIM and, for some, by dkimpy."""
    records = {
        f"{selector}._domainkey.{OFFICE}.".encode(): keys.record(
            keys.read(office.folder / f"{name}.pem")
        ).encode()
        for selector, name in (("dkim", "dkim"), ("dkim-ed25519", "dkim_ed25519"))
    }
    ids = set()
    for index, one in enumerate(got):
        message = parsed(one)
        assert reads(message) == readers[one.recipient], one.recipient
        assert one.verdict.startswith("dkim=pass (2048-bit key"), one.verdict
        ids.add(message["Message-ID"])
        if index % max(1, len(got) // 50) == 0:
            assert dkim.verify(one.sent, dnsfunc=lambda name, timeout=5: records[name])
    assert len(ids) == len(got)
