"""What an officer reads of each situation: what happened, what it means, what to do; plain, polite, with every zone."""

from __future__ import annotations

import ast
import re
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import publisher
from publisher.announcement import Person
from publisher.channel import OutcomeUnknown, Rejected, SignInFailed, Throttled, Unavailable
from publisher.cli import looking, publishing
from publisher.cli.words import EVENTS, event
from publisher.delivery import Action, State
from publisher.engine import deliverer
from publisher.engine.embedded import EmbeddedEngine
from publisher.errors import NotAllowedError
from publisher.store import Store
from publisher.store.log import Event
from publisher.words import ToDo, needs
from tests.toy import APPROVER, DOCUMENT, OFFICER, Office, office

ZONE = "Asia/Shanghai"
REASON = "news.example.org did not answer (timed out)."


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office in Shanghai, with a worker that was just seen."""
    made = office(store, tmp_path / "home")
    made.desk.settings.office.__dict__["timezone"] = ZONE
    _seen(made)
    return made


def _seen(bureau: Office) -> None:
    with bureau.store.write() as tx:
        tx.workers.seen("office-1", bureau.clock())


def _raises(error: Exception) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


async def _work(bureau: Office) -> None:
    _seen(bureau)
    engine = EmbeddedEngine(bureau.store, bureau.desk.channels, "office-1", now=bureau.clock)
    with bureau.store.write() as tx:
        tx.deliveries.release_all(bureau.clock())
    while await engine.enqueue_due():
        await engine.drain()
    await engine.stop()


def _lose(bureau: Office, part: str) -> None:
    """The answer to the next request for a delivery with ``part`` in its key is lost."""

    def seen(key: str) -> None:
        if part in key:
            bureau.service.faults = [_raises(OutcomeUnknown(REASON))]

    bureau.service.seen = seen


# --- every situation ----------------------------------------------------------------------------------------------


async def _draft(bureau: Office) -> str:
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    bureau.desk.submit(key, OFFICER)
    bureau.desk.reject(key, APPROVER, "日期写错了，请核对。")
    return key


async def _submitted(bureau: Office) -> str:
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    bureau.desk.submit(key, OFFICER)
    return key


async def _approved(bureau: Office) -> str:
    return bureau.approved()


async def _hour(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, f"2026-10-01 12:00 {ZONE}", OFFICER)
    return key


async def _now(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    return key


def _refused(error: Exception) -> Callable[[Office], Awaitable[str]]:
    async def make(bureau: Office) -> str:
        key = await _now(bureau)
        bureau.service.refuse = [_raises(error)]
        await _work(bureau)
        bureau.clock.forward(seconds=1)
        return key

    return make


async def _its_turn(bureau: Office) -> str:
    key = await _now(bureau)
    with bureau.store.write() as tx:
        tx.channels.count_started({"site": 30}, tx.channels.hold(["site"]), bureau.clock())
    return key


async def _paused_before_its_hour(bureau: Office) -> str:
    await _refused(SignInFailed(REASON))(bureau)
    return await _hour(bureau)


async def _halted(bureau: Office) -> str:
    key = await _now(bureau)
    bureau.control.halt(Person("Chen", "chen-account"))
    return key


async def _sending(bureau: Office) -> str:
    key = await _now(bureau)
    with bureau.store.write() as tx:
        tx.deliveries.claim("office-1", bureau.clock(), timedelta(seconds=5), 1)
    return key


async def _worker_died_sending(bureau: Office) -> str:
    key = await _sending(bureau)
    bureau.clock.forward(minutes=6)
    return key


async def _asked_again(bureau: Office) -> str:
    key = await _now(bureau)
    bureau.service.refuse = [_raises(OutcomeUnknown(REASON))]
    await _work(bureau)
    return key


async def _cannot_be_asked_now(bureau: Office) -> str:
    key = await _now(bureau)
    bureau.service.refuse = [_raises(OutcomeUnknown(REASON))]
    site = bureau.desk.channels["site"]

    async def find(*_: object) -> None:
        raise Unavailable("news.example.org could not be asked (503 Service Unavailable).")

    site.find = find  # type: ignore[method-assign]
    await _work(bureau)
    return key


async def _for_a_person(bureau: Office) -> str:
    key = await _now(bureau)
    _lose(bureau, "-note-")
    await _work(bureau)
    bureau.service.seen = lambda key: None
    bureau.clock.forward(minutes=2)
    _seen(bureau)
    return key


async def _settled_there(bureau: Office) -> str:
    key = await _for_a_person(bureau)
    bureau.desk.resolve(f"{key}-r1-note-both", "https://toy.example/found", APPROVER)
    return key


async def _settled_not_there(bureau: Office) -> str:
    key = await _for_a_person(bureau)
    bureau.desk.resolve(f"{key}-r1-note-both", None, APPROVER)
    return key


async def _missed(bureau: Office) -> str:
    key = await _now(bureau)
    bureau.clock.forward(hours=25)
    await _work(bureau)
    return key


async def _given_up(bureau: Office) -> str:
    key = await _now(bureau)
    with bureau.store.write() as tx:
        from publisher.delivery import Move

        (site, *_) = tx.deliveries.claim("office-1", bureau.clock(), timedelta(seconds=5), 1)
        reason = f"given up after 40 attempts: {REASON}"
        tx.deliveries.apply(site, Move(State.FAILED, "delivery.failed", reason), bureau.clock())
    return key


async def _parked(bureau: Office) -> str:
    key = await _now(bureau)
    del bureau.desk.channels["site"]  # type: ignore[attr-defined]
    await _work(bureau)
    return key


async def _cancelled(bureau: Office) -> str:
    key = await _hour(bureau)
    bureau.desk.cancel(key, OFFICER)
    return key


async def _superseded(bureau: Office) -> str:
    key = await _hour(bureau)
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="c.md")
    return key


async def _out(bureau: Office) -> str:
    key = await _now(bureau)
    await _work(bureau)
    return key


async def _newer_approved(bureau: Office) -> str:
    key = await _out(bureau)
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="c.md")
    bureau.approve(key)
    return key


async def _corrected(bureau: Office) -> str:
    key = await _newer_approved(bureau)
    bureau.desk.correct(key, OFFICER, confirmed=True)
    await _work(bureau)
    return key


async def _retracting(bureau: Office) -> str:
    key = await _out(bureau)
    bureau.desk.retract(key, OFFICER, confirmed=True)
    return key


async def _retracted(bureau: Office) -> str:
    key = await _retracting(bureau)
    await _work(bureau)
    return key


async def _not_retracted(bureau: Office) -> str:
    key = await _retracting(bureau)
    site = bureau.desk.channels["site"]

    async def retract(*_: object) -> None:
        raise Rejected("news.example.org does not let posts be taken back (403 Forbidden).")

    site.retract = retract  # type: ignore[method-assign]
    await _work(bureau)
    return key


async def _no_worker(bureau: Office) -> str:
    key = await _now(bureau)
    bureau.clock.forward(minutes=6)
    return key


async def _never_a_worker(bureau: Office) -> str:
    with bureau.store.write() as tx:
        tx.workers.end("office-1")
    return await _now(bureau)


@dataclass(frozen=True)
class Scene:
    """A situation, how ``list`` names it, what ``show`` must say of it, and what it must not."""

    make: Callable[[Office], Awaitable[str]]
    stands: str
    says: tuple[str, ...]
    hides: tuple[str, ...] = ()


NOTHING = "Nothing to do."
SCENES = {
    "sent back": Scene(
        _draft,
        "draft",
        ("sent back by Chen, 2026-10-01 09:00 Asia/Shanghai: 日期写错了", "publisher submit KEY"),
    ),
    "submitted": Scene(_submitted, "waits for approval", ("publisher approve KEY --as NAME",)),
    "approved": Scene(_approved, "approved", ("To do: Set its hour.", "publisher schedule KEY")),
    "waits for its hour": Scene(
        _hour,
        "scheduled",
        (
            "site: waiting for its hour",
            "It goes out at 2026-10-01 12:00 Asia/Shanghai.",
            "note: waiting for site",
            f"{NOTHING} The next step comes by itself, at 2026-10-01 12:00 Asia/Shanghai.",
        ),
        ("To do:",),
    ),
    "due now": Scene(_now, "publishing (0 of 2 out)", ("site: due now", "within moments", NOTHING)),
    "waits its turn": Scene(
        _its_turn,
        "publishing (0 of 2 out)",
        ("site: waiting its turn", "site gets 30 posts a minute at most", NOTHING),
    ),
    "waits for a link that failed": Scene(
        _refused(Rejected(REASON)),
        "needs a person (0 of 2 out)",
        (
            "site: failed",
            "It was refused at 2026-10-01 09:00 Asia/Shanghai. It was not published",
            f"The reason given: {REASON}",
            "It links to site, which was not published.",
            "It goes out by itself as soon as site is published.",
            "publisher schedule KEY now",
            "publisher revise KEY FILE",
        ),
        (NOTHING,),
    ),
    "retried": Scene(
        _refused(Unavailable(REASON)),
        "publishing (0 of 2 out)",
        (
            "site: waiting to try again",
            "Attempt 1, at 2026-10-01 09:00 Asia/Shanghai, did not work; nothing was published.",
            f"The reason given: {REASON}",
            "It is tried again by itself at 2026-10-01 09:00:",
            "It may go out until 2026-10-02 09:00 Asia/Shanghai",
            NOTHING,
        ),
    ),
    "throttled": Scene(
        _refused(Throttled("news.example.org asks to wait (429 Too Many Requests).", timedelta(minutes=30))),
        "publishing (0 of 2 out)",
        ("asks to wait (429", "It is tried again by itself at 2026-10-01 09:30 Asia/Shanghai.", NOTHING),
    ),
    "paused": Scene(
        _refused(SignInFailed(REASON)),
        "site paused (0 of 2 out)",
        (
            "site: waiting, the channel is paused",
            "site has been paused since 2026-10-01 09:00 Asia/Shanghai",
            f"Why it is paused: {REASON}",
            "It is tried by itself every ten minutes, next at 2026-10-01 09:10 Asia/Shanghai",
            "To do: site is paused.",
            "publisher channels resume site",
        ),
        (NOTHING,),
    ),
    "paused before its hour": Scene(
        _paused_before_its_hour,
        "scheduled",
        ("site: waiting for its hour", "site has been paused since", "publisher channels resume site"),
    ),
    "halted": Scene(
        _halted,
        "halted (0 of 2 out)",
        (
            "site: halted",
            "To do: Everything was halted at 2026-10-01 09:00 Asia/Shanghai by Chen (chen-account)",
            "publisher unhalt",
        ),
        ("within moments", NOTHING),
    ),
    "being sent": Scene(
        _sending,
        "publishing (0 of 2 out)",
        ("site: being sent", "on its way since 2026-10-01 09:00 Asia/Shanghai"),
    ),
    "its worker died": Scene(
        _worker_died_sending,
        "no worker is running (0 of 2 out)",
        ("site: uncertain, its worker has stopped", "the next one finds out", "publisher worker"),
        (NOTHING,),
    ),
    "asked again by itself": Scene(
        _asked_again,
        "publishing (0 of 2 out)",
        (
            "site: uncertain, being looked into",
            "It was sent at 2026-10-01 09:00 Asia/Shanghai (attempt 1), but no clear answer came",
            "It is asked again by itself at 2026-10-01 09:02 Asia/Shanghai",
            "if it still is not there, it is sent again by itself",
            "it is not known yet whether that is out",
            NOTHING,
        ),
        ("To do:",),
    ),
    "could not be asked": Scene(
        _cannot_be_asked_now,
        "publishing (0 of 2 out)",
        ("site could not be asked. It is asked again by itself at 2026-10-01 09:", "503 Service", NOTHING),
        ("To do:",),
    ),
    "uncertain, for a person": Scene(
        _for_a_person,
        "needs a person (1 of 2 out)",
        (
            "site: published",
            "note: uncertain, a person must look",
            "It was sent at 2026-10-01 09:00 Asia/Shanghai (attempt 1), but no clear answer came",
            f"The reason given: {REASON}",
            "It sends nothing again before a person has looked.",
            "To do: Look at the newest posts of the account behind note",
            "Reading Corner Opens",
            "\n  If it is there: publisher resolve KEY-r1-note-both --delivered URL\n",
            "\n    publisher resolve KEY-r1-note-both --not-delivered\n",
        ),
        (NOTHING,),
    ),
    "settled: it is there": Scene(
        _settled_there,
        "published",
        (
            "note: sent",
            "Chen looked and found it there, at 2026-10-01 09:02",
            "https://toy.example/found",
            NOTHING,
        ),
    ),
    "settled: it is not there": Scene(
        _settled_not_there,
        "publishing (1 of 2 out)",
        ("Chen looked, and it is not there, so it is sent again at once.", NOTHING),
    ),
    "missed": Scene(
        _missed,
        "needs a person (0 of 2 out)",
        (
            "site: missed its hour",
            "It could not be sent by 2026-10-02 09:00 Asia/Shanghai, and was held back",
            "It links to site, which missed its hour.",
            "publisher schedule KEY now",
        ),
    ),
    "given up": Scene(
        _given_up,
        "needs a person (0 of 2 out)",
        ("site: failed", "It was given up at 2026-10-01 09:00 Asia/Shanghai", f"The reason given: {REASON}"),
        ("given up after 40 attempts: ",),
    ),
    "parked": Scene(
        _parked,
        "needs a person (0 of 2 out)",
        (
            "site: stopped",
            "the channel is not configured any more",
            "set up again",
            "publisher schedule KEY now",
        ),
    ),
    "cancelled": Scene(
        _cancelled, "cancelled", ("It was cancelled at 2026-10-01 09:00 Asia/Shanghai", NOTHING), ("To do:",)
    ),
    "superseded": Scene(_superseded, "draft", ("replaced by a newer revision", "publisher submit KEY")),
    "out": Scene(
        _out,
        "published",
        (
            "It was published at 2026-10-01 09:00 Asia/Shanghai.",
            "https://toy.example/KEY-r1-site-both",
            NOTHING,
        ),
        ("To do:",),
    ),
    "a newer revision": Scene(_newer_approved, "approved; revision 1 is out", ("publisher correct KEY",)),
    "changed in place": Scene(
        _corrected,
        "published",
        (
            "site (revision 1): published, since changed",
            "site (revision 2, correction): changed",
            "note (revision 1): published\n",
            NOTHING,
        ),
    ),
    "being taken back": Scene(
        _retracting,
        "being taken back (0 of 1)",
        ("site (retraction): due now", "It is to be taken back", NOTHING),
    ),
    "taken back": Scene(
        _retracted,
        "retracted",
        (
            "site: published, since taken back",
            "It was taken back at 2026-10-01 09:00 Asia/Shanghai.",
            NOTHING,
        ),
        ("https://toy.example/KEY-r1-site-both",),
    ),
    "not taken back": Scene(
        _not_retracted,
        "needs a person (0 of 1)",
        (
            "site (retraction): failed",
            "It was not taken back",
            "What was out stays as it is.",
            "publisher retract KEY --yes",
        ),
    ),
    "no worker any more": Scene(
        _no_worker,
        "no worker is running (0 of 2 out)",
        (
            "site: due, and no worker is running",
            "To do: No worker has given a sign of life since 2026-10-01 09:00 Asia/Shanghai",
            "To start one: publisher worker\n",
        ),
        (NOTHING, "within moments"),
    ),
    "never a worker": Scene(
        _never_a_worker, "no worker is running (0 of 2 out)", ("To do: No worker is running",), (NOTHING,)
    ),
}

_JARGON = re.compile(r"\b(fence|lease|probe|claim|None|null|payload|enqueue|transaction)\b|!")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}(:\d{2})?(?P<zone> Asia/Shanghai)?")


@pytest.fixture
def shown(
    bureau: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a looking command over the office, as the command line does; what it printed."""

    @contextmanager
    def opened(_: Namespace) -> Iterator[tuple[object, object]]:
        yield bureau.control, bureau.desk

    monkeypatch.setattr(looking, "open_control", opened)

    def run(command: Callable[[Namespace], int], **arguments: object) -> str:
        capsys.readouterr()
        assert command(Namespace(json=False, **arguments)) == 0
        return capsys.readouterr().out

    return run


