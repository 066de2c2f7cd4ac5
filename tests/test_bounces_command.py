"""``publisher bounces``, run as its users and mail servers run it: as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from publisher.announcement import Person
from publisher.audience import Audience
from publisher.store import Store
from publisher.subscriber import Consent, Reading, Subscriber, SubscriberState
from publisher.tokens import Tokens
from tests.test_bounces import VECTORS
from tests.test_cli import run
from tests.test_returns import SECRET, signed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An office with one subscriber, and a bounce of hers in ``bounce.eml``."""
    env = tmp_path / ".env"
    env.write_text(f"PUBLISHER_SECRET={SECRET.get_secret_value()}\n")
    env.chmod(0o600)
    store = Store.open(tmp_path / "data")
    audience = Audience(store)
    li = Subscriber("li@readers.example", "li@readers.example", "Li", Reading.ZH, consent=Consent(how="form"))
    audience.add(li, Person("Lin", "office"))
    one, _ = audience.find("li@readers.example")
    store.close()
    assert one is not None
    raw = signed((VECTORS / "qmail.eml").read_bytes(), Tokens([SECRET]), one.ref, 7)
    (tmp_path / "bounce.eml").write_bytes(raw)
    return tmp_path


def _state(folder: Path) -> SubscriberState:
    store = Store.open(folder / "data")
    one, _ = Audience(store).find("li@readers.example")
    store.close()
    assert one is not None
    return one.state


def test_read__file_then_pipe(folder: Path) -> None:
    """A bounce in a file ends the subscription; the same one piped in afterwards changes nothing."""
    done = run(folder, "bounces", "read", "bounce.eml")
    assert (done.returncode, done.stdout) == (0, "1 message read: 1 hard.\n"), done.stderr
    assert _state(folder) is SubscriberState.BOUNCED
    piped = subprocess.run(
        [sys.executable, "-m", "publisher", "bounces", "read", "-", "--json"],
        cwd=folder,
        input=(folder / "bounce.eml").read_bytes(),
        capture_output=True,
        timeout=60,
    )
    assert json.loads(piped.stdout) == {"read": 1, "new": 0, "kinds": {}}


def test_report__what_a_person_must_look_at(folder: Path) -> None:
    """What nobody understood or signed is listed, for people and for programs."""
    assert "Nothing has come back yet" in run(folder, "bounces").stdout
    read = run(folder, "bounces", "read", str(VECTORS))
    assert '"publisher bounces" shows' in read.stdout
    assert _state(folder) is SubscriberState.ACTIVE
    shown = run(folder, "bounces").stdout
    assert "Re: Public lecture" in shown
    assert "li@readers.example asks to be unsubscribed" in shown
    data = json.loads(run(folder, "bounces", "--json").stdout)
    assert data["mailings"] == []
    assert data["counts"]["hard"] == 0
    assert data["counts"]["unknown"] == sum(data["counts"].values()) - data["counts"]["automatic"] - sum(
        data["counts"][kind] for kind in ("policy", "delayed", "delivered", "own")
    )
    assert len(data["unknown"]) == 20


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["read"], 2, "Name a file after read"),
        (["read", "none.mbox"], 2, "none.mbox does not exist"),
        (["fetch", "bounce.eml"], 2, "Name a file after read"),
        (["fetch"], 1, "PUBLISHER_BOUNCES_IMAP is missing"),
        (["burn"], 2, "invalid choice"),
    ],
)
def test_bounces__wrong_use(folder: Path, arguments: list[str], code: int, says: str) -> None:
    """Whatever is typed wrongly, or not set, gets one sentence."""
    done = run(folder, "bounces", *arguments)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (code, 1), done.stderr
    assert says in done.stderr


def test_read__without_a_secret(folder: Path) -> None:
    """Without the secret nobody could tell our own letters: it is asked for."""
    (folder / ".env").write_text("")
    done = run(folder, "bounces", "read", "bounce.eml")
    assert done.returncode == 1
    assert "PUBLISHER_SECRET is missing" in done.stderr
