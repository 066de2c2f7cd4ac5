"""The adapter as the core sees it: settings, check, prepare, and letters in a real Maildir."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.doubles.mailing import MailingDouble
from channels.mailing import SubscribersAdapter, SubscribersSettings, keys
from channels.mailing.keys import Algorithm
from publisher.announcement import Revision
from publisher.channel import Fate, Links, Rejected, SignInFailed, Unsupported
from publisher.render import links
from publisher.render.variant import Edition, render_all
from tests.mailing_host import Host, Ledger, adapter, groups
from tests.mailing_letters import letter, parsed

GOOD = {"host": "smtp.example.org", "sender": "Office <news@example.org>"}
LINKS = Links(both="https://www.example.org/a/2026-0042/")


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of keys, by kind; one of them is none."""
    folder = tmp_path_factory.mktemp("keys")
    made = {str(kind): keys.generate(kind)[0] for kind in Algorithm} | {"none": "-----BEGIN NOTHING-----"}
    for name, pem in made.items():
        (folder / f"{name}.pem").write_text(pem)
    return {name: str(folder / f"{name}.pem") for name in made}


WRONG = [
    ({"connections": 0}, "greater than or equal to 1"),
    ({"connections": 51}, "less than or equal to 50"),
    ({"per_second": -1}, "greater than or equal to 0"),
    ({"layout": "separate"}, "choose their language themselves"),
    ({"domain_pace": "qq.com"}, "is no pace"),
    ({"domain_pace": "qq.com=0"}, "is no pace"),
    ({"domain_pace": "qq.com=1e9"}, "is no pace"),
    ({"domain_pace": "q_q=1"}, "is no domain"),
    ({"bounces": "bounces"}, "not a mail address"),
    ({"bounces": "a-very-long-bounce-address@example.org"}, "too long before the @"),
    ({"list_id": "newsletter"}, "no List-Id"),
    ({"help": "javascript:alert(1)"}, "no web address"),
    ({"dkim_selector": "news"}, "DKIM_SELECTOR and DKIM_KEY belong together"),
    ({"dkim_key": "{rsa}"}, "DKIM_SELECTOR and DKIM_KEY belong together"),
    ({"dkim_ed25519_key": "{ed25519}"}, "DKIM_ED25519_SELECTOR and DKIM_ED25519_KEY belong together"),
    ({"dkim_selector": "news", "dkim_key": "/nowhere/key.pem"}, "There is no DKIM key at /nowhere/key.pem"),
    ({"dkim_selector": "news", "dkim_key": "{none}"}, "holds no private key"),
    ({"dkim_selector": "news", "dkim_key": "{ed25519}"}, "not of the kind RSA"),
    ({"dkim_selector": "new s", "dkim_key": "{rsa}"}, "no selector"),
    ({"dkim_selector": "n", "dkim_key": "{rsa}", "dkim_domain": "@"}, "no domain"),
    ({"to": "a@example.org"}, "not permitted"),
    ({"security": "none"}, "only for a mail server on this machine"),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_settings__refused(pems: dict[str, str], values: dict[str, Any], said: str) -> None:
    """What cannot work is refused with a sentence before anything starts."""
    filled = {name: value.format(**pems) if "{" in str(value) else value for name, value in values.items()}
    with pytest.raises(ValidationError) as caught:
        SubscribersSettings.model_validate({**GOOD, **filled})
    assert said in str(caught.value)
    assert "BEGIN" not in str(caught.value)


def test_settings__read(pems: dict[str, str]) -> None:
    """Paces are read by domain, keys sign for the sender's domain, and no path of a key is a secret."""
    known = {"dkim_selector": "N2026", "dkim_key": pems["rsa"], "dkim_ed25519_selector": "e"}
    settings = SubscribersSettings.model_validate(
        {
            **GOOD,
            **known,
            "dkim_ed25519_key": pems["ed25519"],
            "domain_pace": "QQ.com=2, 163.com=0.5；例子.cn=1",
        }
    )
    assert settings.paces == {"qq.com": 2.0, "163.com": 0.5, "xn--fsqu00a.cn": 1.0}
    assert [(one.record_name, one.algorithm) for one in settings.letterhead.signers] == [
        ("n2026._domainkey.example.org", "rsa-sha256"),
        ("e._domainkey.example.org", "ed25519-sha256"),
    ]


@pytest.fixture
def host() -> Iterator[Host]:
    """A scripted server, stopped at the end."""
    one = Host(extensions=("PIPELINING", "SMTPUTF8", "8BITMIME", "DSN", "SIZE 10240000"))
    yield one
    one.stop()


async def test_check__says_what_it_found(host: Host) -> None:
    """It signs in, names protection and extensions, and sends nothing."""
    said = await adapter(host).check()
    assert said == (
        f"127.0.0.1:{host.port} (none) takes mail from news@example.org; it offers PIPELINING, SMTPUTF8, DSN, "
        "messages up to 10,240 kB; the server has to sign letters."
    )
    assert [verb for verb in host.verbs() if verb != "EHLO"] == ["MAIL", "RCPT", "RSET", "QUIT"]
    assert "MAIL FROM:<bounces+b-check@news.example.org>" in host.commands


async def test_check__refused(host: Host) -> None:
    """A server that takes nothing from the sender is named, with the setting to look at."""
    host.usual["RCPT"] = "554 5.7.1 Relay access denied"
    with pytest.raises(Rejected, match=r"Relay access denied.*check SENDER"):
        await adapter(host).check()


async def test_publish__refused(host: Host) -> None:
    """There is no single message to publish."""
    with pytest.raises(Unsupported):
        await adapter(host).publish(None, "k")  # type: ignore[arg-type]


def test_prepare__key_gone(pems: dict[str, str], tmp_path: Path) -> None:
    """A key that was taken away since the settings were read stops the channel, not the announcement."""
    key = tmp_path / "key.pem"
    key.write_text(Path(pems["rsa"]).read_text())
    settings = SubscribersSettings.model_validate({**GOOD, "dkim_selector": "n", "dkim_key": key})
    key.unlink()
    with pytest.raises(SignInFailed, match="There is no DKIM key"):
        SubscribersAdapter("newsletter", settings).prepare(None)  # type: ignore[arg-type]


async def test_mail__into_a_real_maildir(tmp_path: Path, lecture: Revision, edition: Edition) -> None:
    """From a revision to one message for each subscriber, in her language, through a real mail server."""
    double = MailingDouble(str(tmp_path / "mail"))
    values = {key.lower(): value for key, value in double.start().items()}
    one = SubscribersAdapter("newsletter", SubscribersSettings.model_validate(values))
    try:
        rendered = render_all(lecture, edition, one)[0]
        payload = one.prepare(links.fill(rendered, LINKS))
        people = [letter(n, scope=scope) for n, scope in enumerate(("zh", "en", "both"), 1)]
        ledger = Ledger()
        await one.mail(payload, groups(people), ledger)
        assert ledger.of(Fate.SENT) == [1, 2, 3]
    finally:
        double.stop()
    assert len(double.received()) == 3
    for line in double.received():
        address, _, rest = line.partition(": ")
        message = parsed(Path(rest.rpartition("(")[2].rstrip(")")).read_bytes())
        assert message["To"].addresses[0].addr_spec == address == message["Delivered-To"]
        assert message["Return-Path"].startswith("<bounces+b-")
        assert message["List-Id"].endswith(" <announcements.example.org>")
