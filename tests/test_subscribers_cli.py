"""Subscribers by the command line, run as its users run it: as a process."""

from __future__ import annotations

import csv
import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.test_cli import run as publisher

FAIR = "邮箱,姓名,语言\r\nlin@example.org,林若兰,中文\r\nnobody,Nobody,zh\r\nchen@example.org,=Chen,en\r\n"
AGREED = ("--consent-how", "form at the fair")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the settings of an office, and a file of people."""
    (tmp_path / ".env").write_text(
        "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=site\n"
        "WEBSITE_URL=https://news.example.org\n"
    )
    (tmp_path / ".env").chmod(0o600)
    (tmp_path / "fair.csv").write_text(FAIR, encoding="gb18030", newline="")
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``publisher subscribers``."""
    return publisher(folder, "subscribers", *arguments)


def test_import__and_all_the_rest(folder: Path) -> None:
    """Import, list, show, change, remove, import again: who was removed stays away, and the report says so."""
    first = run(folder, "import", "fair.csv", "--list", "news,press", *AGREED, "--consent", "I agree.")
    assert first.returncode == 1  # one line was refused
    assert "3 lines: 2 added" in first.stdout and '"nobody" is not a mail address' in first.stdout
    assert "news" in run(folder, "list").stdout
    assert "林若兰" in run(folder, "list", "--list", "press").stdout
    shown = json.loads(run(folder, "show", "LIN＠example.org", "--json").stdout)["subscriber"]
    assert shown["lists"] == ["news", "press"] and shown["source"] == "fair.csv"
    assert shown["consent"] == {"at": None, "how": "form at the fair", "text": "I agree."}
    assert run(folder, "change", "lin@example.org", "--language", "both", "--list", "news").returncode == 0
    assert "reads: both" in run(folder, "show", "lin@example.org").stdout
    assert "is removed" in run(folder, "remove", "LIN@example.org").stdout
    again = json.loads(run(folder, "import", "fair.csv", *AGREED, "--json").stdout)
    assert (again["added"], again["joined"], again["known"]) == (0, 0, 1)
    assert [(one["number"], one["text"]) for one in again["refused"]] == [
        (2, "lin@example.org,林若兰,中文"),
        (3, "nobody,Nobody,zh"),
    ]
    assert "was removed on request" in again["refused"][0]["why"]
    assert "Nothing is sent to this address" in run(folder, "show", "lin@example.org").stdout


def test_import__dry_run(folder: Path) -> None:
    """A rehearsal says what would happen, and nobody is there afterwards."""
    done = run(folder, "import", "fair.csv", "--dry-run", *AGREED)
    assert "2 would be added" in done.stdout
    assert "There are no subscribers yet" in run(folder, "list").stdout


def test_import__report(folder: Path) -> None:
    """The report is a table of every refused line, which only its owner can read."""
    run(folder, "import", "fair.csv", "--report", "refused.csv", *AGREED)
    assert stat.S_IMODE((folder / "refused.csv").stat().st_mode) == 0o600
    with (folder / "refused.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["line", "text", "why"]
    assert [row[:2] for row in rows[1:]] == [["3", "nobody,Nobody,zh"]]


def test_export__comes_back_as_it_was(folder: Path) -> None:
    """What is exported changes nothing here, and makes the same list in another office."""
    run(folder, "import", "fair.csv", "--list", "news", *AGREED)
    assert "2 subscribers written" in run(folder, "export", "out.csv").stdout
    assert stat.S_IMODE((folder / "out.csv").stat().st_mode) == 0o600
    text = (folder / "out.csv").read_text(encoding="utf-8")
    assert text.startswith("\ufeffemail,") and ",'=Chen," in text
    same = run(folder, "import", "out.csv")
    assert same.returncode == 0 and "0 added, 0 put on more lists, 2 there already" in same.stdout
    other = folder / "other"
    other.mkdir()
    (other / ".env").write_text("")
    (other / ".env").chmod(0o600)
    assert run(other, "import", "../out.csv").returncode == 0
    assert run(other, "export").stdout.splitlines() == run(folder, "export").stdout.splitlines()


def test_add__by_hand(folder: Path) -> None:
    """One person, added once; a second time it is said that she was there."""
    typed = ("add", "林若兰 <lin@example.org>", "--language", "zh", "--list", "news", *AGREED)
    assert json.loads(run(folder, *typed, "--json").stdout)["added"] is True
    assert "was there already" in run(folder, *typed).stdout
    listed = json.loads(run(folder, "list", "--all", "--json").stdout)
    assert [(one["address"], one["name"], one["lists"]) for one in listed] == [
        ("lin@example.org", "林若兰", ["news"])
    ]
    states = json.loads(run(folder, "list", "--json").stdout)
    assert states == {"subscribers": {"active": {"zh": 1}}, "lists": {"news": 1}}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "WHAT"),
        (["import"], 2, "FILE"),
        (["import", "none.csv", *AGREED], 2, "none.csv does not exist"),
        (["import", ".", *AGREED], 2, "cannot be read"),
        (["import", "fair.csv"], 2, "--consent-how"),
        (["import", "fair.csv", "--consent-how", " "], 2, "--consent-how"),
        (["import", "fair.csv", *AGREED, "--list", "新闻"], 2, '"新闻" is not the name of a list'),
        (["import", "fair.csv", *AGREED, "--report", "fair.csv"], 2, "is the file to be imported"),
        (["import", "fair.csv", *AGREED, "--report", "none/r.csv"], 2, "none/r.csv cannot be written"),
        (["import", "empty.csv", *AGREED], 1, "empty.csv: The file is empty"),
        (["import", "names.csv", *AGREED], 1, 'No column is called "email"'),
        (["export", "fair.csv"], 2, "is there already"),
        (["export", "none/out.csv"], 2, "none/out.csv cannot be written"),
        (["export", "--json"], 2, "Name a file"),
        (["show", "lin@example.org"], 1, "There is no subscriber lin@example.org"),
        (["show", "lin"], 2, '"lin" is not a mail address'),
        (["add", "lin@example.org"], 2, "--consent-how"),
        (["add", "lin", *AGREED], 2, '"lin" is not a mail address'),
        (["change", "lin@example.org"], 2, "Say what to change"),
        (["remove", "lin@example.org"], 1, "There is no subscriber lin@example.org"),
    ],
)
def test_wrong_input__one_sentence(folder: Path, arguments: list[str], code: int, says: str) -> None:
    """Whatever is typed wrongly gets one sentence that names it, code 1 or 2, and changes no file."""
    (folder / "empty.csv").write_text("")
    (folder / "names.csv").write_text("name\nLin\n")
    done = run(folder, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert (folder / "fair.csv").read_bytes() == FAIR.encode("gb18030")


def test_words__no_address_in_the_log(folder: Path) -> None:
    """The office's log tells of subscribers by their refs, and never names an address."""
    run(folder, "import", "fair.csv", *AGREED)
    run(folder, "add", "wang@example.org", *AGREED)
    run(folder, "remove", "lin@example.org")
    said = publisher(folder, "log").stdout
    assert (
        "Subscribers imported: 2 added" in said and ": added by hand" in said and ": removed for good" in said
    )
    assert "@" not in said