def _joined(text: str) -> str:
    """``text`` with the lines that were broken between words joined again, and its lines kept beside."""
    return text + re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("name", SCENES)
async def test_show__every_situation(bureau: Office, shown: Callable[..., str], name: str) -> None:
    """Each situation is told plainly: what happened, when with its zone, and the next step or that there is none."""
    scene = SCENES[name]
    key = await scene.make(bureau)
    text = shown(looking.show, id=key)
    assert text.startswith(f"{key}, revision")
    assert text.partition(": ")[2].partition("\n")[0] == scene.stands
    for part in scene.says:
        assert part.replace("KEY", key) in _joined(text), text
    for part in scene.hides:
        assert part.replace("KEY", key) not in _joined(text), text
    assert ("To do:" in text) != (NOTHING in text), text
    assert not _JARGON.search(text), text
    flat = re.sub(r"\s+", " ", text).replace('"2026-10-12 09:00 Asia/Shanghai"', "")
    assert all(match["zone"] for match in _TIME.finditer(flat)), text
    assert scene.stands in shown(looking.list_all)


@pytest.mark.parametrize("name", SCENES)
async def test_show__fits_in_100_columns(bureau: Office, shown: Callable[..., str], name: str) -> None:
    """No line is wider than 100 columns, unless it is an address or a command, and those are never broken."""
    key = await SCENES[name].make(bureau)
    for command in (looking.show, looking.list_all, looking.log):
        for line in shown(command, id=key).splitlines():
            assert len(line) <= 100 or "://" in line or "publisher " in line, line


