"""Once, and not lost: the real worker is killed between any two of its effects, and what came out is counted.

A long run is ``make test-chaos``. Here each kind of point is struck once, and the harness itself is tried: with a
safeguard taken out of the product it must find the promise broken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from publisher.delivery import State
from tests.chaos import mutation
from tests.chaos.databases import KINDS, POSTGRESQL, SQLITE
from tests.chaos.plans import distinct, plans, strike_at, telling
from tests.chaos.points import PAUSE, SEVER, Strike
from tests.chaos.power import TEARS
from tests.chaos.rounds import AT_ONCE, Bench, Plan, Verdict, scratch
from tests.chaos.services import Held
from tests.chaos.summary import family, summary
from tests.chaos.verdict import DAMAGED, DUPLICATE, LOST, STUCK, UNLOGGED, Told, Violation, judge

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a pidfd is Linux's")


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest) -> str:
    """Where the ledger lies."""
    return str(request.param)


@pytest.fixture(scope="module")
def benches(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Bench]]:
    """Two benches, so that rounds can go on side by side."""
    server = request.getfixturevalue("postgres_url") if database == POSTGRESQL else ""
    folder, disk = scratch(), tmp_path_factory.mktemp("chaos")
    with Bench(folder / "one", disk, server) as one, Bench(folder / "two", disk, server) as two:
        yield [one, two]
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def points(benches: list[Bench]) -> list[str]:
    """Every point of an undisturbed worker."""
    return benches[0].recorded()


def _run(benches: list[Bench], chosen: list[Plan]) -> list[Verdict]:
    """The verdicts on ``chosen``, in its order."""
    with ThreadPoolExecutor(len(benches)) as pool:
        shares = [chosen[index :: len(benches)] for index in range(len(benches))]
        done = pool.map(lambda bench, share: [bench.run(plan) for plan in share], benches, shares)
        found = {verdict.plan: verdict for verdicts in done for verdict in verdicts}
    return [found[plan] for plan in chosen]


def test_chaos__points_cover_every_effect(points: list[str]) -> None:
    """Commits, requests, mail steps and files are all among the points, or the rounds would prove little."""
    for name in (
        "commit.before",
        "commit.inside",
        "commit.after",
        "statement UPDATE deliveries",
        "http POST send_request_body.complete",
        "http POST receive_response_headers.complete",
        "smtp message send.half",
        "smtp message send.without dot",
        "smtp message send.after",
        "smtp message reply.after",
        "file KEY/index.html replace.before",
        "file site/sitemap.xml replace.after",
    ):
        assert any(point.startswith(name) for point in points), name
    assert any("attempt.started" in point for point in points if point.startswith("commit.after"))


def test_chaos__killed_once_at_each_kind_of_point(
    benches: list[Bench], points: list[str], database: str
) -> None:
    """Wherever the worker is killed, the next one brings every post out once, or says that it is uncertain."""
    chosen = [
        Plan(strike_at(point)) for point in (distinct(points) if database == SQLITE else telling(points))
    ]
    verdicts = _run(benches, chosen)
    assert [verdict for verdict in verdicts if verdict.violations] == []
    assert sum(len(verdict.strikes) for verdict in verdicts) > 0.9 * len(chosen)


@pytest.mark.parametrize("database", [SQLITE], indirect=True)
def test_chaos__the_end_of_the_log_is_torn(benches: list[Bench], points: list[str]) -> None:
    """A power cut takes the commit it interrupts; what was committed before leads to every post being out once."""
    commits = [point for point in points if point.startswith("commit.after") and "nothing" not in point]
    chosen = [Plan(Strike(point), torn=TEARS[n % 2]) for n, point in enumerate(commits)]
    verdicts = _run(benches, chosen)
    assert [verdict for verdict in verdicts if verdict.violations] == []
    # Results that came in together were committed together: then there was one commit less to be struck.
    assert sum(len(verdict.strikes) for verdict in verdicts) > 0.7 * len(chosen)


@pytest.mark.parametrize("database", [POSTGRESQL], indirect=True)
def test_chaos__the_answer_to_a_commit_is_lost(benches: list[Bench], points: list[str]) -> None:
    """The server has committed and the connection breaks: the worker, which cannot know, neither repeats nor forgets."""
    commits = [point for point in telling(points) if point.startswith("commit.inside")]
    verdicts = _run(benches, [Plan(Strike(point, SEVER)) for point in commits])
    assert [verdict for verdict in verdicts if verdict.violations] == []
    assert all(verdict.strikes for verdict in verdicts)


def test_chaos__without_intention_it_is_noticed(benches: list[Bench]) -> None:
    """If a claim did not say "sending" before the first byte, a newsletter would go out twice: the harness sees it."""
    plan = Plan(Strike("smtp message reply.after#1"), mutation=mutation.NO_INTENTION)
    assert _kinds(benches[0].run(plan)) >= {DUPLICATE}


def test_chaos__without_lease_it_is_noticed(benches: list[Bench]) -> None:
    """If another worker's lease counted for nothing, both would send the newsletter: the harness sees it."""
    at = Strike("smtp message send.before#1", PAUSE)
    assert _kinds(benches[0].run(Plan(at, ahead=AT_ONCE, mutation=mutation.NO_LEASE))) >= {DUPLICATE}


