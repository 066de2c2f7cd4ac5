"""Brevo as a newsletter channel; how a campaign is sent once is in :mod:`channels.campaign.adapter`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from channels.brevo.service import Brevo
from channels.brevo.settings import BrevoSettings
from channels.brevo.template import SYNTAX
from channels.campaign import settings as campaign
from channels.campaign.adapter import CampaignAdapter
from channels.campaign.content import CampaignPayload, build
from channels.campaign.service import people, word
from publisher.channel import ChannelSettings, SignInFailed, Variant


class BrevoAdapter(CampaignAdapter[BrevoSettings]):
    """One campaign an announcement, or in the layout *separate* one a language."""

    title = "Newsletter by Brevo"
    Settings: ClassVar[type[ChannelSettings]] = BrevoSettings
    settles: ClassVar[timedelta] = timedelta(minutes=10)

    def _connect(self) -> Brevo:
        return Brevo(self.channel, self.settings)

    def prepare(self, variant: Variant) -> CampaignPayload:
        """The campaign. Raises :class:`~publisher.channel.Unsupported`."""
        settings = self.settings
        lists = campaign.chosen(variant, settings.lists, settings.lists_zh, settings.lists_en)
        return build(variant, SYNTAX, tuple(map(str, lists)))

    async def check(self) -> str:
        """Signs in; asks for the sender and the lists. Raises what :meth:`publish` may raise."""
        account = await self.service.get("/account")
        email = word(account.get("email"))
        if not email:
            raise self.service.unclear("the account it knows us by")
        await self._sender()
        lists = dict.fromkeys((*self.settings.lists, *self.settings.lists_zh, *self.settings.lists_en))
        named = [await self._list(one) for one in lists]
        who = word(account.get("companyName")) or email
        said = f"Signed in to Brevo as {who}{_credits(account.get('plan'))}; it mails {', '.join(named)}"
        return self.service.http.scrub(f"{said} from {self.settings.sender}.")

    async def _sender(self) -> None:
        senders = (await self.service.get("/senders")).get("senders", [])
        if not isinstance(senders, list):
            raise self.service.unclear("a list of senders")
        address = self.settings.mailbox.address.lower()
        for sender in senders:
            if isinstance(sender, dict) and word(sender.get("email")).lower() == address:
                if sender.get("active") is not False:
                    return
                raise SignInFailed(f"Brevo has not verified the sender {address} yet; verify it there.")
        raise SignInFailed(
            f"Brevo does not know the sender {address}; add it there, or correct {self.service.setting('sender')}."
        )

    async def _list(self, number: int) -> str:
        service = self.service
        response = await service.ask(f"/contacts/lists/{number}")
        if response.status in (400, 404):
            raise SignInFailed(f"Brevo has no list {number}; correct {service.setting('lists')}.")
        data = service.read(response)
        count = data.get("uniqueSubscribers", data.get("totalSubscribers"))
        return f"{word(data.get('name')) or number}{people(count, 'contact')}"


def _credits(plans: Any) -> str:
    """How many may still be sent, where the account says so."""
    for plan in plans if isinstance(plans, list) else ():
        if isinstance(plan, dict) and plan.get("creditsType") == "sendLimit" and plan.get("type") != "sms":
            return f" ({plan.get('credits')} credits left)"
    return ""