async def test_list__names_who_needs_a_person(bureau: Office, shown: Callable[..., str]) -> None:
    """Below the list stands which announcements need a person, and nothing where none does."""
    await _out(bureau)
    assert "To do:" not in shown(looking.list_all)
    key = await _refused(Rejected(REASON))(bureau)
    text = shown(looking.list_all)
    assert f"To do: One announcement needs a person.\n  publisher show {key}\n" in text


async def test_list__halt_and_no_worker_are_said(bureau: Office, shown: Callable[..., str]) -> None:
    """A halt, and that no worker runs while something is due, stand below the list with the command."""
    await _no_worker(bureau)
    assert "publisher worker" in shown(looking.list_all)
    bureau.control.halt(APPROVER)
    assert "publisher unhalt" in shown(looking.list_all)


async def test_log__an_address_stays_whole(bureau: Office, shown: Callable[..., str]) -> None:
    """In the log an address is on one line, whatever its length, so that it can be copied."""
    key = await _for_a_person(bureau)
    url = "https://toy.example/" + "a" * 150
    bureau.desk.resolve(f"{key}-r1-note-both", url, APPROVER)
    assert any(url in line for line in shown(looking.log, id=key).splitlines())
    assert any(line.strip() == url for line in shown(looking.show, id=key).splitlines())


