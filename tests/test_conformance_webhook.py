"""The webhook adapter passes the conformance kit, where any 2xx takes an event and every step is a POST to one path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from channels.doubles.webhook import PATH, WebhookDouble
from channels.webhook import WebhookAdapter, WebhookSettings
from publisher.testing import conformance_http as kit
from publisher.testing.bench import NAMED, Step, case, must
from publisher.testing.conformance import KEY
from publisher.testing.conformance_http import HttpConformance
from publisher.testing.exchange import Answer, Endless, Fault, Raw

_ONE_BYTE = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}")
TAKES = tuple(
    fault
    for fault in kit.NOT_ACTED
    if fault == _ONE_BYTE or (isinstance(fault, Answer) and "Content-Encoding" not in fault.response.headers)
)
"""Answers that say nothing on other services. Of a receiver a status of 2xx is all that is owed."""


def _but(faults: tuple[Fault, ...], *left_out: Fault) -> list[Fault]:
    """``faults`` without those that are an answer here; an endless body comes after a status that takes the event."""
    return [fault for fault in faults if fault not in left_out and not isinstance(fault, Endless)]


_REPLIES = [Answer(response) for response in kit._NO_ANSWERS]


class TestWebhook(HttpConformance):
    """The suite, over the double."""

    keyed = True
    creates = updates = retracts = ("POST", PATH)

    def start(self, folder: Path) -> None:
        self.double = WebhookDouble(str(folder))
        self.reach = {name.lower(): value for name, value in self.double.start().items()}
        self.server = self.double.server
        self.secrets = (self.double.secret, self.double.secret.removeprefix("whsec_"))

    def stop(self) -> None:
        self.double.stop()

    def adapter(self, patience: float) -> WebhookAdapter:
        return WebhookAdapter("in_house", WebhookSettings(**self.reach, timeout=patience))

    def count(self) -> int:
        return len(self.double.posts())

    def asked(self) -> int:
        kinds = [json.loads(request.body)["type"] for request in tuple(self.server.requests)]
        return kinds.count("announcement.published")

    def fail(self, fault: Fault, step: Step, times: int = 1) -> None:
        super().fail(fault, Step.PUBLISH if step is Step.CHECK else step, times)

    @pytest.mark.parametrize("fault", _but(kit.ACTED), ids=kit._short)
    @case
    async def test_http_publish__answer_lost(self, fault: Fault) -> None:
        """As in the kit; a body too long to be read follows a status, and is none of the ways to lose an answer."""
        await self._doubtful(fault, acted=True)

    @pytest.mark.parametrize("fault", _but(kit.NOT_ACTED, *TAKES), ids=kit._short)
    @case
    async def test_http_publish__answer_says_nothing(self, fault: Fault) -> None:
        """As in the kit, without the answers whose status takes the event."""
        await self._doubtful(fault, acted=False)

    @pytest.mark.parametrize("fault", [*TAKES, Endless()], ids=kit._short)
    @case
    async def test_http_publish__any_2xx_takes_it(self, fault: Fault) -> None:
        """A receiver owes no body, so none that it sends says anything."""
        adapter = self.connect()
        self.fail(fault, Step.PUBLISH)
        await self.receipt(adapter.publish(self._payload(adapter), KEY))
        must(self.asked() == 1, "The event was sent more than once.")

    @pytest.mark.parametrize(
        "fault", [*_but(kit.LOST), *_but(kit.NOT_ACTED, *TAKES, kit._NEVER_FINAL)], ids=kit._short
    )
    @pytest.mark.parametrize("step", [Step.UPDATE, Step.RETRACT])
    @case
    async def test_http_change__answer_lost(self, step: Step, fault: Fault) -> None:
        """As in the kit, without the answers whose status takes the event."""
        await HttpConformance.test_http_change__answer_lost.__wrapped__(self, step, fault)

    @pytest.mark.parametrize("fault", _but(kit.UNREADABLE, *_REPLIES), ids=kit._short)
    @case
    async def test_http_check__trouble_is_no_answer(self, fault: Fault) -> None:
        """As in the kit, and a web page is still no answer: the address is not that of an endpoint."""
        adapter = self.connect(hasty=kit._is_silent(fault))
        self.fail(fault, Step.CHECK)
        await self.refusal(adapter.check(), *NAMED)

    @pytest.mark.parametrize("status", [302, 303, 400, 401, 403, 410, 422, 429, 500])
    @case
    async def test_http_secret__is_not_repeated(self, status: int) -> None:
        """As in the kit, without the 200 that takes the event; what that says is in the receipt, scrubbed."""
        await HttpConformance.test_http_secret__is_not_repeated.__wrapped__(self, status)

    @case
    async def test_http_secret__in_a_body_that_is_no_json(self) -> None:
        """A receipt keeps what was answered, whatever it is, without the secret."""
        adapter = self.connect()
        told = f"took it, {self.double.secret} fits".encode()
        self.fail(Answer(kit.Response(200, told)), Step.PUBLISH)
        found = await self.receipt(adapter.publish(self._payload(adapter), KEY))
        must(found.raw == "200 took it, *** fits", f"The receipt says {found.raw!r}.")

    @pytest.mark.parametrize("trouble", [kit.Trouble.LOST_AFTER, kit.Trouble.LOST_BEFORE, kit.Trouble.LATE])
    @case
    async def test_publish__an_unknown_outcome_is_sent_again(self, trouble: kit.Trouble) -> None:
        """The promise of ``repeatable``: sent again under its key, an event is there once, acted on before or not."""
        adapter = self.connect(trouble)
        must(adapter.capabilities.repeatable, "The core would not send it again.")
        payload = self._payload(adapter)
        self.inject(trouble, Step.PUBLISH)
        await self.refusal(adapter.publish(payload, KEY), kit.OutcomeUnknown)
        await self.receipt(self.connect().publish(payload, KEY))
        self.server.wait_until_acted(1 if trouble is kit.Trouble.LOST_BEFORE else 2, method="POST")
        must(self.count() == 1 and len(self.double.bodies()) == 1, "The event was taken twice.")
