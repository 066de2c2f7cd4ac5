"""A newsletter is tried on one address before the subscribers get it: on the real command line."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from publisher.cli.main import main
from publisher.tokens import Purpose, Tokens
from tests.test_cli import run
from tests.toy import DOCUMENT

SECRET = "0123456789abcdef0123456789abcdef"
ADAPTER = """
import json
from pathlib import Path
from typing import Any
from typing import ClassVar
from publisher.channel import *

class Settings(MailingSettings):
    answer: str = Field("sent 250 2.0.0 Ok", description="what the server says")

class Text(Payload):
    def __init__(self, parts): self.parts = parts

class ToyMail(MailingAdapter):
    title = "letters in a file"
    kind = Kind.NEWSLETTER
    Settings = Settings
    async def check(self): return "ready"
    def prepare(self, variant): return Text({name: variant.text(name) for name in ("subject", "text")})
    async def mail(self, payload, letters, record):
        fate, _, answer = self.settings.answer.partition(" ")
        if fate == "broken":
            raise SignInFailed(answer)
        async for group in letters:
            for letter in group:
                if not record.begin(letter.number): continue
                row = {name: getattr(letter, name) for name in letter.__slots__} | payload.parts
                with Path("letters").open("a", encoding="utf-8") as file: file.write(json.dumps(row) + "\\n")
                if fate != "unknown": record.end(letter.number, Fate(fate), answer)
""".replace("from publisher.channel import *", "from pydantic import Field\nfrom publisher.channel import *")


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An office with a website and a newsletter of a toy adapter; its folder, and the id of an announcement."""
    tmp_path = tmp_path_factory.mktemp("office")
    (tmp_path / "toy_mail.py").write_text(ADAPTER, encoding="utf-8")
    info = tmp_path / "toy_mail-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-mail\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[publisher.adapters]\ntoy_mail = toy_mail:ToyMail\n")
    settings(tmp_path)
    (tmp_path / "corner.md").write_text(DOCUMENT, encoding="utf-8")
    return tmp_path, publisher(tmp_path, "add", "corner.md").stdout.split()[0]


@pytest.fixture
def key(office: tuple[Path, str]) -> str:
    """The id of the announcement."""
    return office[1]


@pytest.fixture
def folder(office: tuple[Path, str], tmp_path: Path) -> Path:
    """The office's folder, as it was after the announcement was filed."""
    return shutil.copytree(office[0], tmp_path / "office")


def settings(folder: Path, **more: str) -> None:
    """Writes ``.env``; a value of ``None`` is left out."""
    given = {
        "PUBLISHER_CHANNELS": "website,news", "PUBLISHER_CANONICAL": "website",
        "PUBLISHER_URL": "https://news.example.org", "PUBLISHER_SECRET": SECRET,
        "WEBSITE_ADAPTER": "static_site", "WEBSITE_FOLDER": "site", "WEBSITE_URL": "https://www.example.org",
        "NEWS_ADAPTER": "toy_mail",
    } | more  # fmt: skip
    text = "".join(f"{name}={value}\n" for name, value in given.items() if value)
    (folder / ".env").write_text(text)
    (folder / ".env").chmod(0o600)