def test_chaos__with_lease_the_other_waits(benches: list[Bench]) -> None:
    """The same two workers with the lease in force: the second does not touch what the first one holds."""
    verdict = benches[0].run(Plan(Strike("smtp message send.before#1", PAUSE), ahead=AT_ONCE))
    assert verdict.violations == ()
    assert verdict.strikes == ("smtp message send.before#1 paused",)
    assert verdict.uncertain == 0


def test_chaos__without_reconciling_it_is_noticed(benches: list[Bench]) -> None:
    """If what is in doubt were sent again without asking, a newsletter would go out twice: the harness sees it."""
    plan = Plan(Strike("smtp message reply.after#1"), mutation=mutation.NO_RECONCILE)
    assert _kinds(benches[0].run(plan)) >= {DUPLICATE}


def _kinds(verdict: Verdict) -> set[str]:
    assert verdict.strikes
    return {violation.kind for violation in verdict.violations}


_LOG = ("attempt.started", "delivery.accepted")


@pytest.mark.parametrize(
    ("state", "log", "posts", "kinds"),
    [
        (State.ACCEPTED, _LOG, 1, []),
        (State.UNCERTAIN, _LOG[:1], 1, []),
        (State.UNCERTAIN, _LOG[:1], 0, []),
        (State.ACCEPTED, _LOG, 0, [LOST]),
        (State.WAITING, (), 0, [LOST]),
        (State.MISSED, (), 0, [LOST]),
        (State.WAITING, _LOG[:1], 1, [STUCK]),
        (State.SENDING, _LOG[:1], 0, [STUCK]),
        (State.UNCERTAIN, (*_LOG[:1], *_LOG[:1]), 2, [DUPLICATE]),
        (State.ACCEPTED, _LOG[::-1], 1, [UNLOGGED]),
        (State.ACCEPTED, _LOG[1:], 1, [UNLOGGED]),
        (State.ACCEPTED, (*_LOG, *_LOG), 1, [UNLOGGED]),
    ],
)
def test_verdict__of_mail(state: State, log: tuple[str, ...], posts: int, kinds: list[str]) -> None:
    """What a service that cannot be asked may hold for a delivery in a state, and what it may not."""
    told = Told("2026-0001-r1-mail-both", "2026-0001", "mail", state, log)
    assert [v.kind for v in judge([told], Held({("2026-0001", "mail"): posts}), ())] == kinds


