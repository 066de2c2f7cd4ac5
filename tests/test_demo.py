"""The demo: the whole job, as a user runs it."""

from __future__ import annotations

import email
import email.policy
import html
import json
import mailbox
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from publisher import demo
from publisher.channel import LengthRule
from publisher.render.length import measure


def _demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "publisher", "demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", "no_proxy": "*"},
    )


def test_demo__twice_everything_is_out(tmp_path: Path) -> None:
    """The demo ends well, twice in a row, in under 20 seconds, and every paragraph is on the page and in the mail."""
    for _ in range(2):
        begun = time.monotonic()
        done = _demo(tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert time.monotonic() - begun < 20
    results = tmp_path / "publisher-demo"
    sample = (Path(demo.__file__).parent / "sample.txt").read_text(encoding="utf-8")
    paragraphs = [line.strip() for line in sample.splitlines() if line.strip()][2:]
    assert len(paragraphs) == 10
    (page,) = results.glob("site/*-0001/index.html")
    key = page.parent.name
    messages = [
        email.message_from_bytes(m.as_bytes(), policy=email.policy.default)
        for m in mailbox.Maildir(results / "Maildir")
    ]
    assert len(messages) == 6  # two announcements, three readers
    assert len({m["To"] for m in messages}) == 3
    message = next(m for m in messages if f"<{key}." in m["Message-ID"] and "zhou@" in m["To"])
    shown = html.unescape(page.read_text(encoding="utf-8"))
    mailed = html.unescape(message.get_body(("html",)).get_content())
    plain = _unspaced(message.get_body(("plain",)).get_content())
    for paragraph in paragraphs:
        assert paragraph in shown
        assert paragraph in mailed
        assert _unspaced(paragraph) in plain
    posts = [
        json.loads(path.read_text(encoding="utf-8"))["text"] for path in (results / "posts").glob("*.json")
    ]
    assert len(posts) == 2
    rule = LengthRule(500, link=23, short_handles=True)
    assert all(measure(text, rule) <= 500 for text in posts)
    assert any(f"https://news.example.org/{key}/" in text.split() for text in posts)
    assert "link.publisher.invalid" not in shown + mailed + plain + "".join(posts)


def _unspaced(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_demo__leaves_other_folders_alone(tmp_path: Path) -> None:
    """A folder that holds something else is refused, and nothing in it is touched."""
    (tmp_path / "publisher-demo").mkdir()
    (tmp_path / "publisher-demo" / "thesis.txt").write_text("three years of work")
    done = _demo(tmp_path)
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert (tmp_path / "publisher-demo" / "thesis.txt").read_text() == "three years of work"


def test_demo__what_is_not_delivered_is_said(tmp_path: Path, monkeypatch) -> None:
    """If the worker delivers nothing, the demo ends with 1 and a table that says so."""
    monkeypatch.setattr(demo, "_PATIENCE_SECONDS", 0.0)
    from publisher.cli.main import main

    assert main(["demo", "--folder", str(tmp_path / "out")]) == 1
