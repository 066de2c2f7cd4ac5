"""Brevo's campaigns over its API.

Errors are ``{"code": …, "message": …}``; what is done is answered by 201 with a number, or by 204 with nothing.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any, ClassVar

from channels.brevo.settings import BrevoSettings
from channels.campaign.campaign import Campaign, State
from channels.campaign.content import CampaignPayload
from channels.campaign.service import Service, number, word
from publisher import clock
from publisher.channel import DeliveryError, Rejected, SignInFailed, Throttled, Unavailable
from publisher.http import LONGEST_WAIT, HttpClient, Response

CAMPAIGNS = "/emailCampaigns"
PAGE = 50
BACK = timedelta(days=90)
"""How old a campaign may be and still be of a delivery that is tried: retries end after days."""
_PAGES = 40
_STATES = {
    "draft": State.DRAFT,
    "queued": State.UNDERWAY,
    "inprocess": State.UNDERWAY,
    "inreview": State.UNDERWAY,
    "suspended": State.HELD,
    "cancelling": State.STOPPED,
    "cancelled": State.STOPPED,
    "sent": State.SENT,
    "archive": State.SENT,
}
"""A list and a single campaign spell them differently; without underscores and capitals they are the same."""
_REPEATED = ("campaign_sent", "campaign_processing", "duplicate_request")
_TOLD = ("id", "name", "tag", "status", "sentDate", "createdAt")


class Brevo(Service):
    """One account for one channel."""

    title: ClassVar[str] = "Brevo"

    def __init__(self, channel: str, settings: BrevoSettings) -> None:
        key = settings.api_key.get_secret_value()
        http = HttpClient(
            settings.url, headers={"api-key": key}, timeout=settings.timeout, secrets=[key]
        )  # fmt: skip
        super().__init__(channel, http)
        self.settings = settings

    async def named(self, key: str) -> list[Campaign]:
        """Brevo has no search: its campaigns are read newest first, as far back as ours can be."""
        found: list[Campaign] = []
        for page in range(_PAGES):
            data, total = await self._page(page * PAGE)
            campaigns = [read(one) for one in data]
            if None in campaigns:
                raise self.unclear("a list of campaigns")
            found += [one for one in campaigns if one and key in one.keys]
            if len(data) < PAGE or (page + 1) * PAGE >= total or _old(data[-1]):
                return found
        raise self.unclear("fewer campaigns than can be looked through")

    async def _page(self, offset: int) -> tuple[list[Any], int]:
        """Some campaigns, and how many there are; without any Brevo may leave the list out."""
        answer = await self.get(
            CAMPAIGNS, type="classic", sort="desc", limit=str(PAGE), offset=str(offset), excludeHtmlContent="true"
        )  # fmt: skip
        data, total = answer.get("campaigns"), number(answer.get("count"))
        if data is None and total == 0:
            data = []
        if not isinstance(data, list) or total is None:
            raise self.unclear("a list of campaigns")
        return data, total

    async def look(self, number: str) -> Campaign | None:
        """The campaign; 404 for one that Brevo does not have."""
        response = await self.ask(f"{CAMPAIGNS}/{self.checked(number)}")
        if response.status == 404:
            return None
        found = read(self.read(response))
        if found is None or found.id != number:
            raise self.unclear("the campaign that was asked for")
        return found

    def checked(self, number: str) -> str:
        """``number`` as it may stand in an address. Raises :class:`Rejected` for what Brevo does not give."""
        if not re.fullmatch(r"[1-9][0-9]{0,17}", number):
            raise Rejected(f"The receipt does not name a campaign of {self.title}; look for it there.")
        return number

    # --- What nobody sees yet ------------------------------------------------------------------------------

    async def draft(self, payload: CampaignPayload, key: str) -> str:
        """A draft; Brevo takes a name twice, and where it should not, the one that has it is looked for again."""
        response = await self.request("POST", CAMPAIGNS, self._fields(payload, key), creates=False)
        if code(response).startswith("duplicate_"):
            raise Unavailable(f"{self.title} has a campaign of this name already; it is looked for again.")
        self.refuse(response, creates=400 <= response.status < 500 and response.status not in (404, 408, 425))
        made = number(self.object(response).get("id"))
        if not made:
            raise self.unclear("the number of the draft it made")
        return str(made)

    async def write(self, number: str, payload: CampaignPayload, key: str) -> None:
        """Everything anew."""
        await self.prepare("PUT", f"{CAMPAIGNS}/{self.checked(number)}", self._fields(payload, key))

    def _fields(self, payload: CampaignPayload, key: str) -> dict[str, Any]:
        sender = self.settings.mailbox
        return {
            "name": key,
            "tag": key,
            "subject": payload.subject,
            "htmlContent": payload.html,
            "sender": {"email": sender.address, **({"name": sender.name} if sender.name else {})},
            "replyTo": self.settings.reply_to or sender.address,
            "recipients": {"listIds": [int(one) for one in payload.audience]},
            **({"previewText": payload.preview} if payload.preview else {}),
        }

    # --- The step that sends -------------------------------------------------------------------------------

    async def send(self, number: str) -> Response:
        """Sends it now."""
        return await self.request("POST", f"{CAMPAIGNS}/{self.checked(number)}/sendNow", creates=True)

    def started(self, response: Response, number: str) -> bool:
        """204, without a word."""
        return response.status == 204

    def repeated(self, response: Response) -> bool:
        """Whether Brevo says that the campaign is being sent, or was."""
        return code(response) in _REPEATED

    def trouble(self, response: Response) -> DeliveryError | None:
        """The errors that are the account's, and the wait, which Brevo does not put where others do."""
        said, shown = code(response), self.http.scrub(word(response.json_object.get("message")))
        if response.status == 429 and "retry-after" not in response.headers:
            return Throttled(f"{self.title} asks to wait (429).", _wait(response))
        if response.status == 402 or said == "not_enough_credits":
            return SignInFailed(
                f"{self.title} has not enough credits left to send this ({shown}); buy some there."
            )
        if said == "account_under_validation":
            return SignInFailed(
                f"{self.title} has not approved the account yet ({shown}); see there what it asks."
            )
        if response.status == 401 or said == "unauthorized":
            return SignInFailed(
                f"{self.title} does not take the key, or not from this machine ({shown}); correct "
                f"{self.setting('api_key')}, or add the address to its authorised IPs (401)."
            )
        if response.status == 403 or said == "permission_denied":
            return SignInFailed(
                f"{self.title} does not permit this to the key ({shown}); see its rights there (403)."
            )
        return None


def code(response: Response) -> str:
    """Brevo's own code of an error."""
    return word(response.json_object.get("code"))


def read(data: object) -> Campaign | None:
    """The campaign that ``data`` describes; ``None`` where it describes none."""
    if not isinstance(data, dict):
        return None
    identity, status = number(data.get("id")), word(data.get("status"))
    if not identity or not status:
        return None
    return Campaign(
        id=str(identity),
        keys=(word(data.get("name")), word(data.get("tag"))),
        state=_STATES.get(status.replace("_", "").lower(), State.UNKNOWN),
        status=status,
        at=clock.instant(word(data.get("sentDate"))),
        raw=json.dumps({name: data.get(name) for name in _TOLD}, ensure_ascii=False),
    )


def _old(data: dict[str, Any]) -> bool:
    """Whether a campaign, and all that are older, cannot be ours any more."""
    made = clock.instant(word(data.get("createdAt")))
    return made is not None and clock.now() - made > BACK


def _wait(response: Response) -> timedelta | None:
    left = response.headers.get("x-sib-ratelimit-reset", "").strip()
    return min(timedelta(seconds=int(left)), LONGEST_WAIT) if re.fullmatch(r"[0-9]{1,9}", left) else None
