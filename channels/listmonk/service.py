"""listmonk's campaigns over its API.

Answers are ``{"data": …}``, errors ``{"message": …}``; what is not there is a 400, and a token that is wrong a 403.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from channels.campaign.campaign import Campaign, State
from channels.campaign.content import CampaignPayload
from channels.campaign.service import Service, number, word
from channels.listmonk.settings import ListmonkSettings
from publisher import clock
from publisher.channel import DeliveryError, Rejected, SignInFailed
from publisher.http import HttpClient, Response

CAMPAIGNS = "/api/campaigns"
_STATES = {
    "draft": State.DRAFT,
    "scheduled": State.UNDERWAY,
    "running": State.UNDERWAY,
    "paused": State.HELD,
    "cancelled": State.STOPPED,
    "finished": State.SENT,
}
_TOLD = ("id", "uuid", "name", "status", "to_send", "sent", "started_at", "send_at")
_UNKNOWN = re.compile(r"invalid (API credentials|session)|.*auth.*header", re.IGNORECASE)


class Listmonk(Service):
    """One listmonk for one channel."""

    title: ClassVar[str] = "listmonk"

    def __init__(self, channel: str, settings: ListmonkSettings) -> None:
        token = settings.token.get_secret_value()
        http = HttpClient(
            settings.url,
            headers={"Authorization": f"token {settings.username}:{token}"},
            timeout=settings.timeout,
            secrets=[token],
        )
        super().__init__(channel, http)
        self.settings = settings

    async def named(self, key: str) -> list[Campaign]:
        """The search is for words, so its finds are compared; it fails on ``:`` and ``(``, which no key has."""
        answer = await self.get(CAMPAIGNS, query=key, no_body="true", per_page="all", order_by="created_at")
        data = answer.get("data")
        found = data.get("results") if isinstance(data, dict) else None
        campaigns = [read(one) for one in found] if isinstance(found, list) else [None]
        if None in campaigns:
            raise self.unclear("a list of campaigns")
        return [one for one in campaigns if one]

    async def look(self, number: str) -> Campaign | None:
        """The campaign; listmonk says 400 for one that it does not have."""
        response = await self.ask(f"{CAMPAIGNS}/{self.checked(number)}", no_body="true")
        if response.status in (400, 404):
            return None
        found = read(self.read(response).get("data"))
        if found is None or found.id != number:
            raise self.unclear("the campaign that was asked for")
        return found

    def checked(self, number: str) -> str:
        """``number`` as it may stand in an address. Raises :class:`Rejected` for what listmonk does not give."""
        if not re.fullmatch(r"[1-9][0-9]{0,9}", number):
            raise Rejected(f"The receipt does not name a campaign on {self.host}; look for it there.")
        return number

    # --- What nobody sees yet ------------------------------------------------------------------------------

    async def draft(self, payload: CampaignPayload, key: str) -> str:
        """A draft whose archive address is the key, which listmonk gives once: a twin is refused by its database."""
        response = await self.request("POST", CAMPAIGNS, self._fields(payload, key), creates=False)
        if response.status == 500 and "duplicate key" in response.text:
            return await self._there(payload, key)
        self.refuse(response, creates=400 <= response.status < 500 and response.status not in (404, 408, 425))
        return self._drafted(response, payload)

    async def _there(self, payload: CampaignPayload, key: str) -> str:
        """The draft that was made at the same moment, or that the first look missed."""
        mine = [one for one in await self.named(key) if key in one.keys]
        if not mine:
            raise Rejected(
                f'{self.host} has a campaign with the archive address "{key}" that this user cannot see; look for '
                "it there, it may have been sent."
            )
        if mine[0].state is not State.DRAFT:
            raise self.unclear("the same twice: a campaign with this key appeared meanwhile")
        await self.write(mine[0].id, payload, key)
        return mine[0].id

    async def write(self, number: str, payload: CampaignPayload, key: str) -> None:
        """Everything anew, and no hour to send it at."""
        fields = self._fields(payload, key)
        response = await self.prepare("PUT", f"{CAMPAIGNS}/{self.checked(number)}", fields)
        self._drafted(response, payload)

    def _fields(self, payload: CampaignPayload, key: str) -> dict[str, Any]:
        settings = self.settings
        return {
            "name": key,
            "subject": payload.subject,
            "lists": [int(one) for one in payload.audience],
            "type": "regular",
            "content_type": "html",
            "body": payload.html,
            "altbody": payload.text,
            "template_id": settings.template,
            "messenger": settings.messenger,
            "from_email": settings.sender,
            "tags": [key[:100]],
            # With an hour to send at, "running" would be stored as "scheduled".
            "send_at": None,
            "archive": False,
            "archive_slug": key,
            "headers": [{"Content-Language": ", ".join(payload.tags)}],
        }

    def _drafted(self, response: Response, payload: CampaignPayload) -> str:
        """The draft's number. Raises :class:`SignInFailed` where lists were left out, as listmonk does silently."""
        data = self.object(response).get("data")
        made = read(data)
        if made is None or not isinstance(data, dict):
            raise self.unclear("the draft it made")
        lists = data.get("lists")
        kept = (
            {str(one.get("id")) for one in lists if isinstance(one, dict)}
            if isinstance(lists, list)
            else set()
        )
        if missing := [one for one in payload.audience if one not in kept]:
            raise SignInFailed(
                f"{self.host} leaves out {_lists(missing)}, which {self.settings.username} may not see; give its role "
                f"the right to see them, or correct {self.setting('lists')}. Nothing was sent."
            )
        return made.id

    # --- The step that sends -------------------------------------------------------------------------------

    async def send(self, number: str) -> Response:
        """Starts it; listmonk does so from a draft or a pause, and says 400 for all else."""
        path = f"{CAMPAIGNS}/{self.checked(number)}/status"
        return await self.request("PUT", path, {"status": "running"}, creates=True)

    def started(self, response: Response, number: str) -> bool:
        """Whether the campaign came back; its status is what was asked for, and says nothing."""
        made = read(response.json_object.get("data"))
        return made is not None and made.id == number

    def trouble(self, response: Response) -> DeliveryError | None:
        """A 403 is a wrong token or a missing right; only the first is said in English whatever the language."""
        said = word(response.json_object.get("message"))
        if response.status != 403 or not said:
            return None
        shown, user = self.http.scrub(said), self.settings.username
        if _UNKNOWN.match(said):
            return SignInFailed(
                f"{self.host} does not take the user and token ({shown}); correct {self.setting('username')} and "
                f"{self.setting('token')} (403)."
            )
        return SignInFailed(
            f"{self.host} does not permit this to {user} ({shown}); give its role the rights of "
            "docs/channels/listmonk.md (403)."
        )


def read(data: object) -> Campaign | None:
    """The campaign that ``data`` describes; ``None`` where it describes none."""
    if not isinstance(data, dict):
        return None
    identity, status = number(data.get("id")), word(data.get("status"))
    if not identity or not status:
        return None
    return Campaign(
        id=str(identity),
        # A person may rename it or give it another address; either is enough to know it by.
        keys=(word(data.get("archive_slug")), word(data.get("name"))),
        state=_STATES.get(status, State.UNKNOWN),
        status=status,
        sent=number(data.get("sent")),
        of=number(data.get("to_send")),
        at=clock.instant(word(data.get("started_at"))),
        raw=json.dumps({name: data.get(name) for name in _TOLD}, ensure_ascii=False),
    )


def _lists(names: Sequence[str]) -> str:
    return f"list {names[0]}" if len(names) == 1 else f"the lists {', '.join(names)}"
