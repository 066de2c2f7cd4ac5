"""What holds of every newsletter service: a campaign goes out once, and what became of it is told as it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.brevo import BrevoAdapter, BrevoSettings
from channels.campaign.adapter import CampaignAdapter
from channels.campaign.content import previewed
from channels.doubles import brevo, listmonk, mailchimp
from channels.doubles.brevo import BrevoDouble
from channels.doubles.campaigns import CampaignDouble
from channels.doubles.listmonk import ListmonkDouble
from channels.doubles.mailchimp import MailchimpDouble
from channels.listmonk import ListmonkAdapter, ListmonkSettings
from channels.mailchimp import MailchimpAdapter, MailchimpSettings
from publisher.announcement import Language
from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)
from publisher.testing.exchange import Answer, At, Cut, Fault, Response, Truncated
from tests.newsletter_places import KEY, as_read, open_variant

Adapter = CampaignAdapter[Any]


@dataclass(frozen=True)
class Kind:
    """One service: how it is built, the requests that read, draft and send, and its own words for each state."""

    make: Callable[[str], Any]
    connect: Callable[[Mapping[str, Any]], Adapter]
    unsubscribe: Callable[[Any, str], str]
    campaigns: str
    draft: tuple[str, str]
    send: tuple[str, str]
    words: Mapping[str, str]
    named: str
    answered: int = 204


KINDS = {
    "listmonk": Kind(
        ListmonkDouble,
        lambda reach: ListmonkAdapter("news", ListmonkSettings.model_validate(reach)),
        lambda campaign, who: listmonk.unsubscribe(campaign["uuid"], who),
        "/api/campaigns",
        ("POST", "/api/campaigns"),
        ("PUT", "/api/campaigns/1/status"),
        {
            "draft": "draft",
            "underway": "running",
            "held": "paused",
            "stopped": "cancelled",
            "sent": "finished",
        },
        "name",
        200,
    ),
    "brevo": Kind(
        BrevoDouble,
        lambda reach: BrevoAdapter("news", BrevoSettings.model_validate(reach)),
        lambda campaign, who: brevo.unsubscribe(campaign["id"], who),
        "/v3/emailCampaigns",
        ("POST", "/v3/emailCampaigns"),
        ("POST", "/v3/emailCampaigns/1/sendNow"),
        {"draft": "draft", "underway": "queued", "held": "suspended", "stopped": "cancelled", "sent": "sent"},
        "name",
    ),
    "mailchimp": Kind(
        MailchimpDouble,
        lambda reach: MailchimpAdapter("news", MailchimpSettings.model_validate(reach)),
        lambda campaign, who: mailchimp.unsubscribe(campaign["id"], who),
        "/3.0/campaigns",
        ("POST", "/3.0/campaigns"),
        ("POST", "/3.0/campaigns/0000000001/actions/send"),
        {"draft": "save", "underway": "sending", "held": "paused", "stopped": "canceled", "sent": "sent"},
        "",
    ),
}


@dataclass
class Bench:
    """A service, its double, and an adapter that is connected to it."""

    kind: Kind
    double: CampaignDouble
    reach: Mapping[str, str]
    adapter: Adapter

    def payload(self, **parts: str) -> Any:
        """The lecture, as the request of this service."""
        return self.adapter.prepare(open_variant(self.adapter, **parts))

    def fail(self, fault: Fault, what: tuple[str, str], times: int = 1) -> None:
        """The next requests of that method and path meet ``fault``."""
        self.double.server.inject(fault, method=what[0], path=what[1], times=times)

    @property
    def looked(self) -> tuple[str, str]:
        """The question that asks for one campaign."""
        return "GET", f"{self.kind.campaigns}/"

    @property
    def sendings(self) -> int:
        """How often it was asked to send."""
        method, path = self.kind.send
        ends = path.rpartition("/")[2]
        return sum(one.method == method and one.path.endswith(ends) for one in self.double.server.requests)

    @property
    def statuses(self) -> list[str]:
        """Of all campaigns."""
        return [one["status"] for one in self.double.campaigns()]

    def readers(self) -> list[str]:
        """Who got something, in order."""
        return [mail.address for mail in self.double.mails()]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def double(kind: Kind, tmp_path: Path) -> Iterator[CampaignDouble]:
    double: CampaignDouble = kind.make(str(tmp_path))
    double.start_reach = {name.lower(): value for name, value in double.start().items()}  # type: ignore[attr-defined]
    yield double
    double.stop()


@pytest.fixture
async def bench(kind: Kind, double: CampaignDouble) -> AsyncIterator[Bench]:
    reach = double.start_reach  # type: ignore[attr-defined]
    adapter = kind.connect(reach)
    yield Bench(kind, double, reach, adapter)
    await adapter.close()


EVERYBODY = ["lin@example.org", "jane+news@example.org"]
LOST = (Cut(At.READ), Cut(At.ACTED), Answer(Response(502)), Answer(Response.html("<h1>x</h1>")))


def short(fault: object) -> str:
    return repr(fault)[:40]


# --- Once ----------------------------------------------------------------------------------------------------


async def test_capabilities__what_a_service_does(bench: Bench) -> None:
    """It writes to each reader; it can be asked and looked at; it can take nothing back; nothing links to it."""
    adapter = bench.adapter
    assert (adapter.capabilities.personal, adapter.capabilities.pages) == (True, False)
    assert (adapter.can_find, adapter.can_confirm, adapter.can_update, adapter.can_retract) == (
        True,
        True,
        False,
        False,
    )


@pytest.mark.parametrize("fault", LOST, ids=short)
@pytest.mark.parametrize("step", ["look", "draft"])
async def test_publish__trouble_before(bench: Bench, step: str, fault: Fault) -> None:
    """Whatever fails before the sending request has sent nothing; the next try goes on with the draft, if there is one."""
    payload = bench.payload()
    bench.fail(fault, ("GET", bench.kind.campaigns) if step == "look" else bench.kind.draft)
    with pytest.raises(Unavailable):
        await bench.adapter.publish(payload, KEY)
    assert bench.readers() == []
    await bench.kind.connect(bench.reach).publish(payload, KEY)
    assert bench.readers() == EVERYBODY
    assert len(bench.double.campaigns()) == 1
    assert bench.sendings == 1


@pytest.mark.parametrize("fault", LOST, ids=short)
async def test_publish__trouble_while_sending(bench: Bench, fault: Fault) -> None:
    """After a sending request without an answer the campaign's status is asked, and everybody gets it once in the end."""
    payload = bench.payload()
    bench.fail(fault, bench.kind.send)
    with pytest.raises(OutcomeUnknown):
        await bench.adapter.publish(payload, KEY)
    fresh = bench.kind.connect(bench.reach)
    found = await fresh.find(KEY, payload)
    assert (found is not None) is bool(bench.readers())
    if found is None:
        await fresh.publish(payload, KEY)
    assert bench.readers() == EVERYBODY
    assert len(bench.double.campaigns()) == 1
    await fresh.close()


