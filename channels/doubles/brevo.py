"""A Brevo account on this machine, for the demo and the tests.

Behaves as Brevo's documents say: senders, lists, campaigns without a search, a plain 204 for what is done, errors with
a code, statuses that a list and a single campaign spell differently, and its template language as far as we use it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from channels.doubles.campaigns import CampaignDouble, Mail
from publisher import clock
from publisher.testing.exchange import Request, Response

_PLACE = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
_FIELDS = ("name", "tag", "subject", "previewText", "htmlContent", "sender", "replyTo", "recipients")


class BrevoDouble(CampaignDouble):
    """One account; ``readers`` are the addresses of each list."""

    def __init__(self, folder: str, *, now: clock.Clock = clock.now) -> None:
        super().__init__(folder, now=now)
        self.key = "xkeysib-3f9c1a7e5b2d4f60-Qm8Ks3Vf0Hd7a"
        self.senders = {"news@example.org": True}
        self.credits = 300
        self.readers: dict[int, list[str]] = {
            7: ["lin@example.org", "jane+news@example.org"],
            8: ["lin@example.org", "wu@example.org"],
            9: ["jane+news@example.org", "tom@example.org"],
        }

    def start(self) -> Mapping[str, str]:
        """Listens; the settings that reach it."""
        url = f"{self.server.start()}/v3"
        return {"URL": url, "API_KEY": self.key, "LISTS": "7", "SENDER": "News <news@example.org>"}

    def out(self) -> int:
        """How many campaigns are no draft any more."""
        return sum(one["status"] != "draft" for one in self.campaigns())

    async def _handle(self, request: Request) -> Response:
        if request.headers.get("api-key") != self.key:
            return _error(401, "unauthorized", "Key not found")
        path = request.path.removeprefix("/v3")
        if path == "/account":
            plan = [{"type": "subscription", "creditsType": "sendLimit", "credits": self.credits}]
            return Response.json({"email": "office@example.org", "companyName": "Office", "plan": plan})
        if path == "/senders":
            known = [{"id": 1, "email": email, "active": on} for email, on in self.senders.items()]
            return Response.json({"senders": known})
        if match := re.fullmatch(r"/contacts/lists/(\d+)", path):
            return self._list(int(match[1]))
        match = re.fullmatch(r"/emailCampaigns(?:/(\d+))?(/sendNow)?", path)
        if not match:
            return _error(404, "document_not_found", "Not found")
        return self._campaigns(request, match[1] or "", bool(match[2]))

    def _list(self, number: int) -> Response:
        if number not in self.readers:
            return _error(404, "document_not_found", "List ID does not exist")
        count = len(self.readers[number])
        return Response.json({"id": number, "name": f"List {number}", "uniqueSubscribers": count})

    def _campaigns(self, request: Request, number: str, send: bool) -> Response:
        if not number:
            return self._query(request) if request.method == "GET" else self._create(request.json())
        campaign = self._campaign(number)
        if campaign is None:
            return _error(404, "document_not_found", "Campaign ID does not exist")
        if request.method == "GET":
            spelt = {"inProcess": "in_process"}.get(campaign["status"], campaign["status"])
            return Response.json(campaign | {"status": spelt})
        if send:
            return self._send(campaign)
        if campaign["status"] not in ("draft", "suspended"):
            return _sent(campaign)
        return self._stored(campaign, request.json(), Response(204))

    def _query(self, request: Request) -> Response:
        found = list(reversed(self.campaigns()))
        offset, limit = (
            int(request.query.get(name, default)) for name, default in (("offset", 0), ("limit", 50))
        )
        if not found:
            return Response.json({"count": 0})
        shown = [one | {"htmlContent": ""} for one in found[offset : offset + limit]]
        return Response.json({"count": len(found), "campaigns": shown})

    def _create(self, wanted: dict[str, Any]) -> Response:
        number = max([one["id"] for one in self.campaigns()], default=0) + 1
        made = self.now().isoformat(timespec="milliseconds")
        fresh = dict.fromkeys(_FIELDS) | {
            "id": number, "type": "classic", "status": "draft", "createdAt": made, "sentDate": None,
        }  # fmt: skip
        return self._stored(fresh, wanted, Response.json({"id": number}, 201))

    def _stored(self, campaign: dict[str, Any], wanted: dict[str, Any], answer: Response) -> Response:
        changed = campaign | {name: wanted[name] for name in _FIELDS if name in wanted}
        if not (changed["name"] and changed["subject"] and changed["htmlContent"]):
            return _error(400, "missing_parameter", "name, subject and htmlContent are needed")
        if not self.senders.get(changed["sender"]["email"]):
            return _error(400, "invalid_parameter", "Sender is invalid / inactive")
        if not set(changed["recipients"]["listIds"]) <= set(self.readers):
            return _error(400, "invalid_parameter", "List ids are invalid")
        if "{%" in changed["htmlContent"]:
            return _error(400, "invalid_parameter", "Template syntax error")
        self._keep(changed)
        return answer

    def _send(self, campaign: dict[str, Any]) -> Response:
        if campaign["status"] != "draft":
            return _sent(campaign)
        readers = list(
            dict.fromkeys(who for one in campaign["recipients"]["listIds"] for who in self.readers[one])
        )
        if len(readers) > self.credits:
            return _error(402, "not_enough_credits", "Not enough credits")
        self.credits -= self._deliver(Mail(campaign["id"], who, *_message(campaign, who)) for who in readers)
        status = {"whole": "sent", "held": "suspended", "slow": "inProcess"}[self.pace]
        self._keep(campaign | {"status": status, "sentDate": self.now().isoformat(timespec="milliseconds")})
        return Response(204)


def unsubscribe(campaign: int | str, who: str) -> str:
    """The address at which ``who`` ends the subscription."""
    return f"https://brevo.example/u/{campaign}/{who.encode().hex()}"


def _message(campaign: dict[str, Any], who: str) -> tuple[str, str]:
    places = {"unsubscribe": unsubscribe(campaign["id"], who), "contact.EMAIL": who}

    def written(text: str) -> str:
        filled = _PLACE.sub(lambda match: html.escape(places.get(match[1], "")), text)
        return re.sub(r"\{[A-Z]+\}", "", filled)

    return written(campaign["subject"]), written(campaign["htmlContent"])


def _sent(campaign: dict[str, Any]) -> Response:
    done = campaign["status"] in ("sent", "archive")
    return _error(400, "campaign_sent" if done else "campaign_processing", "Campaign is being sent, or was")


def _error(status: int, code: str, message: str) -> Response:
    return Response.json({"code": code, "message": message}, status)
