"""One round: an approved schedule, a worker that is struck, workers that follow it, and the verdict."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from publisher import registry, settings
from publisher.delivery import State
from publisher.desk import Desk
from publisher.store import Store
from tests.chaos import power
from tests.chaos.databases import Databases
from tests.chaos.points import COMMITTING, PAUSE, SEVER, Strike
from tests.chaos.services import Services
from tests.chaos.verdict import STUCK, Told, Violation, judge
from tests.chaos.worker import TURNS, Job, Life, Nursery
from tests.toy import APPROVER, DOCUMENT, OFFICER

ASKABLE = ("website", "mastodon")
AT_ONCE, PAST_LEASE, PAST_KEYS = 0.0, 10.0, 7200.0
"""How far ahead, in seconds, the clock of the next worker is: not at all; past every lease; past every idempotency key."""
SET_BACK = -3600.0
"""The clock of the next worker, where the machine's has been set back meanwhile."""
_LONGEST = 20.0
_MEMORY = Path("/dev/shm")  # a folder in memory: the website syncs a hundred files a round


def scratch() -> Path:
    """A new folder, in memory where the machine has one. The caller removes it."""
    return Path(
        tempfile.mkdtemp(prefix="publisher-chaos-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
    )


_OFFICE = {"PUBLISHER_CHANNELS": "website,newsletter,mastodon", "PUBLISHER_CANONICAL": "website"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in a round.

    ``after`` seconds, where not 0, is a moment at which the worker is killed wherever it is; else ``strike`` says
    where. ``unattended`` runs the worker as it runs for months, else with ``--once``. ``later`` strikes the workers
    that follow. ``mail`` and ``web`` are faults of the services, by name; ``ahead`` is how late the next worker comes.
    ``torn``, one of :data:`tests.chaos.power.TEARS`, is what else happens to SQLite's log when the worker is killed.
    """

    strike: Strike = field(default_factory=Strike)
    after: float = 0.0
    unattended: bool = False
    later: tuple[Strike, ...] = ()
    mail: str = ""
    web: tuple[str, str] = ("", "")
    ahead: float = PAST_LEASE
    mutation: str = ""
    torn: str = ""

    def to_json(self) -> str:
        """The plan in one line, by which a round is repeated."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan that :meth:`to_json` wrote."""
        raw = json.loads(text)
        strikes = {
            "strike": Strike(**raw["strike"]),
            "later": tuple(Strike(**later) for later in raw["later"]),
        }
        return cls(**{**raw, **strikes, "web": tuple(raw["web"])})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a round ended. ``strikes`` are the points at which a worker was really struck."""

    plan: Plan
    strikes: tuple[str, ...]
    violations: tuple[Violation, ...]
    ledger: tuple[Told, ...]
    folder: Path

    @property
    def uncertain(self) -> int:
        """How many deliveries a person has to look at."""
        return sum(told.state is State.UNCERTAIN for told in self.ledger)


class Bench:
    """An office with two approved announcements that are due, and a nursery of workers. A context manager."""

    def __init__(self, folder: Path, disk: Path | None = None, server: str = "") -> None:
        """Works in ``folder``, best one in memory; the stores are on ``disk``, where a commit takes its time.

        ``server`` is the address of a PostgreSQL, on which each round gets a database; empty for SQLite on ``disk``.
        """
        self._folder, self._disk = folder, disk or folder
        self.databases = Databases(server) if server else None
        self._rounds = 0
        self._stack = ExitStack()
        self._nursery: Nursery | None = None

    def __enter__(self) -> Bench:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.databases:
            self._stack.enter_context(self.databases)
        with ExitStack() as undoing:
            undoing.push(self._stack)
            self.keys = self._approve()
            if self.databases:
                self.databases.freeze("approved")
            with self.round() as (env, _):
                self._nursery = self._stack.enter_context(Nursery(env))
            undoing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def nursery(self) -> Nursery:
        """Where workers come from, while the bench is in use."""
        if self._nursery is None:
            raise RuntimeError("The bench is not in use.")
        return self._nursery

    def _approve(self) -> list[str]:
        """Done once; every round begins with a copy of the store."""
        with Services(self._folder / "approved") as services, self._desk(services) as desk:
            keys = []
            for word in ("图书角", "阅读角"):
                key, _ = desk.add(DOCUMENT.replace("图书角", word).encode(), "corner.md", OFFICER)
                desk.submit(key, OFFICER)
                desk.approve(key, APPROVER)
                desk.schedule(key, "now", OFFICER)
                keys.append(key)
            return keys

    @contextmanager
    def _desk(self, services: Services) -> Iterator[Desk]:
        env = _write_env(self._folder / "approved", services, self._address("approved"))
        with self.opened(env) as store:
            loaded = settings.load(env, {})
            yield Desk(loaded, store, registry.build(loaded))

    def _address(self, name: str, template: str = "") -> str:
        return self.databases.add(name, template) if self.databases else ""

    @contextmanager
    def opened(self, env: Path) -> Iterator[Store]:
        """The store of the round of ``env``, whether that file is still there or not."""
        url = self.databases.address(env.parent.name) if self.databases else ""
        store = Store.open(env.parent / "data", url)
        try:
            yield store
        finally:
            store.close()

    def recorded(self) -> list[str]:
        """Every point of a worker that nothing happens to, as ``name#occurrence``, in order."""
        with self.round() as (env, services):
            life = self.nursery.start(Job(str(env), ("worker", "--once"), record=True))
            life.wait(_LONGEST)
            life.end()
            verdict = self.judge(Plan(), env, services, [], settled=True)
        if verdict.violations or life.lines[-1] != "ended 0":
            raise RuntimeError(
                f"An undisturbed worker does not do its work: {life.lines[-1]}, {verdict.violations}"
            )
        return [line.removeprefix("point ") for line in life.lines if line.startswith("point ")]

    def run(self, plan: Plan) -> Verdict:
        """Carries ``plan`` out. The round's folder stays where a promise was broken."""
        with self.round() as (env, services):
            services.break_mail(plan.mail)
            if plan.web[0]:
                services.break_web(*plan.web)
            strikes = self._first(plan, env, services)
            if strikes and plan.torn:
                power.tear(env.parent / "data" / "publisher.sqlite3-wal", plan.torn)
            services.quiet()
            if plan.ahead >= PAST_KEYS:
                services.forget_keys()
            for strike in plan.later:
                life = self.nursery.start(Job(str(env), (), plan.ahead, strike, mutation=plan.mutation))
                strikes += _carry_out(life, strike, _LONGEST)
                life.end()
                services.quiet()
            settled = self.recover(env, plan.ahead or PAST_LEASE, plan.mutation)
            services.quiet()
            verdict = self.judge(plan, env, services, strikes, settled=settled)
        if not verdict.violations:
            self._remove(env.parent)
        elif self.databases:
            self.databases.kept.add(env.parent.name)
        return verdict

    def _remove(self, folder: Path) -> None:
        """Nothing is left of a round."""
        if self.databases:
            self.databases.drop(folder.name)
        shutil.rmtree((folder / "data").resolve())
        shutil.rmtree(folder)

    @contextmanager
    def round(self, disk: Path | None = None) -> Iterator[tuple[Path, Services]]:
        """A fresh copy of the approved store, and services that hold nothing: its ``.env``, and them.

        On ``disk``, where given, lies all that the worker writes: store, log and website.
        """
        self._rounds += 1
        folder = self._folder / f"round-{self._rounds}"
        store = (disk or self._disk) / f"{self._folder.name}-store-{self._rounds}"
        approved = self._folder / "approved" / "data"
        approved.mkdir(exist_ok=True)  # nothing else makes it where the ledger lies on a server
        shutil.copytree(approved, store)
        folder.mkdir()
        (folder / "data").symlink_to(store)
        if disk:
            (disk / "site").mkdir()
            for name in ("site", "worker.log"):
                (folder / name).symlink_to(disk / name)
        with Services(folder) as services:
            try:
                yield _write_env(folder, services, self._address(folder.name, "approved")), services
            finally:
                if self._nursery:
                    self._nursery.end()

    def _first(self, plan: Plan, env: Path, services: Services) -> list[str]:
        """The life of the worker that is struck; where it was."""
        arguments = ("worker",) if plan.unattended else ("worker", "--once")
        life = self.nursery.start(Job(str(env), arguments, strike=plan.strike, mutation=plan.mutation))
        try:
            if plan.after:
                return [] if life.wait(plan.after) else ["any moment"]
            strikes = _carry_out(life, plan.strike, 2.0 if plan.unattended else _LONGEST)
            if strikes and plan.strike.action == PAUSE:
                self._overlap(plan, env, services)
                life.signal(signal.SIGCONT)
                life.wait(2.0 if plan.unattended else _LONGEST)
            return strikes
        finally:
            life.end()

    def _overlap(self, plan: Plan, env: Path, services: Services) -> None:
        """What another worker does while the first one stands still: one turn, or all it can once the lease is over."""
        self.recover(env, plan.ahead, plan.mutation, turns=1 if plan.ahead == AT_ONCE else TURNS)
        if plan.ahead >= PAST_KEYS:
            services.forget_keys()

    def recover(self, env: Path, ahead: float = PAST_LEASE, mutation: str = "", turns: int = TURNS) -> bool:
        """Workers whose clocks move on until nothing is due; whether that came to be."""
        life = self.nursery.start(Job(str(env), (), ahead, mutation=mutation, turns=turns))
        life.wait(2 * _LONGEST)
        life.end()
        return bool(life.lines) and life.lines[-1] == "settled"

    def judge(
        self, plan: Plan, env: Path, services: Services, strikes: list[str], *, settled: bool
    ) -> Verdict:
        """The verdict on what the services hold now."""
        ledger = self.ledger(env)
        found = judge(ledger, services.held(self.keys), ASKABLE)
        if not settled:
            found.append(Violation(STUCK, "the workers that followed did not come to an end"))
        return Verdict(plan, tuple(strikes), tuple(found), tuple(ledger), env.parent)

    def ledger(self, env: Path) -> list[Told]:
        """What the store tells of every delivery."""
        with self.opened(env) as store, store.read() as tx:
            return [
                Told(d.key, key, d.channel, d.state, tuple(e.name for e in log if e.delivery == d.id))
                for key in self.keys
                for log in [tx.log.of(key)]
                for d in tx.deliveries.of(key)
            ]


def _carry_out(life: Life, strike: Strike, seconds: float) -> list[str]:
    """Waits for what ``strike`` does; where it hit, if it did."""
    if strike.action == PAUSE:
        return [f"{strike.point} paused"] if life.paused(seconds) else []
    if strike.action == COMMITTING:
        if not life.wait(seconds, "committing"):
            return []
        time.sleep(random.random() * 0.0006)  # about as long as a commit takes
        life.signal(signal.SIGKILL)
        life.wait(seconds)
        return ["soon after a commit" if "committed" in life.lines else strike.point]
    over = life.wait(seconds)
    if strike.action == SEVER:
        return [f"{strike.point} severed"] if "severed" in life.lines else []
    if not over or (life.lines[-1:] and life.lines[-1].split()[0] in ("ended", "settled", "due")):
        return []  # it was not there in time, or never: it lived
    return [strike.point] if strike.point else []


def _write_env(folder: Path, services: Services, database: str) -> Path:
    path = folder / ".env"
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        values = {**_OFFICE, **services.settings(), "PUBLISHER_DATABASE_URL": database}
        file.writelines(f"{key}='{value}'\n" for key, value in values.items())
    return path
