"""listmonk as a newsletter channel; how a campaign is sent once is in :mod:`channels.campaign.adapter`."""

from __future__ import annotations

from typing import Any, ClassVar

from channels.campaign import settings as campaign
from channels.campaign.adapter import CampaignAdapter
from channels.campaign.campaign import State
from channels.campaign.content import CampaignPayload, build
from channels.campaign.service import people, word
from channels.listmonk.service import Listmonk
from channels.listmonk.settings import ListmonkSettings
from channels.listmonk.template import SYNTAX
from publisher.channel import ChannelSettings, DeliveryError, Receipt, SignInFailed, Variant

_RIGHTS = (
    ("campaigns:get", "campaigns:get_all"),
    ("campaigns:manage", "campaigns:manage_all"),
    ("campaigns:send",),
)
"""Of each group one is needed."""
_SUPER_ADMIN = 1
"""The number of the role that has all rights."""
_BARE = '{{template"content".}}'


class ListmonkAdapter(CampaignAdapter[ListmonkSettings]):
    """One campaign an announcement, or in the layout *separate* one a language."""

    title = "Newsletter by listmonk, the office's own or a hosted one"
    Settings: ClassVar[type[ChannelSettings]] = ListmonkSettings

    def _connect(self) -> Listmonk:
        return Listmonk(self.channel, self.settings)

    @property
    def _listmonk(self) -> Listmonk:
        service = self.service
        assert isinstance(service, Listmonk)
        return service

    def prepare(self, variant: Variant) -> CampaignPayload:
        """The campaign. Raises :class:`~publisher.channel.Unsupported`."""
        settings = self.settings
        lists = campaign.chosen(variant, settings.lists, settings.lists_zh, settings.lists_en)
        return build(variant, SYNTAX, tuple(map(str, lists)))

    async def _taken(self, number: str, code: int) -> Receipt:
        """The answer repeats what was asked for, so the campaign is looked at; a planned one says *scheduled*."""
        try:
            found = await self.service.look(number)
        except DeliveryError:
            found = None
        if found is None or found.state in (State.DRAFT, State.UNKNOWN):
            return await super()._taken(number, code)
        return self._told(found)

    # --- Check ---------------------------------------------------------------------------------------------

    async def check(self) -> str:
        """Signs in; asks for rights, lists and template. Raises what :meth:`publish` may raise."""
        await self._permitted()
        lists = dict.fromkeys((*self.settings.lists, *self.settings.lists_zh, *self.settings.lists_en))
        named = [await self._list(one) for one in lists]
        await self._template()
        sender = self.settings.sender or "its default sender"
        said = f"Signed in to listmonk at {self.service.host} as {self.settings.username}; "
        return self.service.http.scrub(f"{said}it mails {', '.join(named)} from {sender}.")

    async def _permitted(self) -> None:
        user = (await self.service.get("/api/profile")).get("data")
        role = user.get("user_role") if isinstance(user, dict) else None
        if not isinstance(role, dict):
            raise self.service.unclear("the user it knows us by")
        permissions = role.get("permissions")
        held = set(map(str, permissions)) if isinstance(permissions, list) else set()
        missing = [group[0] for group in _RIGHTS if not held.intersection(group)]
        if missing and role.get("id") != _SUPER_ADMIN:
            raise SignInFailed(
                f"{self.settings.username} lacks {', '.join(missing)} on {self.service.host}; give its role the rights "
                "of docs/channels/listmonk.md."
            )

    async def _list(self, number: int) -> str:
        data = await self._asked(f"/api/lists/{number}", f"list {number}", "lists")
        return f"{word(data.get('name')) or number}{people(data.get('subscriber_count'), 'subscriber')}"

    async def _template(self) -> None:
        """Raises :class:`SignInFailed` for a template with a frame of its own, which would stand around our page."""
        number = self.settings.template
        data = await self._asked(f"/api/templates/{number}", f"template {number}", "template")
        if "".join(word(data.get("body")).split()) != _BARE:
            raise SignInFailed(
                f"Template {number} on {self.service.host} has more in it than "
                '{{ template "content" . }}, and the newsletter is a whole page already; '
                f"make such a template and set {self.service.setting('template')}."
            )

    async def _asked(self, path: str, what: str, setting: str) -> dict[str, Any]:
        service = self._listmonk
        response = await service.ask(path)
        if response.status in (400, 404):
            raise SignInFailed(f"{service.host} has no {what}; correct {service.setting(setting)}.")
        data = service.read(response).get("data")
        if not isinstance(data, dict):
            raise service.unclear(what)
        return data
