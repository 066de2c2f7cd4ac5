"""The real mail servers do what the newsletter's tests take for granted."""

from __future__ import annotations

import base64
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.real.servers.mail import FORWARDED, OFFICE, PASSWORD, READERS, USER, MailServer

NAME = f"s1._domainkey.{OFFICE}"


@contextmanager
def signed_in(mail: MailServer) -> Iterator[smtplib.SMTP]:
    """A connection with checked TLS, where the office has signed in."""
    with smtplib.SMTP(mail.host, mail.submission, timeout=20) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(mail.ca)))
        client.login(USER, PASSWORD)
        yield client


def message(number: int = 1, text: str = "云岭 announces.") -> bytes:
    """A small message whose Message-ID says its number."""
    head = f"From: office@{OFFICE}\r\nTo: r@{READERS}\r\nSubject: News\r\nDate: Wed, 25 Nov 2026 09:00:00 +0800\r\n"
    return f"{head}Message-ID: <{number}@{OFFICE}>\r\n\r\n{text}\r\n".encode()


def send(client: smtplib.SMTP, to: str, raw: bytes, token: str = "t1") -> None:
    """Sends to one reader, with a bounce address of her own."""
    client.sendmail(f"bounce+{token}@{OFFICE}", [to], raw, ["BODY=8BITMIME"])


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """The office's key, for RSA signatures."""
    return rsa.generate_private_key(65537, 2048)


def published(key: rsa.RSAPrivateKey) -> str:
    """The record in which its public half is published."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


def signed(raw: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """The message with a signature by dkimpy before it."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return dkim.sign(raw, b"s1", OFFICE.encode(), pem, canonicalize=(b"relaxed", b"relaxed")) + raw


def test_mail__comes_to_whom_it_was_sent(mail: MailServer) -> None:
    """What was sent over checked TLS after a sign-in is read over IMAP unchanged, with its reader's address."""
    with signed_in(mail) as client:
        for number in range(20):
            send(client, f"r{number}@{READERS}", message(number), f"t{number}")
    found = {received.recipient: received for received in mail.wait_for(20)}
    assert {who: found[who].sent for who in found} == {
        f"r{number}@{READERS}": message(number) for number in range(20)
    }
    assert found[f"r7@{READERS}"].raw.startswith(f"Return-Path: <bounce+t7@{OFFICE}>\r\n".encode())
    assert mail.queued() == 0


def test_mail__tls_from_the_first_byte(mail: MailServer) -> None:
    """The third port is TLS at once, and asks for a sign-in as well."""
    context = ssl.create_default_context(cafile=str(mail.ca))
    with smtplib.SMTP_SSL(mail.host, mail.smtps, timeout=20, context=context) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(client, f"r@{READERS}", message())
        client.login(USER, PASSWORD)
        send(client, f"r@{READERS}", message())
    assert len(mail.wait_for(1)) == 1


def test_mail__who_may_not_send(mail: MailServer) -> None:
    """A certificate by a stranger, no TLS, a wrong password and no sign-in each end it."""
    stranger = ssl.create_default_context()
    with smtplib.SMTP(mail.host, mail.port) as client, pytest.raises(ssl.SSLCertVerificationError):
        client.starttls(context=stranger)
    with smtplib.SMTP(mail.host, mail.submission, timeout=20) as client:
        client.ehlo()
        assert client.docmd("MAIL", f"FROM:<a@{OFFICE}>")[0] == 530
        client.starttls(context=ssl.create_default_context(cafile=str(mail.ca)))
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(USER, "wrong")
        assert refused.value.smtp_code == 535
        client.docmd("MAIL", f"FROM:<a@{OFFICE}>")
        assert client.docmd("RCPT", f"TO:<r@{READERS}>")[0] == 554


@pytest.mark.parametrize("changed", [False, True])
def test_mail__signatures_are_verified(mail: MailServer, key: rsa.RSAPrivateKey, changed: bool) -> None:
    """OpenDKIM and dkimpy believe a signature, and do not after one letter of the message was changed."""
    mail.publish_keys({NAME: published(key)})
    raw = signed(message(), key)
    if changed:
        raw = raw.replace(b"announces", b"announcez")
    with signed_in(mail) as client:
        send(client, f"r@{READERS}", raw)
    (received,) = mail.wait_for(1)
    assert received.verdict.startswith("dkim=fail" if changed else "dkim=pass (2048-bit key)")
    assert f"header.d={OFFICE}" in received.verdict
    record = published(key).encode()
    assert dkim.verify(received.sent, dnsfunc=lambda name, timeout=5: record) is not changed