async def test_log__of_the_office(bureau: Office, shown: Callable[..., str]) -> None:
    """Without an ID the log shows halts and pauses and who ended them: a person, or the channel by itself."""
    assert "Nothing was halted or paused so far." in shown(looking.log, id=None)
    await _halted(bureau)
    bureau.control.unhalt(Person("Lin", "lin-account"))
    with bureau.store.write() as tx:
        for _ in range(2):
            tx.log.add(bureau.clock(), "", "channel.paused", channel="site", reason=REASON)
        tx.log.add(bureau.clock(), "", "channel.resumed", channel="site")
        tx.channels.pause("site", REASON, bureau.clock(), bureau.clock())
    bureau.control.resume("site", Person("Lin", "lin-account"))
    text = shown(looking.log, id=None)
    for line in (
        "Chen (chen-account)  Everything halted; nothing goes out",
        "Lin (lin-account)    The halt lifted; everything goes on",
        "worker               site works again",
        "Lin (lin-account)    site was let go on by hand",
    ):
        assert line in text


async def test_resolve__before_and_after(
    bureau: Office, shown: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was known is printed, then what a person's word has changed."""
    monkeypatch.setattr(publishing, "open_control", looking.open_control)
    key = await _for_a_person(bureau)
    given = {"delivery": f"{key}-r1-note-both", "delivered": None, "not_delivered": [], "actor": "Chen"}
    text = _joined(shown(publishing.resolve, **given))
    assert text.startswith(
        "Known so far, note: uncertain, a person must look\n  It was sent at 2026-10-01 09:00"
    )
    assert f"The reason given: {REASON}" in text
    assert "Settled, note: due now Chen looked, and it is not there, so it is sent again at once." in text
    with pytest.raises(NotAllowedError, match=f"note-both is waiting, so .* See: publisher show {key}"):
        shown(publishing.resolve, **given)
    await _work(bureau)
    with pytest.raises(NotAllowedError, match="note-both is out, so there is nothing to settle"):
        shown(publishing.resolve, **given | {"delivered": ""})


# --- nothing is without words -------------------------------------------------------------------------------------

_ROOMS = (
    "desk.py",
    "control.py",
    "planning.py",
    "delivery.py",
    "mailing.py",
    "audience.py",
    "returns",
    "engine",
    "store",
    "worker.py",
)
_NAME = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")


def _written() -> set[str]:
    """Every text in the rooms that write to the log that looks like an event's name, but for those of the worker's log."""
    found = set[str]()
    root = Path(publisher.__file__).parent
    files = [
        f for room in _ROOMS for f in ([root / room] if room.endswith(".py") else (root / room).rglob("*.py"))
    ]
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        logged = {
            id(keyword.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            for keyword in node.keywords
            if keyword.arg == "event_name"
        }
        found |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in logged
            if _NAME.fullmatch(node.value) and "migrations" not in file.parts
        }
    return found - {name for name in found if name.partition(".")[0] in _TABLES}


_TABLES = {"announcements", "revisions", "seals", "variants", "deliveries", "subscribers", "publisher"}
"""What stands before the dot where a table's column, a logger or a file of ours is named."""


def test_events__each_has_a_sentence() -> None:
    """No event is written for which the log has no sentence, and no sentence is left of an event that is gone."""
    assert _written() == set(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_events__sentence(bureau: Office, name: str) -> None:
    """Each sentence is filled in, with or without its details, and is plain."""
    detail = {
        "number": 2,
        "source": "corner.md",
        "why": "日期",
        "hour": "2026-10-01 01:00 Z",
        "instant": "2026-10-01T01:00:00+00:00",
        "channel": "site",
        "reason": REASON,
        "url": "",
    }
    for given in (detail, {}):
        entry = Event(bureau.clock(), "2026-0001", 1, 3, name, "worker", "", given)
        text = event(entry, "site", ZONE)
        assert text and text != name
        assert not _JARGON.search(text) and "{" not in text and not text.endswith((":", " "))
        assert "01:00 Z" not in text


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("state", State)
async def test_needs__what_a_person_must_do(bureau: Office, state: State, action: Action) -> None:
    """What only a person can move has its step in words and in commands, and nothing else has."""
    from dataclasses import replace

    key = await _now(bureau)
    delivery = replace(bureau.desk.show(key).deliveries[1], state=state, action=action, due_at=None)
    asks = {State.UNCERTAIN, State.FAILED, State.MISSED, State.PARKED}
    need = needs(delivery)
    assert (need is not None) == (state in asks)
    if need is not None:
        assert need.commands and all(command.startswith("publisher ") for _, command in need.commands)
        assert not _JARGON.search(str(need))
        assert all(command in str(need) for _, command in need.commands)


def test_todo__commands_stand_alone() -> None:
    """In lines, a command has a line of its own; as one text, everything is there."""
    todo = ToDo("Look.", (("If so", "publisher a"), ("", "publisher b")))
    assert todo.lines() == ["Look.", "If so: publisher a", "publisher b"]
    assert str(todo) == "Look. If so: publisher a. publisher b."


def test_words__ten_minutes_are_ten_minutes() -> None:
    """A paused channel is tried as often as people are told."""
    assert timedelta(minutes=10) == deliverer.SLOW