@pytest.mark.parametrize("newest", ["draft", "sent"])
async def test_publish__a_twin(bench: Bench, newest: str) -> None:
    """A draft that came late stays a draft, and what is out is found beside it, whichever of the two is newer."""
    payload = bench.payload()
    await bench.adapter.publish(payload, KEY)
    (first,) = bench.double.campaigns()
    other = 7 if isinstance(first["id"], int) else "7000000000"
    bench.double._keep(first | {"id": other, "status": bench.kind.words[newest]})
    if newest == "sent":
        bench.double.change(first["id"], status=bench.kind.words["draft"])
    out = str(other if newest == "sent" else first["id"])
    found = await bench.adapter.find(KEY, payload)
    assert found is not None and found.id == out
    with pytest.raises(AlreadyThere) as known:
        await bench.adapter.publish(payload, KEY)
    assert known.value.receipt.id == out
    assert bench.sendings == 1


async def test_publish__refused_since_it_is_out(bench: Bench) -> None:
    """A refusal that comes because the campaign is out is a success; its status says so, not the words."""
    payload = bench.payload()
    bench.fail(Answer(Response.json({"message": "No"}, 400), acted=True), bench.kind.send)
    with pytest.raises(AlreadyThere) as known:
        await bench.adapter.publish(payload, KEY)
    assert known.value.receipt.id == str(bench.double.campaigns()[0]["id"])
    assert bench.readers() == EVERYBODY


async def test_publish__refused_and_still_a_draft(bench: Bench) -> None:
    """A refusal of a campaign that is a draft yet is the officer's, and may be tried again."""
    payload = bench.payload()
    bench.fail(Answer(Response.json({"message": "Not this", "detail": "Not this"}, 400)), bench.kind.send)
    with pytest.raises(Rejected, match="Not this"):
        await bench.adapter.publish(payload, KEY)
    assert await bench.adapter.find(KEY, payload) is None
    await bench.adapter.publish(payload, KEY)
    assert bench.readers() == EVERYBODY


