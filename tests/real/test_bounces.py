"""Bounces that a real Postfix writes, fetched over IMAP from a real Dovecot: encrypted, once, and through a crash."""

from __future__ import annotations

import contextlib
import os
import shutil
import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from publisher.bounces import Kind
from publisher.errors import PublisherError
from publisher.returns import Collector, mailbox
from publisher.settings import ImapAccount, imap_account
from publisher.store import Store
from publisher.subscriber import SubscriberState
from publisher.tokens import Purpose
from tests.real import certificate
from tests.real.process import Process, free_port, scratch
from tests.real.servers.mail import FORWARDED, OFFICE, MailServer
from tests.test_returns import Desk

_OWNER = 5000
_PASSWORD = "p@ss/word #1"
_CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:{mail}/%u
mail_fsync = never
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={owner} gid={owner} home={mail}/%u
}}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = .
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


class Imap:
    """Dovecot with TLS, over a folder of Maildirs; ``office`` is the one account. ``ca`` is its certificate's authority."""

    def __init__(self, mail: Path | None = None, prefix: str = "") -> None:
        self.folder = scratch("imap")
        self.mail = mail or self.folder / "mail"
        self.imap, self.imaps = free_port(), free_port()
        self.mail.mkdir(exist_ok=True)
        shutil.chown(self.mail, _OWNER, _OWNER)
        self.ca = certificate.write(self.folder)
        (self.folder / "users").write_text(f"office:{{PLAIN}}{_PASSWORD}\n")
        conf = _CONFIGURATION.format(
            folder=self.folder, mail=self.mail, owner=_OWNER, imap=self.imap, imaps=self.imaps, prefix=prefix
        )
        (self.folder / "dovecot.conf").write_text(conf)
        self.start()

    def start(self) -> None:
        """Starts Dovecot, again where it was stopped."""
        shutil.rmtree(
            self.folder / "run", ignore_errors=True
        )  # it was killed, and would take itself for running
        command = ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")]
        self._process = Process(command, self.folder / "out", grace=0.05)
        self._process.wait_until(lambda: _listens(self.imaps))

    def stop(self) -> None:
        """Ends Dovecot; the mail stays."""
        self._process.stop()

    def address(self, scheme: str = "imaps", password: str = "p%40ss%2Fword%20%231") -> SecretStr:
        """The mailbox as an administrator writes it down."""
        port = self.imaps if scheme == "imaps" else self.imap
        return SecretStr(f"{scheme}://office:{password}@localhost:{port}/INBOX")

    def account(self, scheme: str = "imaps") -> ImapAccount:
        """The mailbox."""
        return imap_account(self.address(scheme))

    def put(self, name: str, raw: bytes) -> None:
        """A message arrives."""
        for part in ("tmp", "cur", "new"):
            (self.mail / "office" / part).mkdir(parents=True, exist_ok=True)
        path = self.mail / "office" / "new" / name
        path.write_bytes(raw)
        for one in [path, *path.parents][:4]:
            shutil.chown(one, _OWNER, _OWNER)
        shutil.chown(self.mail / "office" / "tmp", _OWNER, _OWNER)
        shutil.chown(self.mail / "office" / "cur", _OWNER, _OWNER)

    def count(self, folder: str = "") -> int:
        """How many messages are in the mailbox, or in one of its folders."""
        place = self.mail / "office" / (f".{folder}" if folder else "")
        return sum(len(os.listdir(place / part)) for part in ("new", "cur") if (place / part).is_dir())


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def imap(monkeypatch: pytest.MonkeyPatch) -> Iterator[Imap]:
    """A mailbox, whose server's certificate is trusted."""
    server = Imap()
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Li has subscribed."""
    store = Store.open(tmp_path / "home")
    yield Desk(store)
    store.close()


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_fetch__once_and_sorted(imap: Imap, desk: Desk, scheme: str) -> None:
    """Every message is acted on once and moved: what a person must look at into a folder of its own."""
    for name in ("qmail", "person", "vacation"):
        imap.put(name, desk.raw(name))
    first = mailbox.empty(imap.account(scheme), desk.returns)
    assert (first.read, first.kinds) == (3, {Kind.HARD: 1, Kind.UNKNOWN: 1, Kind.AUTOMATIC: 1})
    assert (imap.count(), imap.count("Processed"), imap.count("Unknown")) == (0, 2, 1)
    assert desk.li.state is SubscriberState.BOUNCED
    assert mailbox.empty(imap.account(scheme), desk.returns).read == 0


def test_fetch__many(imap: Imap, desk: Desk) -> None:
    """More messages than are asked for at a time."""
    for number in range(60):
        imap.put(f"m{number}", desk.raw("postfix-delayed") + b"%d\n" % number)
    assert mailbox.empty(imap.account(), desk.returns).new == 60
    assert (imap.count(), imap.count("Processed")) == (0, 60)


def test_fetch__crash(imap: Imap, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between the store and the mailbox: nothing is lost, and nothing counts twice."""
    imap.put("a", desk.raw("outlook-full", 1))
    imap.put("b", desk.raw("qmail-remote", 2))
    with monkeypatch.context() as patched:
        patched.setattr("imap_tools.BaseMailBox.move", _crash)
        with pytest.raises(MemoryError):
            mailbox.empty(imap.account(), desk.returns)
    assert imap.count() == 2
    again = mailbox.empty(imap.account(), desk.returns)
    assert (again.read, again.new) == (2, 0)
    assert (imap.count(), imap.count("Processed")) == (0, 2)


