"""Mailchimp's campaigns over the Marketing API 3.0.

Errors are ``application/problem+json``. Not more than ten requests at once are taken for an account, which other
programs use too: two of ours are under way at most. No answer says how long to wait.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from channels.campaign.campaign import Campaign, State
from channels.campaign.content import CampaignPayload
from channels.campaign.service import Service, number, word
from channels.mailchimp.settings import MailchimpSettings
from publisher import clock
from publisher.channel import DeliveryError, Rejected, SignInFailed, Throttled, Unavailable
from publisher.http import HttpClient, Response

CAMPAIGNS = "/campaigns"
PAGE = 1000
BACK = timedelta(days=90)
"""How old a campaign may be and still be of a delivery that is tried: retries end after days."""
_PAGES = 10
_AT_ONCE = 2
_STATES = {
    "save": State.DRAFT,
    "schedule": State.UNDERWAY,
    "sending": State.UNDERWAY,
    "paused": State.HELD,
    "canceling": State.STOPPED,
    "canceled": State.STOPPED,
    "sent": State.SENT,
    "archived": State.SENT,
}
_FIELDS = ("id", "status", "emails_sent", "send_time", "settings.title")


class Mailchimp(Service):
    """One account for one channel."""

    title: ClassVar[str] = "Mailchimp"

    def __init__(self, channel: str, settings: MailchimpSettings) -> None:
        key = settings.api_key.get_secret_value()
        # Any name will do; the key is the password.
        authorization = "Basic " + base64.b64encode(f"publisher:{key}".encode()).decode()
        http = HttpClient(
            settings.api, headers={"Authorization": authorization}, timeout=settings.timeout, secrets=[key]
        )  # fmt: skip
        super().__init__(channel, http)
        self.settings = settings
        self._gate: tuple[asyncio.AbstractEventLoop, asyncio.Semaphore] | None = None

    async def request(self, method: str, path: str, json: object = None, *, creates: bool) -> Response:
        """One request; a third one waits until one of two has its answer."""
        loop = asyncio.get_running_loop()
        if self._gate is None or self._gate[0] is not loop:
            self._gate = loop, asyncio.Semaphore(_AT_ONCE)
        async with self._gate[1]:
            return await super().request(method, path, json, creates=creates)

    async def named(self, key: str) -> list[Campaign]:
        """A list cannot be asked for a title, so the newest campaigns are compared, as far back as ours can be."""
        since = (clock.now() - BACK).strftime("%Y-%m-%dT%H:%M:%S+00:00")
        fields = ",".join(("total_items", *(f"campaigns.{name}" for name in _FIELDS)))
        found: list[Campaign] = []
        for page in range(_PAGES):
            answer = await self.get(
                CAMPAIGNS, since_create_time=since, count=str(PAGE), offset=str(page * PAGE), fields=fields,
                sort_field="create_time", sort_dir="DESC",
            )  # fmt: skip
            data, total = answer.get("campaigns"), number(answer.get("total_items"))
            campaigns = [read(one) for one in data] if isinstance(data, list) else [None]
            if None in campaigns or total is None:
                raise self.unclear("a list of campaigns")
            found += [one for one in campaigns if one and key in one.keys]
            if not campaigns or (page + 1) * PAGE >= total:
                return found
        raise self.unclear("fewer campaigns than can be looked through")

    async def look(self, number: str) -> Campaign | None:
        """The campaign; 404 for one that Mailchimp does not have."""
        response = await self.ask(f"{CAMPAIGNS}/{self.checked(number)}", fields=",".join(_FIELDS))
        if response.status == 404:
            return None
        found = read(self.read(response))
        if found is None or found.id != number:
            raise self.unclear("the campaign that was asked for")
        return found

    def checked(self, number: str) -> str:
        """``number`` as it may stand in an address. Raises :class:`Rejected` for what Mailchimp does not give."""
        if not re.fullmatch(r"[A-Za-z0-9]{1,64}", number):
            raise Rejected(f"The receipt does not name a campaign of {self.title}; look for it there.")
        return number

    # --- What nobody sees yet ------------------------------------------------------------------------------

    async def draft(self, payload: CampaignPayload, key: str) -> str:
        """A draft, its content, and Mailchimp's own list of what is missing."""
        response = await self.prepare("POST", CAMPAIGNS, {"type": "regular", **self._settings(payload, key)})
        made = self._addressed(response, payload)
        await self._content(made, payload)
        return made

    async def write(self, number: str, payload: CampaignPayload, key: str) -> None:
        """Everything anew."""
        path = f"{CAMPAIGNS}/{self.checked(number)}"
        self._addressed(await self.prepare("PATCH", path, self._settings(payload, key)), payload)
        await self._content(number, payload)

    async def _content(self, number: str, payload: CampaignPayload) -> None:
        path = f"{CAMPAIGNS}/{number}"
        await self.prepare("PUT", f"{path}/content", {"html": payload.html, "plain_text": payload.text})
        answer = await self.get(f"{path}/send-checklist")
        if answer.get("is_ready") is True:
            return
        items = answer.get("items")
        if answer.get("is_ready") is not False or not isinstance(items, list):
            raise self.unclear("whether the campaign can be sent")
        wrong = [one for one in items if isinstance(one, dict) and one.get("type") == "error"]
        reasons = "; ".join(f"{word(one.get('heading'))}: {word(one.get('details'))}" for one in wrong)
        raise Rejected(f"Mailchimp would not send it ({self.http.scrub(reasons) or 'without a reason'}).")

    def _settings(self, payload: CampaignPayload, key: str) -> dict[str, Any]:
        audience, segment = payload.audience
        sender = self.settings.mailbox
        chosen = {"segment_opts": {"saved_segment_id": int(segment)}} if segment else {}
        preview = {"preview_text": payload.preview} if payload.preview else {}
        return {
            "recipients": {"list_id": audience, **chosen},
            "settings": {
                "title": key, "subject_line": payload.subject, "from_name": sender.name, "reply_to": sender.address,
                **preview,
            },
        }  # fmt: skip

    def _addressed(self, response: Response, payload: CampaignPayload) -> str:
        """The draft's id. Raises :class:`Unavailable` where it would go to other readers than was asked for."""
        data = self.object(response)
        made, to = word(data.get("id")), data.get("recipients")
        audience, segment = payload.audience
        if not made or not isinstance(to, dict) or to.get("list_id") != audience:
            raise self.unclear("the draft it made, and whom it is for")
        chosen = to.get("segment_opts")
        kept = chosen.get("saved_segment_id") if isinstance(chosen, dict) else None
        if (str(kept) if kept else "") != segment:
            raise Unavailable(
                f"{self.title} keeps segment {kept} with the draft instead of {segment or 'none'}; nothing was sent."
            )
        return self.checked(made)

    # --- The step that sends -------------------------------------------------------------------------------

    async def send(self, number: str) -> Response:
        """Sends it now."""
        return await self.request("POST", f"{CAMPAIGNS}/{self.checked(number)}/actions/send", creates=True)

    def started(self, response: Response, number: str) -> bool:
        """204, without a word."""
        return response.status == 204

    def trouble(self, response: Response) -> DeliveryError | None:
        """A key that is wrong, and a refusal without a reason, which is how too many requests are told at times."""
        problem = response.json_object
        detail = self.http.scrub(word(problem.get("detail")) or word(problem.get("title")))
        if response.status == 401:
            return SignInFailed(
                f"{self.title} does not take the key ({detail}); correct {self.setting('api_key')} (401)."
            )
        if response.status == 403 and not detail:
            return Throttled(
                f"{self.title} refuses without a reason, as it does after too many requests (403)."
            )
        return None

    def refuse(self, response: Response, *, creates: bool) -> None:
        """As for every service; which field is wrong stands apart from the message, and is put behind it."""
        super().refuse(_explained(response), creates=creates)


def read(data: object) -> Campaign | None:
    """The campaign that ``data`` describes; ``None`` where it describes none."""
    if not isinstance(data, dict):
        return None
    identity, status, settings = word(data.get("id")), word(data.get("status")), data.get("settings")
    if not identity or not status:
        return None
    title = word(settings.get("title")) if isinstance(settings, dict) else ""
    state = _STATES.get(status, State.UNKNOWN)
    return Campaign(
        id=identity,
        keys=(title,),
        state=state,
        status=status,
        sent=None if state is State.DRAFT else number(data.get("emails_sent")),
        at=clock.instant(word(data.get("send_time"))),
        raw=json.dumps({"title": title} | {name: data.get(name) for name in _FIELDS[:4]}, ensure_ascii=False),
    )


def _explained(response: Response) -> Response:
    problem = response.json_object
    errors, detail = problem.get("errors"), word(problem.get("detail"))
    if not isinstance(errors, list) or not detail:
        return response
    fields = [
        f"{word(one.get('field'))}: {word(one.get('message'))}" for one in errors if isinstance(one, dict)
    ]
    return replace(response, body=json.dumps({"detail": " ".join((detail, *fields))}).encode())