async def test_publish__refused_and_nobody_knows(bench: Bench) -> None:
    """Where the status cannot be asked after a refusal, the outcome is unknown."""
    payload = bench.payload()
    bench.fail(Answer(Response.json({"message": "No"}, 409)), bench.kind.send)
    sent = bench.kind.send[1].rpartition("/")[0].removesuffix("/actions")
    if bench.kind is KINDS["mailchimp"]:  # its checklist is below the same path, and comes first
        bench.fail(Answer(Response.json({"is_ready": True})), ("GET", f"{sent}/send-checklist"))
    bench.fail(Answer(Response(502)), ("GET", sent))
    with pytest.raises(OutcomeUnknown, match="could not be asked"):
        await bench.adapter.publish(payload, KEY)


async def test_publish__deleted_meanwhile(bench: Bench) -> None:
    """A draft that a person deletes at the same moment costs a try, and nothing else."""
    payload = bench.payload()
    number = await bench.adapter.service.draft(payload, KEY)
    bench.double.delete(number)
    with pytest.raises(Unavailable, match="deleted meanwhile"):
        await bench.adapter._sent(number)
    await bench.adapter.publish(payload, KEY)
    assert bench.readers() == EVERYBODY


async def test_publish__sent_by_hand_meanwhile(bench: Bench) -> None:
    """Where a person sends our draft at the same moment, our changes are refused, and it counts as sent."""
    payload = bench.payload()
    number = await bench.adapter.service.draft(payload, KEY)
    listed = await bench.adapter.service.ask(*_listing(bench))
    await bench.adapter._sent(number)
    bench.fail(Answer(Response(200, listed.body)), ("GET", bench.kind.campaigns))
    with pytest.raises(AlreadyThere):
        await bench.adapter.publish(payload, KEY)
    assert bench.readers() == EVERYBODY


def _listing(bench: Bench) -> tuple[str]:
    """The question for all campaigns as the adapter asked it last, or would."""
    return ({
        "listmonk": "/api/campaigns?query=" + KEY,
        "brevo": "/emailCampaigns?limit=50",
        "mailchimp": "/campaigns?since_create_time=2020-01-01T00:00:00%2B00:00&count=1000",
    }[bench.adapter.service.title.lower()],)  # fmt: skip


# --- What became of it ---------------------------------------------------------------------------------------


async def held_as(bench: Bench, state: str) -> tuple[Receipt, Any]:
    """The receipt of a campaign that is sent, and by now in ``state``."""
    payload = bench.payload()
    bench.double.pace = "slow"
    made = await bench.adapter.publish(payload, KEY)
    assert made.outcome == "accepted"
    bench.double.change(made.id, status=bench.kind.words.get(state, state))
    return made, payload


async def test_confirm__sent(bench: Bench) -> None:
    """Accepted while it is being sent, confirmed once it is."""
    made, payload = await held_as(bench, "underway")
    assert await bench.adapter.confirm(made, payload) is made
    bench.double.change(made.id, status=bench.kind.words["sent"])
    seen = await bench.adapter.confirm(made, payload)
    assert (seen.outcome, seen.id) == ("confirmed", made.id)
    assert bench.kind.words["sent"] in seen.code


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("held", "has paused the campaign"),
        ("draft", "look at it there if that lasts"),
        ("something new", "calls it something new"),
    ],
)
async def test_confirm__does_not_go_on(bench: Bench, state: str, said: str) -> None:
    """What does not go on by itself is told in a sentence, and the campaign stays accepted."""
    made, payload = await held_as(bench, state)
    with pytest.raises(Unavailable, match=said):
        await bench.adapter.confirm(made, payload)


async def test_confirm__stopped(bench: Bench) -> None:
    """A campaign that a person stopped is at its end; receipt and log say what it is."""
    made, payload = await held_as(bench, "stopped")
    with capture_logs() as logs:
        seen = await bench.adapter.confirm(made, payload)
    assert seen.outcome == "confirmed"
    assert bench.kind.words["stopped"] in seen.code
    assert [(entry["event_name"], entry["channel"]) for entry in logs] == [("campaign.ended_early", "news")]
    found = await bench.adapter.find(KEY, payload)
    assert found is not None and found.outcome == "accepted"
    with pytest.raises(Rejected, match="is not sent again"):
        await bench.adapter.publish(payload, KEY)


async def test_confirm__deleted(bench: Bench) -> None:
    """Of a campaign that is gone nobody can say any more how far it came."""
    made, payload = await held_as(bench, "sent")
    bench.double.delete(made.id)
    with pytest.raises(Unavailable, match="was it deleted there"):
        await bench.adapter.confirm(made, payload)


