"""A listmonk on this machine, for the demo and the tests.

Behaves as listmonk 6.2 does by its source: one API user with rights, lists, templates, campaigns whose archive address
is unique, a status that only moves some ways, and messages made by a small part of Go's templates. What it does not
know of them is an error, as it is there.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from channels.doubles.campaigns import CampaignDouble, Mail
from publisher import clock
from publisher.testing.exchange import Request, Response

_FROM = {
    "running": ("draft", "paused"), "scheduled": ("draft", "paused"), "draft": ("scheduled",), "paused": ("running",),
    "cancelled": ("running", "paused"),
}  # fmt: skip
_ACTION = re.compile(
    r'\{\{\s*(?P<safe>Safe\s+)?(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<name>\.Subscriber\.Email|UnsubscribeURL))\s*\}\}'
)
_TRACKED = re.compile(r"(https?://[\w\-.~!#$&'()*+,/:;=?@\[\]%]*)@TrackLink")
_FIELDS = (
    "name", "subject", "body", "altbody", "content_type", "template_id", "messenger", "from_email", "tags", "send_at",
    "archive", "archive_slug", "headers", "type",
)  # fmt: skip
RIGHTS = ("campaigns:get", "campaigns:manage", "campaigns:send", "lists:get_all", "templates:get")


class ListmonkDouble(CampaignDouble):
    """One listmonk with one API user; ``readers`` are the addresses of each list."""

    def __init__(self, folder: str, *, now: clock.Clock = clock.now) -> None:
        super().__init__(folder, now=now)
        self.username, self.token = "publisher", "Tk4oRzXw9QbLm2Vc7Hd1Ns6Yf3Ga8Ju5"
        self.rights = set(RIGHTS)
        self.hidden: set[int] = set()
        """Lists this user may not see."""
        self.readers: dict[int, list[str]] = {
            3: ["lin@example.org", "jane+news@example.org"],
            4: ["lin@example.org", "wu@example.org"],
            5: ["jane+news@example.org", "tom@example.org"],
        }
        self.names = {3: "News", 4: "消息", 5: "News in English"}
        self.templates = {
            1: '<html><body>{{ template "content" . }}</body></html>',
            2: '{{ template "content" . }}',
        }

    def start(self) -> Mapping[str, str]:
        """Listens; the settings that reach it."""
        reach = {"URL": self.server.start(), "USERNAME": self.username, "TOKEN": self.token}
        return reach | {"LISTS": "3", "TEMPLATE": "2"}

    def out(self) -> int:
        """How many campaigns are no draft any more."""
        return sum(one["status"] != "draft" for one in self.campaigns())

    def end(self, identity: int | str, status: str = "finished") -> None:
        """A campaign that was slow, or paused, comes to its end."""
        self.change(identity, status=status)

    # --- What is asked for -------------------------------------------------------------------------------

    async def _handle(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"token {self.username}:{self.token}":
            return _error(403, "invalid API credentials")
        if request.path == "/api/profile":
            role = {"id": 2, "name": "Publisher", "permissions": sorted(self.rights)}
            return _data(
                {"id": 7, "username": self.username, "type": "api", "user_role": role, "list_role": None}
            )
        match = re.fullmatch(r"/api/(campaigns|lists|templates)(?:/(\d+))?(/status)?", request.path)
        if not match:
            return _error(404, "not found")
        kind, identity, status = match[1], int(match[2] or 0), bool(match[3])
        if missing := self._missing(request.method, kind, status):
            return _error(403, f"permission denied: {missing}")
        if kind == "lists":
            return self._list(identity)
        if kind == "templates":
            body = self.templates.get(identity)
            return (
                _error(400, "Template not found") if body is None else _data({"id": identity, "body": body})
            )
        return self._campaigns(request, identity, status)

    def _missing(self, method: str, kind: str, status: bool) -> str:
        if kind == "templates":
            wanted = "templates:get"
        elif kind == "lists":
            return ""
        elif method == "GET":
            wanted = "campaigns:get"
        else:
            wanted = "campaigns:send" if status else "campaigns:manage"
        return "" if wanted in self.rights else wanted

    def _list(self, identity: int) -> Response:
        if identity in self.hidden:
            return _error(403, "permission denied")
        if identity not in self.readers:
            return _error(400, "List not found")
        count = len(self.readers[identity])
        return _data({"id": identity, "name": self.names.get(identity, ""), "subscriber_count": count})

    def _campaigns(self, request: Request, identity: int, status: bool) -> Response:
        if not identity:
            return self._query(request) if request.method == "GET" else self._create(request.json())
        campaign = self._campaign(identity)
        if campaign is None:
            return _error(400, "Campaign not found")
        if request.method == "GET":
            return _data(_shown(campaign, request))
        if status:
            return self._move(campaign, request.json()["status"])
        return self._update(campaign, request.json())

    def _query(self, request: Request) -> Response:
        query = request.query.get("query", "")
        if re.search(r"[:(]", query):
            return _error(500, "Error fetching campaigns: pq: syntax error in tsquery")
        found = [
            one for one in self.campaigns() if query.lower() in f"{one['name']} {one['subject']}".lower()
        ]
        if not found:
            return _data({"results": []})
        shown = [_shown(one, request) for one in reversed(found)]
        return _data({"query": query, "results": shown, "total": len(shown), "page": 1, "per_page": 0})

    # --- What is changed -----------------------------------------------------------------------------------

    def _create(self, wanted: dict[str, Any]) -> Response:
        number = max([one["id"] for one in self.campaigns()], default=0) + 1
        moment = self.now().isoformat()
        fresh = dict.fromkeys(_FIELDS) | {
            "id": number, "uuid": f"{number:032x}", "status": "draft", "to_send": 0, "sent": 0, "lists": [],
            "started_at": None, "created_at": moment,
        }  # fmt: skip
        return self._stored(fresh, wanted)

    def _update(self, campaign: dict[str, Any], wanted: dict[str, Any]) -> Response:
        if campaign["status"] not in ("draft", "paused", "scheduled"):
            return _error(400, "Cannot update a running or a finished campaign.")
        return self._stored(campaign, wanted)

    def _stored(self, campaign: dict[str, Any], wanted: dict[str, Any]) -> Response:
        lists = [one for one in wanted.get("lists", ()) if one in self.readers and one not in self.hidden]
        changed = campaign | {name: wanted[name] for name in _FIELDS if name in wanted}
        if not lists:
            return _error(400, "Invalid list IDs")
        if not changed["name"] or not 0 < len(changed["subject"] or "") <= 5000:
            return _error(400, "Invalid length for name or subject")
        slug = re.sub(r"[^a-z0-9]+", "-", (changed["archive_slug"] or "").lower()).strip("-") or None
        taken = {one["archive_slug"] for one in self.campaigns() if one["id"] != campaign["id"]}
        if slug and slug in taken:
            why = 'pq: duplicate key value violates unique constraint "campaigns_archive_slug_key"'
            return _error(500, f"Error creating campaign: {why}")
        try:
            for text in (changed["subject"], changed["body"], changed["altbody"] or ""):
                _compiled(text)
        except ValueError as error:
            return _error(400, f"Error compiling campaign body: {error}")
        changed |= {
            "archive_slug": slug,
            "lists": [{"id": one, "name": self.names.get(one, "")} for one in lists],
        }
        self._keep(changed)
        return _data(_shown(changed))

    def _move(self, campaign: dict[str, Any], status: str) -> Response:
        if campaign["status"] not in _FROM.get(status, ()):
            return _error(400, "Only paused campaigns and drafts can be started.")
        stored = "scheduled" if status == "running" and campaign["send_at"] else status
        changed = campaign | {"status": stored}
        if stored == "running":
            changed |= self._run(campaign)
        self._keep(changed)
        # The reply says what was asked for, whatever was stored.
        return _data(_shown(changed | {"status": status}))

    def _run(self, campaign: dict[str, Any]) -> dict[str, Any]:
        readers = list(dict.fromkeys(who for one in campaign["lists"] for who in self.readers[one["id"]]))
        sent = self._deliver(Mail(campaign["id"], who, *self._message(campaign, who)) for who in readers)
        status = {"whole": "finished", "held": "paused", "slow": "running"}[self.pace]
        return {
            "status": status, "to_send": len(readers), "sent": sent, "started_at": self.now().isoformat()
        }  # fmt: skip

    def _message(self, campaign: dict[str, Any], who: str) -> tuple[str, str, str]:
        """Subject, HTML and plain text as ``who`` gets them."""
        places = {".Subscriber.Email": who, "UnsubscribeURL": unsubscribe(campaign["uuid"], who)}
        frame = self.templates.get(campaign["template_id"], self.templates[1])
        body = "".join(_written(campaign["body"], places, in_html=True))
        return (
            "".join(_written(campaign["subject"], places, in_html=False)),
            re.sub(r'\{\{ template "content" \. \}\}', lambda _: body, frame),
            "".join(_written(campaign["altbody"] or "", places, in_html=None)),
        )


def unsubscribe(campaign: str, who: str) -> str:
    """The address at which ``who`` ends the subscription."""
    return f"https://lists.example.org/subscription/{campaign}/{who.encode().hex()}"


# --- A small part of Go's templates ------------------------------------------------------------------------


def _compiled(text: str) -> list[tuple[str, re.Match[str] | None]]:
    """Literals, each with the action behind it. Raises ``ValueError`` for an action that is not known here."""
    if "{{" not in text or "}}" not in text:
        return [(_TRACKED.sub(r"https://track.example/?\1", text), None)]
    text = _TRACKED.sub(r"https://track.example/?\1", text)
    found: list[tuple[str, re.Match[str] | None]] = []
    place = 0
    while (begin := text.find("{{", place)) >= 0:
        match = _ACTION.match(text, begin)
        if not match:
            raise ValueError(f"template: content: unexpected {text[begin : begin + 12]!r}")
        found.append((text[place:begin], match))
        place = match.end()
    return [*found, (text[place:], None)]


def _written(text: str, places: Mapping[str, str], *, in_html: bool | None) -> Iterator[str]:
    """What comes out: ``in_html`` for HTML, ``None`` for plain text that Go takes for HTML, else as it is."""
    compiled = _compiled(text)
    for literal, match in compiled:
        if in_html:
            literal = re.sub(r"<!--.*?-->", "", literal, flags=re.DOTALL)
        elif in_html is None and len(compiled) > 1:
            if re.search(r"<[A-Za-z/!]", literal):
                raise AssertionError("Go would take this plain text for a tag.")
            literal = literal.replace("<", "&lt;")
        yield literal
        if match:
            value = json.loads(match["text"]) if match["text"] else places[match["name"]]
            raw = in_html is False or match["safe"]
            yield value if raw else html.escape(value).replace("+", "&#43;")


def _shown(campaign: dict[str, Any], request: Request | None = None) -> dict[str, Any]:
    without = request is not None and request.query.get("no_body") == "true"
    return campaign | {"body": ""} if without else campaign


def _data(data: object) -> Response:
    return Response.json({"data": data})


def _error(status: int, message: str) -> Response:
    return Response.json({"message": message}, status)
