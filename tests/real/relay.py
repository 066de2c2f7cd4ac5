"""Puts every fault of :mod:`publisher.testing.exchange` between an adapter and a real server.

A case of the conformance kit takes a relay where it would take a double::

    def start(self, folder):
        self.relay = Relay(wordpress.url)
        self.reach, self.server = self.relay.start(), self.relay.server
"""

from __future__ import annotations

import asyncio
import http.client
from urllib.parse import urlsplit

from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer

_OF_ONE_CONNECTION = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "content-length", "expect",
}  # fmt: skip
"""Headers about a single connection (RFC 9110, section 7.6.1), and those that are made anew on each side."""
_TEXT = ("text/", "application/json", "application/xml", "application/rss+xml", "application/feed+json")


class Relay:
    """``server`` passes every request it is let to handle on to the real server at ``target_url``.

    The real server sees its own host, so it answers with its own addresses; with ``own_links`` they are replaced, in
    headers and in text that is not compressed, by the relay's, for an adapter that trusts only the host it knows.
    """

    def __init__(self, target_url: str, *, own_links: bool = False, timeout: float = 30.0) -> None:
        """Answers of the real server may take ``timeout`` seconds."""
        target = urlsplit(target_url)
        assert target.scheme == "http" and target.hostname, "Real servers of tests speak plain HTTP."
        self._host, self._port, self._timeout = target.hostname, target.port or 80, timeout
        self._place, self._own_links = target.netloc, own_links
        self.server = LoopbackServer(self._handle)

    def start(self) -> str:
        """The relay's address, without a trailing slash."""
        return self.server.start()

    def stop(self) -> None:
        """Ends the relay, not the real server; raises what went wrong between the two. May be called twice."""
        self.server.stop()

    async def _handle(self, request: Request) -> Response:
        return await asyncio.to_thread(self._pass_on, request)

    def _pass_on(self, request: Request) -> Response:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", self._place)
            for name, value in request.headers.items():
                if name not in _OF_ONE_CONNECTION and name != "host":
                    connection.putheader(name, value.encode("latin-1"))
            if request.body or request.method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(request.body)))
            connection.endheaders(request.body)
            answer = connection.getresponse()
            return self._answer(answer, answer.read())
        except (OSError, http.client.HTTPException) as error:
            # The loopback server takes a ConnectionError for its client's doing, and would not tell of it.
            raise RuntimeError(f"The real server at {self._place} gave no answer.") from error
        finally:
            connection.close()

    def _answer(self, answer: http.client.HTTPResponse, body: bytes) -> Response:
        headers: dict[str, str] = {}
        for name, value in answer.getheaders():
            known = next((one for one in headers if one.lower() == name.lower()), None)
            if name.lower() in _OF_ONE_CONNECTION:
                continue
            if known is None:
                headers[name] = value
            elif name.lower() != "set-cookie":  # cookies cannot be joined; adapters use none
                headers[known] += f", {value}"
        if self._own_links:
            body = self._replaced(headers, body)
        return Response(answer.status, body, headers)

    def _replaced(self, headers: dict[str, str], body: bytes) -> bytes:
        own = urlsplit(self.server.url).netloc
        for name, value in headers.items():
            headers[name] = value.replace(self._place, own)
        named = {name.lower(): value for name, value in headers.items()}
        if "content-encoding" in named or not named.get("content-type", "").startswith(_TEXT):
            return body
        return body.replace(self._place.encode(), own.encode())
