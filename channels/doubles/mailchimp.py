"""A Mailchimp account on this machine, for the demo and the tests.

Behaves as Mailchimp's documents say: audiences with segments, campaigns whose content is put apart, a checklist, a
plain 204 for what is sent, errors as problem documents, and merge tags.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from channels.doubles.campaigns import CampaignDouble, Mail
from publisher import clock
from publisher.testing.exchange import Request, Response

_TAG = re.compile(r"\*\|([^|]+)\|\*")


class MailchimpDouble(CampaignDouble):
    """One account; ``readers`` are the addresses of each audience, and of its segments by number."""

    def __init__(self, folder: str, *, now: clock.Clock = clock.now) -> None:
        super().__init__(folder, now=now)
        self.key = "0123456789abcdef0123456789abcdef-us19"
        self.readers: dict[tuple[str, int], list[str]] = {
            ("a1b2c3d4e5", 0): ["lin@example.org", "jane+news@example.org"],
            ("a1b2c3d4e5", 11): ["lin@example.org"],
            ("a1b2c3d4e5", 12): ["jane+news@example.org"],
            ("f6f7f8f9f0", 0): ["tom@example.org"],
        }
        self.domains = {"example.org": True}
        self.wrong: list[dict[str, Any]] = []
        """What the checklist of every campaign finds."""
        self.forgets_segments = False

    def start(self) -> Mapping[str, str]:
        """Listens; the settings that reach it."""
        url = f"{self.server.start()}/3.0"
        return {
            "URL": url,
            "API_KEY": self.key,
            "AUDIENCE": "a1b2c3d4e5",
            "SENDER": "News <news@example.org>",
        }

    def out(self) -> int:
        """How many campaigns are no draft any more."""
        return sum(one["status"] != "save" for one in self.campaigns())

    async def _handle(self, request: Request) -> Response:
        _, _, given = request.headers.get("authorization", "").partition("Basic ")
        if base64.b64decode(given).decode().partition(":")[2] != self.key:
            return _problem(401, "API Key Invalid", "Your API key may be invalid.")
        path = request.path.removeprefix("/3.0")
        if path == "/ping":
            return Response.json({"health_status": "Everything's Chimpy!"})
        if path == "/":
            return Response.json({"account_name": "Office"})
        if path == "/verified-domains":
            known = [{"domain": name, "verified": on} for name, on in self.domains.items()]
            return Response.json({"domains": known})
        if match := re.fullmatch(r"/lists/(\w+)(?:/segments/(\d+))?", path):
            return self._list(match[1], int(match[2] or 0))
        match = re.fullmatch(r"/campaigns(?:/(\w+))?(/content|/send-checklist|/actions/send)?", path)
        return self._campaigns(request, match[1] or "", match[2] or "") if match else _missing()

    def _list(self, audience: str, segment: int) -> Response:
        readers = self.readers.get((audience, segment))
        if readers is None:
            return _missing()
        if segment:
            return Response.json({"id": segment, "name": f"Segment {segment}", "member_count": len(readers)})
        return Response.json({"id": audience, "name": "Readers", "stats": {"member_count": len(readers)}})

    def _campaigns(self, request: Request, number: str, part: str) -> Response:
        if not number:
            return self._query(request) if request.method == "GET" else self._create(request.json())
        campaign = self._campaign(number)
        if campaign is None:
            return _missing()
        if request.method == "GET":
            ready = {"is_ready": not self.wrong and bool(campaign["html"]), "items": self.wrong}
            return Response.json(ready if part else _shown(campaign))
        if part == "/actions/send":
            return self._send(campaign)
        if campaign["status"] != "save":
            return _problem(400, "Invalid Resource", "This campaign is being sent, or was.")
        if part == "/content":
            return self._content(campaign, request.json())
        return self._stored(campaign, request.json())

    def _query(self, request: Request) -> Response:
        since = datetime.fromisoformat(request.query["since_create_time"].replace(" ", "+"))
        found = [
            one for one in reversed(self.campaigns()) if datetime.fromisoformat(one["create_time"]) >= since
        ]
        offset, count = int(request.query.get("offset", 0)), int(request.query.get("count", 10))
        page = [_shown(one) for one in found[offset : offset + count]]
        return Response.json({"campaigns": page, "total_items": len(found)})

    def _create(self, wanted: dict[str, Any]) -> Response:
        number = f"{len(self.campaigns()) + 1:010x}"
        fresh = {
            "id": number, "type": wanted["type"], "status": "save", "create_time": self.now().isoformat(),
            "send_time": "", "emails_sent": 0, "html": "", "plain_text": "", "recipients": {}, "settings": {},
        }  # fmt: skip
        return self._stored(fresh, wanted)

    def _stored(self, campaign: dict[str, Any], wanted: dict[str, Any]) -> Response:
        to = dict(wanted["recipients"])
        if self.forgets_segments:
            to.pop("segment_opts", None)
        segment = to.get("segment_opts", {}).get("saved_segment_id", 0)
        if (to["list_id"], segment) not in self.readers:
            wrong = [{"field": "recipients.list_id", "message": "No such list"}]
            return _problem(400, "Invalid Resource", "See errors.", wrong)
        changed = campaign | {"recipients": to, "settings": wanted["settings"]}
        self._keep(changed)
        return Response.json(_shown(changed))

    def _content(self, campaign: dict[str, Any], wanted: dict[str, Any]) -> Response:
        self._keep(campaign | {"html": wanted["html"], "plain_text": wanted["plain_text"]})
        return Response.json({"html": wanted["html"], "plain_text": wanted["plain_text"]})

    def _send(self, campaign: dict[str, Any]) -> Response:
        if campaign["status"] != "save" or not campaign["html"]:
            return _problem(400, "Invalid Resource", "The campaign is not ready to send.")
        to = campaign["recipients"]
        readers = self.readers[to["list_id"], to.get("segment_opts", {}).get("saved_segment_id", 0)]
        sent = self._deliver(Mail(campaign["id"], who, *_message(campaign, who)) for who in readers)
        status = {"whole": "sent", "held": "paused", "slow": "sending"}[self.pace]
        self._keep(campaign | {"status": status, "emails_sent": sent, "send_time": self.now().isoformat()})
        return Response(204)


def unsubscribe(campaign: int | str, who: str) -> str:
    """The address at which ``who`` ends the subscription."""
    return f"https://mailchimp.example/u/{campaign}/{who.encode().hex()}"


def _message(campaign: dict[str, Any], who: str) -> tuple[str, str, str]:
    """Subject, HTML and plain text; without a link to unsubscribe Mailchimp puts a foot of its own below."""
    places = {"UNSUB": unsubscribe(campaign["id"], who), "EMAIL": who}
    page = campaign["html"] if "*|UNSUB|*" in campaign["html"] else campaign["html"] + "<p>*|UNSUB|*</p>"
    subject, text = campaign["settings"]["subject_line"], campaign["plain_text"]

    def filled(value: str) -> str:
        return _TAG.sub(lambda match: places.get(match[1], ""), value)

    return filled(subject), _TAG.sub(lambda match: html.escape(places.get(match[1], "")), page), filled(text)


def _shown(campaign: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in campaign.items() if name not in ("html", "plain_text")}


def _missing() -> Response:
    return _problem(404, "Resource Not Found", "The requested resource could not be found.")


def _problem(status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    told = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": "0"}
    return Response.json(told | ({"errors": errors} if errors else {}), status)
