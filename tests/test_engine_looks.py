"""A service that shows a post only some time after it took it: what links to it waits until it is seen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from publisher.alerts.cause import UNSEEN_AFTER, current
from publisher.channel import Capabilities, Outcome, OutcomeUnknown, Receipt, Rejected, Unavailable
from publisher.delivery import Delivery, Patience
from publisher.store import Store
from publisher.words import Report
from tests.toy import DOCUMENT, OFFICER, Office, ToyNote, ToyPayload, ToySite, office, work

LOOK = Patience().look


class BuiltSite(ToySite):
    """A site that is built anew some time after it took a post; ``built`` says whether it was."""

    built = False
    looks = 0
    trouble: Exception | None = None

    async def publish(self, payload: ToyPayload, key: str) -> Receipt:
        receipt = await super().publish(payload, key)
        return Receipt(Outcome.ACCEPTED, receipt.id, receipt.links)

    async def update(self, receipt: Receipt, payload: ToyPayload) -> Receipt:
        changed = await super().update(receipt, payload)
        return Receipt(Outcome.ACCEPTED, changed.id, changed.links)

    async def retract(self, receipt: Receipt) -> Receipt:
        gone = await super().retract(receipt)
        return Receipt(Outcome.ACCEPTED, gone.id, gone.links)

    async def confirm(self, receipt: Receipt, payload: ToyPayload) -> Receipt:
        self.looks += 1
        if self.trouble:
            raise self.trouble
        return Receipt(Outcome.CONFIRMED if self.built else Outcome.ACCEPTED, receipt.id, receipt.links)


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office whose website is built anew, on both databases."""
    made = office(store, tmp_path / "home")
    site = BuiltSite("site", made.desk.channels["site"].settings)
    site.service = made.service
    made.desk.channels["site"] = site  # type: ignore[index]  # it is a dict
    return made


def _site(bureau: Office) -> BuiltSite:
    site = bureau.desk.channels["site"]
    assert isinstance(site, BuiltSite)
    return site


async def _published(bureau: Office) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await work(bureau)
    return key


def _told(bureau: Office, key: str, channel: str) -> tuple[str, str]:
    dossier = bureau.desk.show(key)
    report = Report(dossier.filed, dossier.deliveries, bureau.control.outlook("UTC"), bureau.desk.log(key))
    (one,) = [d for d in dossier.deliveries if d.channel == channel and d.revision == dossier.filed.number]
    return report.state(one), " ".join(report.story(one))


async def test_look__what_links_to_it_waits(bureau: Office) -> None:
    """A post that was only taken is looked for until it is seen; no post with a dead link goes out before."""
    key = await _published(bureau)
    assert bureau.states(key) == {"site": "accepted", "note": "waiting"}
    for _ in range(3):
        bureau.clock.forward(minutes=6)
        await work(bureau)
        assert bureau.states(key) == {"site": "accepted", "note": "waiting"}
    assert _site(bureau).looks == 3 and bureau.service.texts("note") == []
    assert _told(bureau, key, "site")[0] == "sent, not to be seen yet"
    assert "has been sent and cannot be seen yet" in _told(bureau, key, "note")[1]
    _site(bureau).built = True
    bureau.clock.forward(minutes=6)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert [k for k, _ in bureau.service.posts] == [f"{key}-r1-site-both", f"{key}-r1-note-both"]


async def test_look__less_and_less_often(bureau: Office) -> None:
    """The first look comes soon; later ones at least every five minutes, for as long as it takes."""
    key = await _published(bureau)
    waits = []
    for _ in range(12):
        due = _delivery(bureau, key).due_at
        assert due is not None
        waits.append(due - bureau.clock())
        bureau.clock.time = due
        await work(bureau)
    assert waits[0] <= timedelta(seconds=15)
    assert max(waits) == LOOK == waits[-1]


def _delivery(bureau: Office, key: str) -> Delivery:
    return next(d for d in bureau.desk.show(key).deliveries if d.channel == "site")


