"""Mailchimp passes the conformance kit, over the double."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from channels.doubles.mailchimp import MailchimpDouble
from channels.mailchimp import MailchimpAdapter, MailchimpSettings
from publisher.channel import SignInFailed, Throttled, Variant
from publisher.testing import conformance_http as kit
from publisher.testing.bench import AnyAdapter, case
from publisher.testing.conformance_http import HttpConformance
from publisher.testing.exchange import Fault
from tests.newsletter_places import lost, open_variant, whole


class TestMailchimp(HttpConformance):
    """The suite. What is sent is answered without a body, so whatever breaks off behind the head is an answer."""

    keyed = True
    prepares = True
    creates = ("POST", "/3.0/campaigns/")
    meaning: ClassVar[Mapping[int, kit.Errors]] = {
        **kit.MEANING,
        403: (SignInFailed, Throttled),
    }  # without a reason it is too many requests

    def start(self, folder: Path) -> None:
        self.double = MailchimpDouble(str(folder))
        self.reach = {name.lower(): value for name, value in self.double.start().items()}
        self.server, self.secrets = self.double.server, (self.double.key,)

    def stop(self) -> None:
        self.double.stop()

    def adapter(self, patience: float) -> MailchimpAdapter:
        return MailchimpAdapter(
            "newsletter", MailchimpSettings.model_validate({**self.reach, "timeout": patience})
        )

    def variant(self, adapter: AnyAdapter, number: int = 1) -> Variant:
        return open_variant(adapter, number)

    def count(self) -> int:
        return self.double.out()

    @pytest.mark.parametrize("fault", lost(kit.ACTED), ids=kit._short)
    @case
    async def test_http_publish__answer_lost(self, fault: Fault) -> None:
        """As in the kit, without the answers that are whole though they break off."""
        await self._doubtful(fault, acted=True)

    @pytest.mark.parametrize("fault", whole(kit.ACTED), ids=kit._short)
    @case
    async def test_http_publish__answer_without_a_body(self, fault: Fault) -> None:
        """A status of 204 is all that is owed, whatever becomes of the connection behind it."""
        adapter = self.connect(hasty=kit._is_silent(fault))
        self.fail(fault, kit.Step.PUBLISH)
        await self.receipt(adapter.publish(self._payload(adapter), kit.KEY))
        kit.must(self.count() == 1, "The campaign was not sent once.")
