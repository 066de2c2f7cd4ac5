"""The command line, run as its users run it: as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from publisher.cli.main import parser

HEAVY = (
    "httpx",
    "sqlalchemy",
    "jinja2",
    "pydantic",
    "pydantic_settings",
    "rich",
    "apscheduler",
    "alembic",
    "structlog",
)

DOCUMENT = """\
图书角开放

阅览区的图书角将于10月12日开放,欢迎各位会员前来。
The reading corner opens on 12 October; all members are welcome.

开放当天备有茶点。
Tea will be served on the day.
"""


def run(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs ``publisher`` in ``folder``; no traceback may ever be seen."""
    done = subprocess.run(
        [sys.executable, "-m", "publisher", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **(env or {})},
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a document and the settings of one website."""
    (tmp_path / ".env").write_text(
        "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=site\n"
        "WEBSITE_URL=https://news.example.org\n"
    )
    (tmp_path / ".env").chmod(0o600)
    (tmp_path / "corner.txt").write_text(DOCUMENT, encoding="utf-8")
    return tmp_path


def test_whole_job__by_hand(folder: Path) -> None:
    """add, submit, approve by another person, schedule, worker --once: the page is there."""
    added = run(folder, "add", "corner.txt", "--title-en", "Reading Corner Opens", "--as", "Lin")
    assert added.returncode == 0
    key = added.stdout.strip()
    for step in (("submit", key, "--as", "Lin"), ("approve", key, "--as", "Chen"), ("schedule", key, "now")):
        assert run(folder, *step).returncode == 0
    assert run(folder, "worker", "--once").returncode == 0
    page = (folder / "site" / key / "index.html").read_text(encoding="utf-8")
    assert "阅览区的图书角将于10月12日开放,欢迎各位会员前来。" in page
    shown = json.loads(run(folder, "show", key, "--json").stdout)
    assert [d["state"] for d in shown["deliveries"]] == ["confirmed"]
    assert "Revision 1 approved" in run(folder, "log", key).stdout
    assert key in run(folder, "list").stdout
    assert run(folder, "worker", "--once").returncode == 0  # nothing is due; nothing happens


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["add", "--help"], []])
def test_light__nothing_heavy_is_imported(tmp_path: Path, arguments: list[str]) -> None:
    """Help and version answer at once: no heavy library is loaded for them."""
    script = (
        "import sys; from publisher.cli.main import main; code = main(sys.argv[1:]);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"


def _commands() -> list[str]:
    actions = parser()._subparsers._group_actions  # type: ignore[union-attr]
    return list(actions[0].choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", _commands())
def test_help__of_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command explains itself, and the module behind it exists."""
    with pytest.raises(SystemExit) as stop:
        parser().parse_args([command, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: publisher {command}")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["shedule", "2026-0001"], 2, "invalid choice"),
        (["add"], 2, "FILE"),
        (["add", "none.txt"], 2, "none.txt does not exist"),
        (["add", "."], 2, ". is a folder"),
        (["add", "one.txt"], 1, "line 1"),
        (["add", "empty.txt"], 1, "empty.txt"),
        (["add", "binary.txt"], 1, "binary.txt"),
        (["add", "broken.md"], 1, "broken.md, line"),
        (["add", "corner.txt", "--publish-at", "soon"], 2, '"soon" is not a time'),
        (["add", "corner.txt", "--channels", "fax"], 2, 'no channel "fax"'),
        (["add", "corner.txt", "--title-en", "two\nlines"], 2, "--title-en must be one line"),
        (["show", "2026-0001"], 1, "no announcement 2026-0001"),
        (["show", "../../etc"], 1, "no announcement ../../etc"),
        (["log", "x"], 1, "no announcement x"),
        (["submit", "2026-0001"], 1, "no announcement"),
        (["approve", "2026-0001", "--as", "\x07"], 2, "--as needs a name"),
        (["reject", "2026-0001"], 2, "--why"),
        (["schedule", "2026-0001", "2026-03-29", "01:30", "Europe/London"], 2, "does not exist"),
        (["resolve", "nothing", "--delivered", "x"], 1, "no delivery nothing"),
        (["resolve", "1", "--delivered", "x", "--not-delivered"], 2, "not allowed with"),
        (["list", "--env", "other.env"], 1, "other.env does not exist"),
        (["check", "none.txt"], 2, "none.txt does not exist"),
        (["preview", "2026-0001"], 1, "no announcement"),
        (["init"], 1, ".env is there already"),
    ],
)
def test_wrong_input__one_sentence(folder: Path, arguments: list[str], code: int, says: str) -> None:
    """Whatever is typed wrongly gets one sentence that names it, and code 1 or 2."""
    (folder / "one.txt").write_text("只有中文，没有英文。\n", encoding="utf-8")
    (folder / "empty.txt").write_text("")
    (folder / "binary.txt").write_bytes(bytes(range(256)) * 4)
    (folder / "broken.md").write_text("---\ntitle: [\n---\n正文。\n\nText.\n", encoding="utf-8")
    done = run(folder, *arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ("", "No channel is configured"),
        ("PUBLISHER_CHANNELS=website\n", "WEBSITE_ADAPTER is missing"),
        ("PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=fax\n", 'There is no adapter "fax"'),
        (
            "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=x\n",
            "WEBSITE_URL is missing",
        ),
        ("PUBLISHER_DATABASE_URL=mysql://u:hidden@h/d\nPUBLISHER_CHANNELS=\n", "No channel"),
    ],
)
def test_wrong_env__named(folder: Path, env: str, says: str) -> None:
    """A wrong or missing setting is named before anything starts."""
    (folder / ".env").write_text(env)
    done = run(folder, "list")
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "hidden" not in done.stderr