async def test_find__a_word_that_is_not_known(bench: Bench) -> None:
    """A state that no document names is neither "there" nor "not there"."""
    _, payload = await held_as(bench, "something new")
    for ask in (bench.adapter.find(KEY, payload), bench.adapter.publish(payload, KEY)):
        with pytest.raises(
            OutcomeUnknown if ask.__name__ == "find" else DeliveryError, match="something new"
        ):
            await ask
    assert bench.sendings == 1


# --- What readers get ----------------------------------------------------------------------------------------


async def test_text__places_are_filled(bench: Bench) -> None:
    """Each reader gets the approved text with her own address and her own way out."""
    variant = open_variant(bench.adapter)
    await bench.adapter.publish(bench.adapter.prepare(variant), KEY)
    (campaign,) = bench.double.campaigns()
    for mail in bench.double.mails():
        leave = bench.kind.unsubscribe(campaign, mail.address)
        assert unescape(mail.html) == unescape(as_read(variant.text("html"), mail.address, leave))
        assert mail.subject == variant.text("subject").strip()
        assert mail.text in ("", as_read(variant.text("text"), mail.address, leave))


NASTY = (
    " {{ contact.EMAIL }}", " {{{ }}", " {", " {% if x %}", " {# x #}", " {NAME}", " *|EMAIL|*", " *|IF:X|*", " **|x|*",
    " https://x.example/@TrackLink", " {{ UnsubscribeURL }}",
)  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
async def test_text__nothing_else_is_filled(bench: Bench, nasty: str) -> None:
    """What people wrote reaches readers as it is, but for an invisible word joiner where a service leaves no other way."""
    variant = open_variant(bench.adapter, subject=nasty, html=nasty, text=nasty)
    await bench.adapter.publish(bench.adapter.prepare(variant), KEY)
    (campaign,) = bench.double.campaigns()
    for mail in bench.double.mails():
        leave = bench.kind.unsubscribe(campaign, mail.address)
        assert unescape(mail.html) == unescape(as_read(variant.text("html"), mail.address, leave))
        assert mail.subject.replace("\u2060", "") == variant.text("subject").strip()
        assert mail.text.replace("\u2060", "") in ("", as_read(variant.text("text"), mail.address, leave))


@pytest.mark.parametrize(
    ("zh", "en", "longest", "expected"),
    [
        ("一句。", "One.", 20, "一句。 | One."),
        ("一句。第二句。", "One. And another one.", 12, "一句。 | One."),
        ("一句很长很长很长的话。", "One sentence that is far too long for it.", 12, "一句很长很长很长的话。"),
        ("一句很长很长很长的话。", "One sentence.", 5, ""),
        ("", "One.", 20, "One."),
        ("一句。", "One.", 0, ""),
    ],
)
def test_preview__fits_or_is_left_out(zh: str, en: str, longest: int, expected: str) -> None:
    """All languages, shortened by sentences, else the leading one, else nothing; never cut."""
    assert previewed({"zh": zh, "en": en}, (Language.ZH, Language.EN), longest) == expected


# --- Trouble that is everybody's -----------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["look", "draft", "send"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(Response(401)), SignInFailed),
        (Answer(Response(429)), Throttled),
        (Answer(Response(429, b"", {"Retry-After": "7"})), Throttled),
        (Answer(Response(302, b"", {"Location": "https://elsewhere.example"})), SignInFailed),
    ],
    ids=["401", "429", "429 with a wait", "302"],
)
async def test_publish__at_every_step(
    bench: Bench, step: str, answer: Answer, error: type[DeliveryError]
) -> None:
    """A sign-in that is refused, a wait and a wrong address mean the same wherever they come; nothing is sent."""
    what = {"look": ("GET", bench.kind.campaigns), "draft": bench.kind.draft, "send": bench.kind.send}[step]
    bench.fail(answer, what)
    with pytest.raises(error) as met:
        await bench.adapter.publish(bench.payload(), KEY)
    if isinstance(met.value, Throttled) and "Retry-After" in answer.response.headers:
        assert met.value.retry_after is not None and met.value.retry_after.total_seconds() == 7
    assert bench.readers() == []


async def test_find__truncated(bench: Bench) -> None:
    """Half a list is no list."""
    payload = bench.payload()
    await bench.adapter.publish(payload, KEY)
    bench.fail(Truncated(40), ("GET", bench.kind.campaigns))
    with pytest.raises(Unavailable):
        await bench.adapter.find(KEY, payload)


def test_titles__tell_the_service() -> None:
    """What an administrator chooses from names the service."""
    for name, adapter in (
        ("listmonk", ListmonkAdapter),
        ("Brevo", BrevoAdapter),
        ("Mailchimp", MailchimpAdapter),
    ):
        assert re.search(name, adapter.title)
