"""The site's REST API: asking, preparing what nobody sees yet, and the one step that people see."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from channels.wordpress import trouble
from channels.wordpress.settings import WordPressSettings
from publisher.channel import OutcomeUnknown, Unavailable
from publisher.http import HttpClient, Response

API = "/wp-json/wp/v2"


class Site:
    """One site for one channel. ``user`` is who publishes, fit to be shown; ``close`` gives its connections back."""

    def __init__(self, channel: str, settings: WordPressSettings) -> None:
        password = settings.application_password.get_secret_value()
        pair = base64.b64encode(f"{settings.username}:{password}".encode()).decode()
        self.http = HttpClient(
            settings.url,
            headers={"Authorization": f"Basic {pair}"},
            timeout=settings.timeout,
            secrets=[password, password.replace(" ", "")],
        )
        self.user = self.http.scrub(settings.username)
        names = ("username", "application_password", "url", "retract")
        self._words = {name: f"{channel}_{name}".upper() for name in names}

    @property
    def host(self) -> str:
        """The site's host, for sentences."""
        return self.http.host

    def setting(self, name: str) -> str:
        """The name of a setting as it stands in ``.env``."""
        return self._words[name]

    async def get(self, path: str, **query: str) -> Any:
        """The JSON that is answered to a question about ``path`` below :data:`API`.

        Raises :class:`Unavailable` for what is no answer, besides what a refusal means.
        """
        response = await self.http.send("GET", address(path, query), creates=False)
        self.refuse(response, path, creates=False)
        return self._json(response)

    async def index(self, fields: str) -> dict[str, Any]:
        """What the site says of itself to everybody."""
        data = await self._question("GET", f"/wp-json/?{urlencode({'_fields': fields})}")
        return data if isinstance(data, dict) else {}

    async def get_below(self, path: str) -> Any:
        """The JSON at a path of another API of the site, such as a plug-in's."""
        return await self._question("GET", path)

    async def describe(self, path: str) -> dict[str, Any]:
        """The site's description of what can be asked at ``path``."""
        data = await self._question("OPTIONS", address(path, {}))
        return data if isinstance(data, dict) else {}

    async def _question(self, method: str, path: str) -> Any:
        response = await self.http.send(method, path, creates=False)
        self.refuse(response, path, creates=False)
        return self._json(response)

    async def prepare(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Makes or changes what nobody sees yet: whatever is unclear about it, nothing has been published."""
        try:
            response = await self.http.send(
                method, address(path, query or {}), json=json, content=content, headers=headers, creates=True
            )
            self.refuse(response, path, creates=True)
        except OutcomeUnknown as error:
            raise Unavailable(f"{error} Nothing is public yet.") from None
        data = self._json(response)
        if not isinstance(data, dict):
            raise self._no_answer()
        return data

    async def act(
        self, method: str, path: str, json: object = None, query: Mapping[str, str] | None = None
    ) -> Response:
        """One request that people see the effect of. Raises what its status means."""
        response = await self.send(method, path, json, query)
        self.refuse(response, path, creates=True)
        return response

    async def send(
        self, method: str, path: str, json: object = None, query: Mapping[str, str] | None = None
    ) -> Response:
        """The same, whatever status comes back."""
        return await self.http.send(method, address(path, query or {}), json=json, creates=True)

    def refuse(self, response: Response, path: str, *, creates: bool) -> None:
        """Raises what a refusal means, WordPress's own codes first."""
        if 200 <= response.status < 300:
            return
        message = self.http.scrub(str(response.json_object.get("message", "")))
        words = {**self._words, "user": self.user, "message": message.rstrip(".")}
        known = trouble.named(response, self.host, path.split("/")[1] if "/" in path else path, words)
        if known:
            raise known
        self.http.raise_for_status(response, creates=creates)

    def _json(self, response: Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise self._no_answer() from None

    def _no_answer(self) -> Unavailable:
        return Unavailable(
            f"{self.host} does not answer like WordPress: a page came instead of data. Nothing is public yet; look "
            "whether a security plug-in or a firewall stands before /wp-json/."
        )

    async def close(self) -> None:
        """Gives the connections back."""
        await self.http.close()


def address(path: str, query: Mapping[str, str]) -> str:
    """``path`` below the API, with its query."""
    return f"{API}{path}?{urlencode(query)}" if query else f"{API}{path}"