@pytest.mark.parametrize("trouble", [Unavailable("the site is away"), Rejected("odd"), ValueError("a slip")])
async def test_look__a_look_that_fails_decides_nothing(bureau: Office, trouble: Exception) -> None:
    """Whatever goes wrong while looking, the post stays accepted, is looked for again, and the channel works on."""
    key = await _published(bureau)
    _site(bureau).trouble = trouble
    for _ in range(7):
        bureau.clock.forward(minutes=6)
        await work(bureau)
    assert bureau.states(key) == {"site": "accepted", "note": "waiting"}
    assert str(trouble).rstrip(".") in _told(bureau, key, "site")[1]
    with bureau.store.read() as tx:
        assert tx.channels.all()["site"].paused_at is None
    _site(bureau).trouble, _site(bureau).built = None, True
    bureau.clock.forward(minutes=6)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_look__the_worker_stops_while_looking(bureau: Office) -> None:
    """A worker that dies while it looks leaves the post accepted, and the next one looks."""
    key = await _published(bureau)
    bureau.clock.forward(minutes=6)
    with bureau.store.write() as tx:
        (held,) = tx.deliveries.claim("dead", bureau.clock(), timedelta(seconds=5), 10)
    assert held.channel == "site"
    _site(bureau).built = True
    await work(bureau)
    assert bureau.states(key)["site"] == "accepted"
    bureau.clock.forward(seconds=6)
    await work(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


async def test_look__a_correction_takes_over(bureau: Office) -> None:
    """Once a correction is out, the corrected post is looked for and not the old one, whose text is gone."""
    key = await _published(bureau)
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("茶点", "点心").encode(), name="corner.md")
    bureau.approve(key)
    bureau.desk.correct(key, OFFICER, confirmed=True)
    await work(bureau)
    bureau.clock.forward(minutes=6)
    await work(bureau)
    old, new = [d for d in bureau.desk.show(key).deliveries if d.channel == "site"]
    assert not old.unseen and new.unseen
    _site(bureau).built = True
    bureau.clock.forward(minutes=6)
    await work(bureau)
    assert [str(d.state) for d in bureau.desk.show(key).deliveries if d.channel == "note"][-1] == "confirmed"


async def test_look__not_for_what_was_taken_back(bureau: Office) -> None:
    """A retraction is over when the service has taken it; the post that is gone is looked for no more, and it is said."""
    key = await _published(bureau)
    bureau.desk.retract(key, OFFICER, confirmed=True)
    await work(bureau)
    for _ in range(2):
        bureau.clock.forward(minutes=6)
        await work(bureau)
    assert _site(bureau).looks == 0
    published, taken_back = [d for d in bureau.desk.show(key).deliveries if d.channel == "site"]
    assert not published.unseen and not taken_back.unseen
    events = [e.name for e in bureau.desk.log(key)]
    assert events.count("delivery.overtaken") == 1 and events.count("delivery.accepted") == 2


async def test_look__somebody_is_told(bureau: Office) -> None:
    """A post that is not seen for half an hour is told, once; when it is seen, that is over."""
    key = await _published(bureau)

    def causes() -> list[str]:
        with bureau.store.read() as tx:
            return [c.id for c in current(tx, {"site": 30, "note": 30}, "UTC", bureau.clock(), [])]

    assert causes() == []
    bureau.clock.time += UNSEEN_AFTER + timedelta(minutes=1)
    await work(bureau)
    assert causes() == [f"delivery.unseen:{key}-r1-site-both"]
    _site(bureau).built = True
    bureau.clock.forward(minutes=6)
    await work(bureau)
    assert causes() == []


# --- a service that promises to know our key --------------------------------------------------------------


class KeyedNote(ToyNote):
    """Cannot be asked, and makes no second post of a key it knows."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(repeatable=True)

    async def publish(self, payload: ToyPayload, key: str) -> Receipt:
        if self.service.refuse:
            self.service.refuse.pop(0)()
        if key in dict(self.service.posts):
            return self._receipt(key)
        return await super().publish(payload, key)


async def test_repeatable__cleared_up_without_a_person(bureau: Office) -> None:
    """An unknown outcome stays uncertain, is never failed or cancelled meanwhile, and is cleared up by sending again."""
    note = KeyedNote("note", bureau.desk.channels["note"].settings)
    note.service = bureau.service
    bureau.desk.channels["note"] = note  # type: ignore[index]  # it is a dict
    _site(bureau).built = True
    key = await _published(bureau)
    bureau.service.faults = [_lost]
    bureau.service.hidden = True
    bureau.clock.forward(minutes=6)
    await work(bureau)  # the site is seen, the note goes out, and its answer is lost; sent again, it is known
    assert bureau.states(key)["note"] == "confirmed"
    assert len(bureau.service.texts("note")) == 1
    assert "delivery.uncertain" in [e.name for e in bureau.desk.log(key)]


async def test_repeatable__out_of_reach_stays_uncertain(bureau: Office) -> None:
    """While the service cannot be reached again, what may be out is not called failed, however long it takes."""
    note = KeyedNote("note", bureau.desk.channels["note"].settings)
    note.service = bureau.service
    bureau.desk.channels["note"] = note  # type: ignore[index]  # it is a dict
    _site(bureau).built = True
    key = await _published(bureau)
    bureau.service.faults = [_lost]
    bureau.service.refuse = [lambda: None, lambda: None, *[_away] * 60]
    bureau.clock.forward(minutes=6)
    await work(bureau)
    for _ in range(30):
        bureau.clock.forward(hours=2)
        await work(bureau)
    assert bureau.states(key)["note"] == "uncertain"


def _lost() -> None:
    raise OutcomeUnknown("the answer was lost")


def _away() -> None:
    raise Unavailable("nobody answers")