def test_check__code_and_json(folder: Path) -> None:
    """check ends with 1 when there are errors; --json is one document and nothing else."""
    done = run(folder, "check", "corner.txt", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert len(report["passages"]) == 2
    assert "titles.missing" in {finding["code"] for finding in report["findings"]}
    assert run(folder, "check", "corner.txt", "--title-en", "Reading Corner Opens").returncode == 0


def test_halt__is_shown_and_logged(folder: Path) -> None:
    """A halt stands in list and show until it is lifted; who did either is in the office's log, with the account."""
    key = run(folder, "add", "corner.txt", "--title-en", "Reading Corner Opens", "--as", "Lin").stdout.strip()
    for step in (("submit", key, "--as", "Lin"), ("approve", key, "--as", "Chen"), ("schedule", key, "now")):
        assert run(folder, *step).returncode == 0
    assert run(folder, "halt", "--as", "Chen").returncode == 0
    for looked in (("list",), ("show", key), ("channels",)):
        text = run(folder, *looked).stdout
        assert "To do: Everything was halted at" in text and "publisher unhalt" in text
    assert run(folder, "worker", "--once").returncode == 0
    assert json.loads(run(folder, "show", key, "--json").stdout)["stands"] == "halted (0 of 1 out)"
    assert run(folder, "unhalt", "--as", "Lin").returncode == 0
    lines = json.loads(run(folder, "log", "--json").stdout)
    assert [(line["event"], line["by"]) for line in lines] == [
        ("office.halted", "Chen"),
        ("office.unhalted", "Lin"),
    ]
    assert all(line["account"] for line in lines)
    assert run(folder, "channels", "resume", "website", "--as", "Lin").stdout == "website was not paused.\n"
    assert run(folder, "worker", "--once").returncode == 0
    assert "Nothing to do." in run(folder, "show", key).stdout
    settled = run(folder, "resolve", f"{key}-r1-website-both", "--not-delivered")
    assert settled.returncode == 1
    assert (
        f"is out, so there is nothing to settle; only what is uncertain is settled by hand. See: publisher show {key}"
        in settled.stderr
    )


def test_init__private_and_usable(tmp_path: Path) -> None:
    """init writes a file only its owner can read, which loads as it is."""
    assert run(tmp_path, "init").returncode == 0
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    done = run(tmp_path, "list")
    assert "No channel is configured" in done.stderr


def test_env__wider_mode_is_warned_of(folder: Path) -> None:
    """An .env that others can read is warned of, and still works."""
    (folder / ".env").chmod(0o644)
    done = run(folder, "list")
    assert done.returncode == 0
    assert "chmod 600" in done.stderr


def test_adapters__every_setting_explained(folder: Path) -> None:
    """adapters lists each installed adapter with help for every setting."""
    described = json.loads(run(folder, "adapters", "--json").stdout)
    assert {"static_site", "smtp", "mastodon"} <= {adapter["name"] for adapter in described}
    assert all(s["help"] for adapter in described for s in adapter["settings"])


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX names and pipes")
def test_odd_places__one_sentence(folder: Path) -> None:
    """Unreadable arguments, pipes instead of files and a full disk behind stdout get a sentence, never a traceback."""
    os.mkfifo(folder / "pipe.txt")
    assert "not an ordinary file" in run(folder, "add", "pipe.txt").stderr
    assert "not readable text" in run(folder, "show", "\udcff").stderr
    for number in ("²", "9" * 23):
        assert "no delivery" in run(folder, "resolve", number, "--not-delivered").stderr
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "publisher", "adapters"],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "could not be finished" in done.stderr
    assert "Traceback" not in done.stderr
    narrow = run(folder, "check", "corner.txt", env={"PYTHONIOENCODING": "ascii", "COLUMNS": "40"})
    assert narrow.returncode == 1
