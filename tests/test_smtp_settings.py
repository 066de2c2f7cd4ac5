"""What an administrator may set, and the one sentence said to what is wrong."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from channels.smtp import SmtpAdapter, SmtpSettings
from channels.smtp.address import checked, is_loopback, mailbox

GOOD = {"host": "smtp.example.org", "sender": "Office <news@example.org>", "to": "list@example.org"}


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_port__follows_security(security: str, port: int) -> None:
    """Without a port the usual one of the kind of encryption is used."""
    settings = SmtpSettings.model_validate({**GOOD, "host": "localhost", "security": security})
    assert settings.effective_port == port
    assert SmtpSettings.model_validate({**GOOD, "port": "2525"}).effective_port == 2525


@pytest.mark.parametrize(
    ("typed", "addresses"),
    [
        ("a@example.org", ("a@example.org",)),
        (
            "a@example.org, b@example.org\nc@example.org；d@example.org",
            tuple(f"{x}@example.org" for x in "abcd"),
        ),
        ("a@EXAMPLE.org a@example.org", ("a@example.org",)),
        ("info@例子.example", ("info@xn--fsqu00a.example",)),
    ],
)
def test_to__lists(typed: str, addresses: tuple[str, ...]) -> None:
    """Recipients are listed with commas, spaces or lines; domains of any script are turned into ASCII."""
    assert SmtpSettings.model_validate({**GOOD, "to": typed}).to == addresses


WRONG = [
    ({"to": ""}, "at least 1"),
    ({"to": " ".join(f"a{i}@example.org" for i in range(21))}, "at most 20"),
    ({"to": "nobody"}, "not a mail address"),
    ({"sender": "Office <news>"}, "not a mail address"),
    ({"sender": "Office\r\nBcc: x@example.org <news@example.org>"}, "control character"),
    ({"reply_to": "a@b@example.org"}, "not a mail address"),
    ({"username": "me"}, "belong together"),
    ({"password": "secret-word"}, "belong together"),
    ({"security": "none"}, "only for a mail server on this machine"),
    ({"security": "none", "host": "127.0.0.1.example.org"}, "only for a mail server on this machine"),
    ({"host": "smtp example"}, "not the name of a server"),
    ({"host": "smtp.example.org/x"}, "not the name of a server"),
    ({"host": "smtp..example.org"}, "not the name of a server"),
    ({"port": 70000}, "less than or equal to 65535"),
    ({"timeout": 0}, "greater than 0"),
    ({"verify": "no"}, "not permitted"),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_settings__refused(values: dict[str, object], said: str) -> None:
    """A wrong setting is named in a sentence, before anything starts."""
    with pytest.raises(ValidationError) as caught:
        SmtpSettings.model_validate({**GOOD, **values})
    assert said in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "::1", "LOCALHOST."])
def test_none__this_machine_only(host: str) -> None:
    """Without encryption only this machine may be spoken to."""
    assert is_loopback(host)
    assert not any(is_loopback(other) for other in ("localhost.example.org", "128.0.0.1", "0.0.0.0", ""))


@pytest.mark.parametrize(
    "address",
    ["", "@", "a@", "@example.org", "a@b@c.org", "a b@example.org", "a@example", "a@-example.org", "a@example..org",
     "a@[127.0.0.1]", "a@127.0.0.1", ".a@example.org", "a..b@example.org", '"a b"@example.org', "a@example.org\r\nRCPT",
     "a@exam\u2028ple.org", "a\u200b@example.org", "办公室@example.org", "a＠example.org", "a" * 65 + "@example.org",
     "a@" + "b." * 130 + "org", "a@" + "好" * 300 + ".org", "<a@example.org>"],
)  # fmt: skip
def test_address__refused(address: str) -> None:
    """Whatever could confuse a header or a command is not an address."""
    with pytest.raises(ValueError, match=r"address|domain|spelling"):
        checked(address)


def test_address__says_why_letters_are_refused() -> None:
    """Letters of other scripts before the @ are refused with the reason."""
    with pytest.raises(ValueError, match="use an ASCII address"):
        checked("办公室@example.org")


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("news@example.org", "", "news@example.org"),
        (" 示例协会 <news@Example.ORG> ", "示例协会", "news@example.org"),
        ('"Office, Ltd." <a.b+c@example.org>', "Office, Ltd.", "a.b+c@example.org"),
        ("<news@example.org>", "", "news@example.org"),
        ("root@localhost", "", "root@localhost"),
    ],
)
def test_mailbox__reads(text: str, name: str, address: str) -> None:
    """A sender is a name with an address in angle brackets, or an address alone."""
    assert (mailbox(text).name, mailbox(text).address) == (name, address)


def test_settings__all_described_and_silent() -> None:
    """Every setting has a description, and a password never shows."""
    assert all(field.description for field in SmtpSettings.model_fields.values())
    settings = SmtpSettings.model_validate({**GOOD, "username": "u", "password": "secret-word"})
    assert "secret-word" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_adapter__cannot_be_asked() -> None:
    """SMTP has no question for what it has sent: the core must treat an unknown outcome as uncertain."""
    one = SmtpAdapter("newsletter", SmtpSettings.model_validate(GOOD))
    assert not (one.can_find or one.can_update or one.can_retract)
    assert one.links("2026-0042") is None