def test_verdict__uncertain_is_no_end_where_one_can_ask() -> None:
    """On a channel that can be asked, uncertain is not the last word; and what is broken in itself is said."""
    told = Told("2026-0001-r1-site-both", "2026-0001", "site", State.UNCERTAIN, _LOG[:1])
    held = Held({}, ("the sitemap is half",))
    assert [v.kind for v in judge([told], held, ("site",))] == [DAMAGED, LOST]


@pytest.mark.parametrize("kind", KINDS)
def test_plan__is_repeated_exactly(kind: str) -> None:
    """A round that broke a promise is printed as one line, and that line is the same round."""
    for plan in plans(_NAMES, 3, 200, kind):
        assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize("kind", KINDS)
def test_plans__strike_each_point_and_what_only_this_database_knows(kind: str) -> None:
    """A long run leaves out no point; logs are torn on SQLite only, and answers of commits lost on PostgreSQL only."""
    chosen = list(plans(_NAMES, 3, 400, kind))
    assert chosen == list(plans(_NAMES, 3, 400, kind))
    assert {plan.strike.point for plan in chosen} == {"", *_NAMES}
    assert any(plan.torn for plan in chosen) == (kind == SQLITE)
    assert any(plan.strike.action == SEVER for plan in chosen) == (kind == POSTGRESQL)
    assert all(plan.strike.point.startswith("commit.after") for plan in chosen if plan.torn)


_NAMES = [
    f"{name}#1"
    for name in ("commit.before a+b", "commit.inside a", "commit.after a", "http POST x", "smtp QUIT y")
]


@pytest.mark.parametrize(
    ("strike", "name"),
    [
        ("commit.before attempt.started+deliveries#1", "commit.before"),
        ("statement UPDATE deliveries#3", "statement UPDATE"),
        ("smtp message send.without dot#1", "smtp message"),
        ("file KEY/index.html replace.before#1", "file replace.before"),
        ("any moment", "any moment"),
        ("soon after a commit", "soon after a commit"),
    ],
)
def test_summary__families(strike: str, name: str) -> None:
    """Points are summed up by what they are between."""
    assert family(strike) == name


def test_summary__says_everything() -> None:
    """Rounds, kills by family, what else was done, every kind of violation, what is uncertain, database and seed."""
    told = Told("2026-0001-r1-mail-both", "2026-0001", "newsletter", State.UNCERTAIN, _LOG[:1])
    broken = tuple(Violation(kind, "") for kind in (DUPLICATE, LOST, LOST, STUCK, DAMAGED))
    plan = Plan(mail="cut after the dot", torn=TEARS[0])
    strikes = ("commit.after a#1", "http POST x#1 paused", "commit.inside a#1 severed")
    said = summary([Verdict(plan, strikes, broken, (told,), Path())], POSTGRESQL, 5, 61.2)
    assert [" ".join(line.split()) for line in said.splitlines()] == [
        "database postgresql",
        "seed 5",
        "rounds 1 in 61 s",
        "kills 1 at 1 different points",
        "commit.after 1",
        "other strikes 3",
        "commit done, its answer lost 1",
        "log torn after the kill 1",
        "stopped past the lease, went on 1",
        "faults of services 1",
        "cut after the dot 1",
        "duplicates 1",
        "lost 2",
        "uncertain 1 newsletters, left for a person",
        "other violations 2",
        "damaged 1",
        "stuck 1",
    ]


def test_chaos__command_line(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prints its seed and a summary, and ends with 0 when every promise was kept."""
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_url)
    plan = Plan(Strike("smtp message send.after#1")).to_json()
    command = [sys.executable, "-m", "tests.chaos", "--seed", "5", "--jobs", "1", "--database", POSTGRESQL]
    root = Path(__file__).parents[1]
    done = subprocess.run([*command, "--plan", plan], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    said = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for line in ("database postgresql", "seed 5", "kills 1 at 1 different points", "duplicates 0", "lost 0"):
        assert line in said
