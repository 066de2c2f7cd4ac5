"""From a revision to a file in a Maildir, through a real mail server."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import html5lib
import pytest

from channels.doubles.smtp import SmtpDouble
from channels.smtp import SmtpAdapter, SmtpSettings
from publisher.announcement import Language, Revision
from publisher.channel import Links, Variant
from publisher.render import html, links
from publisher.render.plaintext import addresses_below, is_wide
from publisher.render.variant import Edition, render_all

LINKS = Links(
    both="https://www.example.org/a/2026-0042/?x=1&y=2", zh="https://www.example.org/zh/a/2026-0042/"
)


@pytest.fixture
def double(tmp_path: Path) -> Iterator[SmtpDouble]:
    """A running mail server with an empty Maildir."""
    server = SmtpDouble(str(tmp_path / "mail"))
    yield server
    server.stop()


def adapter(double: SmtpDouble, **values: str) -> SmtpAdapter:
    found = {key.lower(): value for key, value in double.start().items()}
    return SmtpAdapter("newsletter", SmtpSettings.model_validate({**found, **values}))


async def sent(double: SmtpDouble, one: SmtpAdapter, variants: list[Variant]) -> list[EmailMessage]:
    """Publishes every variant and reads the Maildir."""
    for index, variant in enumerate(variants):
        await one.publish(one.prepare(links.fill(variant, LINKS)), f"2026-0042-{index}")
    files = [Path(line.rpartition("(")[2].rstrip(")")) for line in double.received()]
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


def unwrapped(text: str) -> str:
    """The text before it was wrapped, paragraph by paragraph, layout aside."""
    joined = ""
    for line in (line.strip() for line in text.splitlines()):
        tight = not joined or not line or (is_wide(joined[-1]) and is_wide(line[0]))
        joined += line if tight else f" {line}"
    return joined


@pytest.mark.parametrize("document", ["visit", "lecture"])
@pytest.mark.parametrize("layout", ["paired", "stacked", "separate"])
async def test_message__nothing_is_lost(
    double: SmtpDouble, edition: Edition, document: str, layout: str, request: pytest.FixtureRequest
) -> None:
    """Every passage of both languages stands unharmed in both parts of the message that was filed."""
    revision: Revision = request.getfixturevalue(document)
    one = adapter(double, layout=layout)
    messages = await sent(double, one, render_all(revision, edition, one))
    by_language = dict(zip(("zh", "en"), messages * (1 if layout == "separate" else 2), strict=True))
    for code in Language:
        message = by_language[code]
        plain, rich = (part.get_content() for part in message.iter_parts())
        page = "".join(html5lib.parse(rich, namespaceHTMLElements=False).find("body").itertext())
        for passage in revision.passages:
            text = addresses_below(html.to_text(passage, code, revision.markup))
            assert "".join(unwrapped(text).split()) in "".join(unwrapped(plain).split())
            fragment = html5lib.parseFragment(html.to_html(passage, code, revision.markup))
            assert "".join("".join(fragment.itertext()).split()) in "".join(page.split())
        assert revision.title[code] in page and revision.title[code] in plain
        assert revision.title[code] in message["Subject"]


async def test_message__links_are_filled(double: SmtpDouble, visit: Revision, edition: Edition) -> None:
    """The page's address is in both parts, escaped in HTML, and nothing of the token is left."""
    one = adapter(double)
    message = (await sent(double, one, render_all(visit, edition, one)))[0]
    plain, rich = (part.get_content() for part in message.iter_parts())
    assert LINKS.both in plain.splitlines()
    assert f'href="{LINKS.both.replace("&", "&amp;")}"' in rich
    assert ".invalid" not in plain + rich


async def test_double__files_with_the_envelope(double: SmtpDouble, visit: Revision, edition: Edition) -> None:
    """The file is a Maildir's, with the envelope as delivery agents note it, and a line tells people where."""
    one = adapter(double, to="a@example.org b@example.org")
    message = (await sent(double, one, render_all(visit, edition, one)))[0]
    assert message["Return-Path"] == "<announcements@example.org>"
    assert message.get_all("Delivered-To") == ["a@example.org", "b@example.org"]
    assert message["Message-ID"] == "<2026-0042-0@example.org>"
    [line] = double.received()
    assert line.startswith(f"{visit.title.zh} | {visit.title.en} (")
    assert (double.maildir / "new") in Path(line.rpartition("(")[2].rstrip(")")).parents


async def test_double__check_files_nothing(double: SmtpDouble) -> None:
    """A check succeeds without leaving a message."""
    one = adapter(double)
    assert "takes mail from announcements@example.org to newsletter@example.org." in await one.check()
    assert double.received() == []


def test_double__stops(double: SmtpDouble) -> None:
    """After stop nobody listens, a client that is still there does not hold it up, and what was filed stays."""
    port = int(double.start()["PORT"])
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert client.recv(3) == b"220"
        double.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    double.stop()
    assert double.received() == []