def _crash(*_: object) -> None:
    raise MemoryError


def test_fetch__folders_inside_of_the_inbox(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a server keeps all folders below INBOX, ours are there too."""
    server = Imap(prefix="INBOX.")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    try:
        server.put("a", desk.raw("qmail"))
        assert mailbox.empty(server.account(), desk.returns).new == 1
        assert (server.count(), server.count("Processed")) == (0, 1)
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_fetch__not_trusted(imap: Imap, desk: Desk, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """A certificate by an authority nobody knows: nothing is read, and the password does not leave."""
    monkeypatch.delenv("SSL_CERT_FILE")
    imap.put("a", desk.raw("qmail"))
    with pytest.raises(PublisherError, match="No trusted connection to localhost"):
        mailbox.empty(imap.account(scheme), desk.returns)
    assert "office" not in (imap.folder / "log").read_text(errors="replace")
    assert imap.count() == 1


def test_fetch__wrong_password(imap: Imap, desk: Desk) -> None:
    """A refused sign-in names the server and the setting, not the password."""
    account = imap_account(imap.address(password="wr0ng"))
    with pytest.raises(PublisherError, match="localhost refused the sign-in") as refusal:
        mailbox.empty(account, desk.returns)
    assert "wr0ng" not in str(refusal.value)


def test_collector__server_comes_back(imap: Imap, desk: Desk) -> None:
    """A server that is away for a while is told of once, and then its mail is read."""
    imap.put("a", desk.raw("qmail"))
    collector = Collector(desk.returns, imap.account())
    imap.stop()
    with capture_logs() as logged:
        assert [collector.collect(), collector.collect()] == [None, None]
        imap.start()
        collected = collector.collect()
    assert collected is not None
    assert collected.kinds == {Kind.HARD: 1}
    names = [line["event_name"] for line in logged]
    assert names == ["bounces.unreadable", "bounces.readable", "bounces.read"]


@pytest.mark.parametrize(
    ("reader", "kind", "status"),
    [
        ("li", Kind.HARD, "5.1.1"),
        ("full-li", Kind.SOFT, "5.2.2"),
        ("blocked-li", Kind.POLICY, "5.7.1"),
    ],
)
def test_postfix__reports(
    mail: MailServer, desk: Desk, monkeypatch: pytest.MonkeyPatch, reader: str, kind: Kind, status: str
) -> None:
    """What a next server refuses comes back as Postfix's own report, and ends the subscription if it must."""
    token = desk.tokens.sign(Purpose.BOUNCE, desk.ref, 7)
    letter = EmailMessage()
    letter["From"], letter["To"] = f"newsletter@{OFFICE}", f"{reader}@{FORWARDED}"
    letter["Subject"], letter["Message-ID"] = "公开讲座", f"<2026-0042.r1.news.{desk.ref}@{OFFICE}>"
    letter.set_content("正文")
    with smtplib.SMTP("127.0.0.1", mail.port) as session:
        session.send_message(letter, f"bounces+b-{token}@{OFFICE}", [f"{reader}@{FORWARDED}"])
    mail.wait_for(1, "office")
    server = Imap(mail.folder / "mail")
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    try:
        assert mailbox.empty(server.account(), desk.returns).kinds == {kind: 1}
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
    with desk.store.read() as tx:
        (kept,) = tx.bounces.recent()
    assert (kept.status, kept.subscriber, kept.delivery) == (status, desk.li.id, 7)
    assert (desk.li.state is SubscriberState.BOUNCED) == (kind is Kind.HARD)
