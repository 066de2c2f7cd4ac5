"""Mailchimp as a newsletter channel; how a campaign is sent once is in :mod:`channels.campaign.adapter`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from channels.campaign.adapter import CampaignAdapter
from channels.campaign.content import CampaignPayload, build
from channels.campaign.service import people, word
from channels.mailchimp.service import Mailchimp
from channels.mailchimp.settings import MailchimpSettings, Readers
from channels.mailchimp.template import SYNTAX
from publisher.announcement import Language
from publisher.channel import ChannelSettings, SignInFailed, Variant


class MailchimpAdapter(CampaignAdapter[MailchimpSettings]):
    """One campaign an announcement, or in the layout *separate* one a language."""

    title = "Newsletter by Mailchimp"
    Settings: ClassVar[type[ChannelSettings]] = MailchimpSettings
    settles: ClassVar[timedelta] = timedelta(minutes=10)

    def _connect(self) -> Mailchimp:
        return Mailchimp(self.channel, self.settings)

    def prepare(self, variant: Variant) -> CampaignPayload:
        """The campaign. Raises :class:`~publisher.channel.Unsupported`."""
        audience, segment = self.settings.chosen(variant)
        return build(variant, SYNTAX, (audience, str(segment) if segment else ""))

    async def check(self) -> str:
        """Signs in; asks for audiences, segments and the sender's domain. Raises what :meth:`publish` may raise."""
        service, settings = self.service, self.settings
        if not word((await service.get("/ping")).get("health_status")):
            raise service.unclear("that it is well")
        account = word((await service.get("/", fields="account_name")).get("account_name"))
        readers = (settings.readers(), settings.readers(Language.ZH), settings.readers(Language.EN))
        named = [await self._audience(one) for group in readers for one in group]
        await self._domain()
        said = f"Signed in to Mailchimp as {account or 'an account without a name'}"
        return service.http.scrub(f"{said}; it mails {', '.join(named)} from {settings.sender}.")

    async def _audience(self, readers: Readers) -> str:
        audience, segment = readers
        data = await self._asked(f"/lists/{audience}", f"audience {audience}", "audience")
        stats = data.get("stats")
        count = stats.get("member_count") if isinstance(stats, dict) else None
        if segment:
            path = f"/lists/{audience}/segments/{segment}"
            chosen = await self._asked(path, f"segment {segment} of audience {audience}", "segment")
            return f"{word(chosen.get('name')) or segment} of {word(data.get('name')) or audience}"
        return f"{word(data.get('name')) or audience}{people(count, 'contact')}"

    async def _domain(self) -> None:
        """Raises :class:`SignInFailed` where Mailchimp itself says that the sender's domain is not verified."""
        domain = self.settings.mailbox.address.rpartition("@")[2]
        domains = (await self.service.get("/verified-domains")).get("domains")
        for one in domains if isinstance(domains, list) else ():
            if isinstance(one, dict) and one.get("domain") == domain and one.get("verified") is False:
                raise SignInFailed(f"Mailchimp has not verified the domain {domain} yet; verify it there.")

    async def _asked(self, path: str, what: str, setting: str) -> dict[str, Any]:
        service = self.service
        response = await service.ask(path)
        if response.status == 404:
            raise SignInFailed(f"Mailchimp has no {what}; correct {service.setting(setting)}.")
        return service.read(response)