def test_mail__without_a_signature(mail: MailServer) -> None:
    """OpenDKIM says so, too."""
    with signed_in(mail) as client:
        send(client, f"r@{READERS}", message())
    assert mail.wait_for(1)[0].verdict.startswith("dkim=none")


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [
        ("unknown1", 550, "5.1.1"),
        ("busy1", 450, "4.2.1"),
        ("full1", 552, "5.2.2"),
        ("blocked1", 554, "5.7.1"),
    ],
)
def test_mail__refused_at_once(mail: MailServer, name: str, code: int, status: str) -> None:
    """Names that begin so are refused while the others of the same connection are taken."""
    with signed_in(mail) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(client, f"{name}@{READERS}", message(1))
        send(client, f"r@{READERS}", message(2))
    said, text = refused.value.recipients[f"{name}@{READERS}"]
    assert (said, text.decode().partition(" ")[0]) == (code, status)
    assert [received.recipient for received in mail.wait_for(1)] == [f"r@{READERS}"]


def test_mail__greylisted(mail: MailServer) -> None:
    """A reader who is put off is taken by and by, each time from the next connection on."""
    to = f"r@{READERS}"
    for _ in range(2):
        mail.answer({to: "450 4.7.1 Greylisted, try again in five minutes"})
        with signed_in(mail) as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            send(client, to, message())
        assert refused.value.recipients[to] == (
            450, f"4.7.1 <{to}>: Recipient address rejected: Greylisted, try again in five minutes".encode(),
        )  # fmt: skip
        mail.answer({})
        with signed_in(mail) as client:
            send(client, to, message())
    assert len(mail.wait_for(2)) == 2


@pytest.mark.parametrize(
    ("name", "status"), [("somebody", "5.1.1"), ("full1", "5.2.2"), ("blocked1", "5.7.1")]
)
def test_mail__comes_back_as_a_report(mail: MailServer, name: str, status: str) -> None:
    """Mail that is taken over and refused further on comes back as a report to the bounce address of its reader."""
    with signed_in(mail) as client:
        send(client, f"{name}@{FORWARDED}", message(), "k3v9")
    (report,) = mail.wait_for(1, "office")
    assert report.recipient == f"bounce+k3v9@{OFFICE}"
    assert report.raw.startswith(b"Return-Path: <>\r\n")
    assert f"Status: {status}".encode() in report.raw
    assert f"Final-Recipient: rfc822; {name}@{FORWARDED}".encode() in report.raw
    assert message() in report.raw
    assert any("status=bounced" in line for line in mail.log(f"<1@{OFFICE}>"))


def test_mail__waits_in_the_queue(mail: MailServer) -> None:
    """What the other server puts off stays in the queue, and over a restart."""
    with signed_in(mail) as client:
        send(client, f"slow1@{FORWARDED}", message())
    mail.stop_postfix()
    mail.start_postfix()
    assert mail.queued() == 1
    assert list(mail.mail("office")) == []


def test_mail__server_goes_down_in_the_middle(mail: MailServer) -> None:
    """A connection is lost where Postfix ends; what was half said is not delivered, and it works again afterwards."""
    with smtplib.SMTP(mail.host, mail.port, timeout=20) as client:
        client.mail(f"bounce+t1@{OFFICE}")
        client.rcpt(f"r@{READERS}")
        client.docmd("DATA")
        client.send(message()[:50])
        mail.stop_postfix()
        with pytest.raises((smtplib.SMTPServerDisconnected, OSError)):
            client.send(message()[50:] + b".\r\n")
            client.getreply()
        client.close()
    mail.start_postfix()
    with signed_in(mail) as client:
        send(client, f"r2@{READERS}", message(2))
    assert [received.recipient for received in mail.wait_for(1)] == [f"r2@{READERS}"]
