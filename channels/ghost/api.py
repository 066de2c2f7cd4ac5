"""The Admin API of one Ghost site: asking, preparing what nobody sees yet, and the one step that people see."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlencode

from channels.ghost import trouble
from channels.ghost.settings import GhostSettings
from channels.ghost.token import SignedClient
from publisher import clock
from publisher.channel import Unavailable
from publisher.http import Response

API = "/ghost/api/admin"


class Api:
    """One site for one channel; paths are below :data:`API` and end with a slash."""

    def __init__(self, channel: str, settings: GhostSettings, now: clock.Clock = clock.now) -> None:
        key = settings.admin_key.get_secret_value()
        self.http = SignedClient(settings.url, key, settings.timeout, now)
        self._words = {
            "key": f"{channel}_admin_key".upper(),
            "newsletter": f"{channel}_newsletter".upper(),
            "url": f"{channel}_url".upper(),
        }

    @property
    def host(self) -> str:
        """The site's host, for sentences."""
        return self.http.host

    def setting(self, name: str) -> str:
        """The name of a setting as it stands in ``.env``."""
        return self._words[name]

    async def ask(self, path: str, **query: str) -> Response:
        """The answer to a question, whatever status it has."""
        return await self.http.signed("GET", _address(path, query), creates=False)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """The object that is answered to a question.

        Raises :class:`Unavailable` for what is no answer, besides what a refusal means.
        """
        response = await self.ask(path, **query)
        self.refuse(response, creates=False)
        return self.object(response)

    async def prepare(self, method: str, path: str, json: object = None, **query: str) -> dict[str, Any]:
        """Makes or removes what nobody sees: whatever is unclear about it, nothing has been published."""
        response = await self.http.signed(method, _address(path, query), json=json, creates=False)
        return self._prepared(response)

    async def upload(self, kind: str, name: str, media_type: str, data: bytes) -> str:
        """Stores a file; its address. ``kind`` is ``images`` or ``files``.

        Ghost keeps the name and adds a number where it is taken. Raises as :meth:`prepare` does.
        """
        boundary = f"publisher-{hashlib.sha256(data).hexdigest()}"
        body = _multipart(boundary, name, media_type, data)
        response = await self.http.signed(
            "POST",
            f"{API}/{kind}/upload/",
            content=body,
            content_type=f"multipart/form-data; boundary={boundary}",
            creates=False,
        )
        found = self._prepared(response).get(kind)
        address = (
            found[0].get("url") if isinstance(found, list) and found and isinstance(found[0], dict) else ""
        )
        if not isinstance(address, str) or not address.startswith(("https://", "http://")):
            raise Unavailable(f"{self.host} took a file and does not say where it is; nothing is public yet.")
        return address

    async def act(self, method: str, path: str, json: object = None, **query: str) -> Response:
        """One request that people see the effect of, whatever status comes back."""
        return await self.http.signed(method, _address(path, query), json=json, creates=True)

    def refuse(self, response: Response, *, creates: bool) -> None:
        """Raises what a refusal means, Ghost's own errors first; nothing for a 2xx."""
        if 200 <= response.status < 300:
            return
        if error := trouble.named(response, self.host, self._words):
            raise error
        self.http.raise_for_status(trouble.explained(response), creates=creates)

    def object(self, response: Response) -> dict[str, Any]:
        """The answer as an object. Raises :class:`Unavailable` for anything else, such as a web page."""
        try:
            data = response.json()
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise Unavailable(
                f"{self.host} did not answer as Ghost does; is {self._words['url']} the address of its admin?"
            )
        return data

    def _prepared(self, response: Response) -> dict[str, Any]:
        # A refusal of the content is the officer's; whatever else went wrong, nothing is public.
        self.refuse(response, creates=400 <= response.status < 500 and response.status not in (404, 408, 425))
        return self.object(response) if response.status != 204 else {}


def _address(path: str, query: dict[str, str]) -> str:
    return f"{API}/{path}" + (f"?{urlencode(query)}" if query else "")


def _multipart(boundary: str, name: str, media_type: str, data: bytes) -> bytes:
    """A form with one file (RFC 7578). ``name`` has no character that would need escaping."""
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="ref"\r\n\r\n{name}\r\n'
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {media_type}\r\n\r\n'
    )
    return head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
