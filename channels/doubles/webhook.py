"""An in-house system on this machine that takes webhooks, for the demo and the tests.

Written from the specification (Standard Webhooks 1.0.0), and not with the adapter's own signing: it verifies, takes
each event once, keeps it as a file, and shows of every announcement what the newest event says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from publisher import clock
from publisher.channel import Double
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer

PATH = "/hooks/announcements"
_TOLERANCE = timedelta(minutes=5)
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_RANK = {"announcement.published": 0, "announcement.updated": 1, "announcement.withdrawn": 2}


class WebhookDouble(Double):
    """One endpoint. ``secret`` may be changed while it runs, as during a change of keys."""

    def __init__(self, folder: str, *, now: clock.Clock = clock.now) -> None:
        super().__init__(folder)
        self.now = now
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self.server = LoopbackServer(self._handle)
        self._events = Path(folder) / "events"

    def start(self) -> Mapping[str, str]:
        """Listens; the settings ``URL`` and ``SECRET``."""
        self._events.mkdir(parents=True, exist_ok=True)
        return {"URL": self.server.start() + PATH, "SECRET": self.secret}

    def stop(self) -> None:
        """Stops listening; the events stay in ``folder/events``."""
        self.server.stop()

    def received(self) -> list[str]:
        """Each announcement that is there: its key, revision and title, and the file of its newest event."""
        return [f"{path}  {_line(data)}" for path, data in self._shown()]

    def posts(self) -> list[dict[str, Any]]:
        """The ``data`` of each announcement that is there now, in the order of their first events."""
        return [data for _, data in self._shown()]

    def bodies(self) -> dict[str, bytes]:
        """What was taken, by event id, in the order it came, exactly as it was sent; pings are not kept."""
        return {path.name.split(".")[1]: path.read_bytes() for path in sorted(self._events.glob("*.json"))}

    def _shown(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The newest event of each announcement and scope; the order of revision and type, not that of arrival."""
        newest: dict[tuple[str, str, str], tuple[tuple[int, int], Path, dict[str, Any]]] = {}
        for path in sorted(self._events.glob("*.json")):
            event = json.loads(path.read_bytes())
            data, order = event["data"], (event["data"]["revision"], _RANK[event["type"]])
            place = (data["channel"], data["key"], data["scope"])
            if place not in newest or newest[place][0] < order:
                newest[place] = (order, path, data)
        yield from (
            (path, data)
            for (_, rank), path, data in newest.values()
            if rank != _RANK["announcement.withdrawn"]
        )

    async def _handle(self, request: Request) -> Response:
        if (request.method, request.path) != ("POST", PATH):
            return Response.json({"error": "Nothing takes events here"}, 404)
        event_id = request.headers.get("webhook-id", "")
        if refusal := self._refusal(event_id, request):
            return Response.json({"error": refusal}, 401)
        try:
            kind = request.json()["type"]
        except (ValueError, KeyError, TypeError):
            return Response.json({"error": "This is no event"}, 422)
        # A type that is not known yet is taken and left alone, as the specification advises.
        known = any(self._events.glob(f"*.{event_id}.json"))
        if not known and kind in _RANK:
            number = len(list(self._events.glob("*.json"))) + 1
            (self._events / f"{number:06}.{event_id}.json").write_bytes(request.body)
        return Response.json({"id": event_id, "repeated": known})

    def _refusal(self, event_id: str, request: Request) -> str:
        """Why a request is not believed; empty where it is."""
        seconds = request.headers.get("webhook-timestamp", "")
        if not _ID.fullmatch(event_id) or not re.fullmatch(r"[0-9]{1,12}", seconds):
            return "The event has no proper id or timestamp"
        if abs(self.now().timestamp() - int(seconds)) > _TOLERANCE.total_seconds():
            return "The timestamp is too far from now"
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = b".".join((event_id.encode(), seconds.encode(), request.body))
        wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
        given = request.headers.get("webhook-signature", "").split(" ")
        found = [one.removeprefix("v1,") for one in given if one.startswith("v1,")]
        if any(hmac.compare_digest(one.encode("latin-1"), wanted) for one in found):
            return ""
        return "No signature fits"


def _line(data: Mapping[str, Any]) -> str:
    return f"{data['key']} r{data['revision']}  {' | '.join(filter(None, data['title'].values()))}"