def publisher(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command where the toy adapter is installed."""
    return run(folder, *arguments, env={"PYTHONPATH": f"{folder}:{Path(__file__).parents[1]}"})


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The office's folder as the one this process is in, for the same command without starting a process for it."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def letters(folder: Path) -> list[dict[str, Any]]:
    """What was sent."""
    file = folder / "letters"
    return (
        [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    )


def dump(folder: Path) -> list[str]:
    """The whole database."""
    with closing(sqlite3.connect(folder / "data" / "publisher.sqlite3")) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize(("language", "scope"), [("", "both"), ("zh", "zh")])
def test_trial__one_letter(folder: Path, key: str, language: str, scope: str) -> None:
    """The address gets one letter in the wished language, whose links say nobody's name; nothing is written down."""
    before = dump(folder)
    wish = ["--language", language] if language else []
    done = publisher(folder, "preview", key, "--send-to", "Me@bücher.example", *wish)
    words = {"zh": "Chinese", "en": "English", "both": "both languages"}
    assert (done.returncode, done.stdout) == (
        0, f"news: a test in {words[scope]} to Me@bücher.example: sent (250 2.0.0 Ok)\n"
    ), done.stderr  # fmt: skip
    (letter,) = letters(folder)
    assert (letter["number"], letter["address"], letter["scope"]) == (0, "Me@xn--bcher-kva.example", scope)
    assert letter["unsubscribe"] == f"https://news.example.org/u/{letter['token']}"
    named = Tokens([SecretStr(SECRET)]).read(Purpose.UNSUBSCRIBE, letter["token"])
    assert named and (named.ref, named.mailing) == (letter["ref"], 0)
    assert letter["ref"].startswith("00000000")
    assert "图书角开放" in letter["subject"]
    assert "https://www.example.org/" in letter["text"]
    assert "link.publisher.invalid/both" not in letter["text"]
    assert dump(folder) == before


def test_trial__of_what_is_sealed(folder: Path, key: str) -> None:
    """After approval the sealed text is sent, whatever has become of the templates; twice makes two messages."""
    publisher(folder, "submit", key, "--as", "Lin")
    assert publisher(folder, "approve", key, "--as", "Chen").returncode == 0
    template = folder / "data" / "templates" / "newsletter" / "subject.txt"
    template.parent.mkdir(parents=True)
    template.write_text("Changed")
    for _ in range(2):
        done = publisher(folder, "preview", key, "--send-to", "me@example.org", "--json")
        assert json.loads(done.stdout) == [
            {"channel": "news", "language": "both", "fate": "sent", "answer": "250 2.0.0 Ok"}
        ]
    first, second = letters(folder)
    assert first["subject"] == second["subject"] != "Changed"
    assert first["ref"] != second["ref"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("deferred 450 4.2.1 busy", "news: a test in both languages to me@example.org: not sent, refused for now (450 4.2.1 busy)"),
        ("refused 550 5.1.1 nobody", "news: a test in both languages to me@example.org: not sent, refused (550 5.1.1 nobody)"),
        ("unknown", "news: a test in both languages to me@example.org: perhaps sent, there was no answer"),
        ("broken The password is wrong.", "news: a test in both languages to me@example.org: not sent (The password is wrong.)"),
    ],
)  # fmt: skip
def test_trial__not_sent(
    here: Path, key: str, capsys: pytest.CaptureFixture[str], answer: str, says: str
) -> None:
    """What the server says is told, and the command says no."""
    settings(here, NEWS_ANSWER=answer)
    assert main(["preview", key, "--send-to", "me@example.org"]) == 1
    assert capsys.readouterr().out.strip() == says


@pytest.mark.parametrize(
    ("arguments", "env", "code", "says"),
    [
        (["--send-to", "me@example.org", "--channel", "website"], {}, 2,
         '"website" sends no letters to single readers; leave --send-to out to see what it gets.'),
        (["--send-to", "nobody"], {}, 2, '"nobody" is no e-mail address; write it like name@example.org.'),
        (["--language", "zh"], {}, 2, "--language is for a test that is sent; add --send-to ADDRESS."),
        (["--send-to", "me@example.org", "--language", "fr"], {}, 2, "invalid choice"),
        (["--send-to", "me@example.org", "--language", "en"], {"NEWS_LAYOUT": "separate", "NEWS_LANGUAGES": "zh"}, 2,
         'news has no letter in "en".'),
        (["--send-to", "me@example.org"], {"PUBLISHER_SECRET": ""}, 1, "PUBLISHER_SECRET"),
        (["--send-to", "me@example.org"], {"PUBLISHER_CHANNELS": "website", "NEWS_ADAPTER": ""}, 2,
         "sends letters to single readers; leave --send-to out to see its posts."),
    ],
)  # fmt: skip
def test_trial__refused(
    here: Path,
    key: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    env: dict[str, str],
    code: int,
    says: str,
) -> None:
    """Whatever cannot be tried is refused in one sentence, and nothing is sent."""
    settings(here, **env)
    assert (main(["preview", key, *arguments]), letters(here)) == (code, [])
    assert says in capsys.readouterr().err
