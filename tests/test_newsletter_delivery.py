"""A newsletter of a service through the whole core: approved, sent after the website, looked at, and sent once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from channels.campaign import CampaignPayload
from channels.doubles.listmonk import ListmonkDouble
from channels.listmonk import ListmonkAdapter, ListmonkSettings
from publisher.channel import Variant
from publisher.store import Store
from publisher.testing.exchange import Answer, At, Cut, Fault, Response
from publisher.words import Report
from tests.newsletter_places import with_places
from tests.toy import OFFICER, Office, office, work


class Placed(ListmonkAdapter):
    """With places for the reader, where the templates have none."""

    def prepare(self, variant: Variant) -> CampaignPayload:
        return super().prepare(with_places(variant))


@dataclass
class Bureau:
    """An office whose note is a newsletter."""

    office: Office
    double: ListmonkDouble

    async def sent(self) -> str:
        """An approved announcement whose hour has come; its key."""
        key = self.office.approved()
        self.office.desk.schedule(key, "now", OFFICER)
        await work(self.office)
        return key

    async def later(self, **time: float) -> None:
        """Time goes by, and a worker does what is due."""
        self.office.clock.forward(**time)
        await work(self.office)

    def state(self, key: str) -> str:
        """Of the newsletter."""
        return self.office.states(key)["note"]

    def told(self, key: str) -> str:
        """What people read of the newsletter."""
        dossier = self.office.desk.show(key)
        outlook, log = self.office.control.outlook("UTC"), self.office.desk.log(key)
        report = Report(dossier.filed, dossier.deliveries, outlook, log)
        (one,) = [delivery for delivery in dossier.deliveries if delivery.channel == "note"]
        return " ".join(report.story(one))

    def readers(self) -> list[str]:
        """Who got it, in order."""
        return [mail.address for mail in self.double.mails()]


@pytest.fixture
def double(tmp_path: Path) -> Iterator[ListmonkDouble]:
    double = ListmonkDouble(str(tmp_path / "listmonk"))
    double.reach = {name.lower(): value for name, value in double.start().items()}  # type: ignore[attr-defined]
    yield double
    double.stop()


@pytest.fixture
async def bureau(store: Store, double: ListmonkDouble, tmp_path: Path) -> AsyncIterator[Bureau]:
    made = office(store, tmp_path / "home")
    settings = ListmonkSettings.model_validate(double.reach)  # type: ignore[attr-defined]
    adapter = Placed("note", settings)
    made.desk.channels["note"] = adapter  # type: ignore[index]  # it is a dict
    yield Bureau(made, double)
    await adapter.close()


EVERYBODY = ["lin@example.org", "jane+news@example.org"]


async def test_delivery__sent_and_seen(bureau: Bureau) -> None:
    """It goes out after the website, with the page's address, to everybody, and is confirmed once it is finished."""
    bureau.double.pace = "slow"
    key = await bureau.sent()
    assert bureau.state(key) == "accepted"
    (campaign,) = bureau.double.campaigns()
    assert (campaign["name"], campaign["status"]) == (f"{key}-r1-note-both", "running")
    assert f"https://toy.example/{key}-r1-site-both" in campaign["body"]
    bureau.double.end(campaign["id"])
    await bureau.later(minutes=6)
    assert bureau.state(key) == "confirmed"


async def test_delivery__paused_is_told(bureau: Bureau) -> None:
    """Where listmonk has paused it, people read that and what to do; let go on, it comes to its end."""
    bureau.double.pace = "held"
    key = await bureau.sent()
    await bureau.later(minutes=6)
    assert bureau.state(key) == "accepted"
    assert "listmonk has paused the campaign (paused, 1 of 2 sent)" in bureau.told(key)
    bureau.double.change(1, sent=2)
    bureau.double.end(1)
    await bureau.later(minutes=6)
    assert bureau.state(key) == "confirmed"


@pytest.mark.parametrize("fault", [Cut(At.ACTED), Cut(At.READ), Answer(Response(502))], ids=repr)
@pytest.mark.parametrize("step", ["POST", "PUT"])
async def test_delivery__answers_lost(bureau: Bureau, step: str, fault: Fault) -> None:
    """Whichever answer is lost, the core asks, waits until listmonk has settled, and everybody gets it once."""
    bureau.double.server.inject(fault, method=step, path="/api/campaigns")
    key = await bureau.sent()
    for _ in range(3):
        await bureau.later(minutes=4)
    assert bureau.state(key) == "confirmed"
    assert bureau.readers() == EVERYBODY
    assert len(bureau.double.campaigns()) == 1
