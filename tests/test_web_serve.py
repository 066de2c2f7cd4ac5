"""``publisher serve``: the pages and the worker in one process, from its first line to its last."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from publisher import settings
from publisher.tokens import Purpose, Tokens
from tests.visitors import SECRET

ENV = (
    "PUBLISHER_CHANNELS=website\nWEBSITE_ADAPTER=static_site\nWEBSITE_FOLDER=site\n"
    "WEBSITE_URL=https://news.example.org\n"
)
SERVED = f"{ENV}PUBLISHER_URL=https://news.example.org/\nPUBLISHER_SECRET={SECRET}\n"


def write(folder: Path, text: str) -> None:
    """Writes the settings."""
    (folder / ".env").write_text(text)
    (folder / ".env").chmod(0o600)


def refused(folder: Path, *arguments: str) -> str:
    """What ``publisher serve`` says where it does not start."""
    command = [sys.executable, "-m", "publisher", "serve", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.stderr


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """A running process, the address it listens at, and what it has said until then."""
    command = [sys.executable, "-m", "publisher", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ})
    try:
        said: list[str] = []
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if json.loads(line).get("event_name") == "web.started":
                break
        yield process, json.loads(said[-1])["listens"], said
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("arguments", [(), ("--without-worker",)])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_serve__ends_cleanly(tmp_path: Path, arguments: tuple[str, ...], stop: signal.Signals) -> None:
    """Pages and worker begin together and end together, with code 0, while a visitor keeps her connection."""
    write(tmp_path, SERVED)
    with serving(tmp_path, *arguments) as (process, url, said), httpx.Client(trust_env=False) as client:
        token = Tokens(settings.load(tmp_path / ".env").office.secret).sign(
            Purpose.UNSUBSCRIBE, "0123456789abcdef"
        )
        assert client.get(f"{url}/healthz").text == "ok\n"
        assert client.post(f"{url}/u/{token}").status_code == 200
        process.send_signal(stop)
        _, rest = process.communicate(timeout=20)
    names = [json.loads(line)["event_name"] for line in [*said, *rest.splitlines()]]
    assert process.returncode == 0
    assert names.count("worker.started") == names.count("worker.stopped") == (0 if arguments else 1)
    assert names[-1] == "web.stopped"
    assert token not in "".join(said) + rest


def test_serve__publishes_beside(tmp_path: Path) -> None:
    """What is due goes out while the pages are served."""
    write(tmp_path, SERVED)
    (tmp_path / "corner.md").write_text(
        "---\ntitle: {zh: 图书角开放, en: Reading Corner Opens}\n---\n图书角将于10月12日开放。\n\n"
        "The reading corner opens on 12 October.\n",
        encoding="utf-8",
    )

    def publisher(*arguments: str) -> str:
        command = [sys.executable, "-m", "publisher", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        ).stdout

    with serving(tmp_path) as (process, _, _):
        key = publisher("add", "corner.md", "--as", "Lin").strip()
        for step in (
            ("submit", key, "--as", "Lin"),
            ("approve", key, "--as", "Chen"),
            ("schedule", key, "now"),
        ):
            publisher(*step)
        assert process.stderr is not None
        assert any(json.loads(line).get("event_name") == "delivery.confirmed" for line in process.stderr)
    assert (tmp_path / "site" / key / "index.html").exists()


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (ENV, "PUBLISHER_URL is missing"),
        (f"{ENV}PUBLISHER_URL=https://news.example.org/\n", "PUBLISHER_SECRET is missing"),
        (f"{ENV}PUBLISHER_SECRET={SECRET}\n", "PUBLISHER_URL is missing"),
    ],
)
def test_serve__needs_address_and_secret(tmp_path: Path, env: str, says: str) -> None:
    """What is missing is one sentence that says what to do."""
    write(tmp_path, env)
    said = refused(tmp_path)
    assert says in said
    assert SECRET not in said


def test_serve__place_that_is_taken(tmp_path: Path) -> None:
    """A port that somebody else has, and an address that is not ours, are one sentence each."""
    write(tmp_path, SERVED)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "--port" in refused(tmp_path, "--port", str(taken.getsockname()[1]))
    for place in (("--port", "70000"), ("--host", "192.0.2.1"), ("--host", "a\udce4"[:1] + "..b")):
        assert "--port" in refused(tmp_path, *place)


def test_init__writes_a_secret(tmp_path: Path) -> None:
    """Every office gets a secret of its own, long enough to be used; the example has none."""
    found = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        command = [sys.executable, "-m", "publisher", "init"]
        done = subprocess.run(
            command, cwd=tmp_path / name, capture_output=True, text=True, timeout=60, check=True
        )
        secret = settings.load(tmp_path / name / ".env").office.secret
        assert re.fullmatch("[0-9a-f]{64}", secret[0].get_secret_value())
        assert secret[0].get_secret_value() not in done.stdout
        found.add(secret[0].get_secret_value())
    assert len(found) == 2
    example = Path(__file__).parent.parent / ".env.example"
    assert "\nPUBLISHER_SECRET=\n" in example.read_text(encoding="utf-8")
