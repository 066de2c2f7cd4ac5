"""The worker of a mailing is killed again and again: nobody gets it twice, nobody is lost, and few are in doubt."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from publisher.channel import MailingSettings
from publisher.delivery import State
from publisher.mailing import LetterState
from publisher.store import Store
from tests.mailing_worker import CONNECTIONS
from tests.test_mailing import delivery, subscribe
from tests.toy import OFFICER, ToyMail, office

_READERS = 1500
_KILLS = 8


def test_mailing__killed_again_and_again(store: Store, database_url: str, tmp_path: Path) -> None:
    """SIGKILL at random moments; what is in doubt was under way, one a connection, and everything else went once."""
    bureau = office(store, tmp_path / "home")
    bureau.clock.time = bureau.clock.time.now(tz=bureau.clock.time.tzinfo)
    subscribe(bureau, _READERS)
    channel = ToyMail("letters", MailingSettings(), bureau.home)
    (bureau.home / "templates/toy/note.txt").write_text("{{ title[languages[0]] }}")
    bureau.desk = type(bureau.desk)(bureau.desk.settings, store, {"letters": channel}, bureau.clock)
    bureau.desk.canonical = ""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    rng, inbox, killed = random.Random(seed), bureau.home / "inbox", 0
    while True:
        before = _lines(inbox)
        worker = _worker(bureau.home, database_url, rng.randrange(10**6))
        wanted = before + rng.randrange(1, _READERS // _KILLS)
        ended = False
        while killed >= _KILLS or _lines(inbox) < wanted:
            time.sleep(0.002)  # polling is the point: the moment must be arbitrary
            if delivery(bureau, key).state in (State.ACCEPTED, State.UNCERTAIN) and _is_settled(bureau, key):
                ended = True
                break
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        if ended:
            break
        killed += 1
    assert killed >= _KILLS
    got = Counter(line.split()[0] for line in inbox.read_text().splitlines())
    assert set(got.values()) == {1}
    with store.read() as tx:
        counts = tx.mailings.counts(delivery(bureau, key).id)
        doubtful = {letter.address for letter in tx.mailings.doubtful(delivery(bureau, key).id)}
    assert counts[LetterState.SENT] + len(doubtful) == _READERS
    assert len(doubtful) <= killed * CONNECTIONS
    everybody = {f"reader{number}@example.org" for number in range(1, _READERS + 1)}
    assert everybody - set(got) <= doubtful


def _is_settled(bureau, key: str) -> bool:  # type: ignore[no-untyped-def]
    with bureau.store.read() as tx:
        left = tx.mailings.unfinished(delivery(bureau, key).id)
    return delivery(bureau, key).due_at is None and left.keys() <= {LetterState.UNKNOWN}


def _lines(inbox: Path) -> int:
    return inbox.read_bytes().count(b"\n") if inbox.exists() else 0


def _worker(home: Path, url: str, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.mailing_worker", str(home), url, str(seed)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker
