"""One account at a newsletter service: asking, preparing what nobody sees yet, and the one step that sends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar
from urllib.parse import urlencode

from channels.campaign.campaign import Campaign
from channels.campaign.content import CampaignPayload
from publisher.channel import DeliveryError, Unavailable
from publisher.http import HttpClient, Response

_NOT_NOW = (404, 408, 425)
"""Refusals of a draft that say nothing about its content."""


class Service(ABC):
    """What :class:`~channels.campaign.adapter.CampaignAdapter` asks of a service; each fills the holes.

    ``paths`` of requests are below the client's address.
    """

    title: ClassVar[str]
    """The service's name, for sentences."""

    def __init__(self, channel: str, http: HttpClient) -> None:
        self.channel, self.http = channel, http

    # --- The holes ---------------------------------------------------------------------------------------

    @abstractmethod
    async def named(self, key: str) -> list[Campaign]:
        """All campaigns that bear ``key``; others among them do no harm. Raises where that cannot be known."""

    @abstractmethod
    async def look(self, number: str) -> Campaign | None:
        """The campaign as it is now; ``None`` where the service says that it has none of that number."""

    @abstractmethod
    async def draft(self, payload: CampaignPayload, key: str) -> str:
        """Makes a draft and returns its number. Whatever goes wrong, nothing is sent."""

    @abstractmethod
    async def write(self, number: str, payload: CampaignPayload, key: str) -> None:
        """Writes everything into a draft that is there, whatever a person has changed in it."""

    @abstractmethod
    async def send(self, number: str) -> Response:
        """The one request that sends, whatever status comes back."""

    @abstractmethod
    def started(self, response: Response, number: str) -> bool:
        """Whether a 2xx is the service's answer to :meth:`send`, and not, say, a web page."""

    def repeated(self, response: Response) -> bool:
        """Whether a refusal of :meth:`send` says that the campaign was sent before."""
        return False

    def trouble(self, response: Response) -> DeliveryError | None:
        """What one of the service's own errors means; ``None`` for one that has no meaning of its own here."""
        return None

    # --- The wire ----------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        """The service's host, for sentences."""
        return self.http.host

    def setting(self, name: str) -> str:
        """The name of a setting as it stands in ``.env``."""
        return f"{self.channel}_{name}".upper()

    async def request(self, method: str, path: str, json: object = None, *, creates: bool) -> Response:
        """One request, whatever status comes back."""
        return await self.http.send(method, path, json=json, creates=creates)

    async def ask(self, path: str, **query: str) -> Response:
        """The answer to a question, whatever status it has."""
        return await self.request("GET", path + (f"?{urlencode(query)}" if query else ""), creates=False)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """The object that is answered to a question. Raises :class:`Unavailable` for what is no answer."""
        return self.read(await self.ask(path, **query))

    def read(self, response: Response) -> dict[str, Any]:
        """The object of an answer to a question. Raises what a refusal means, and :class:`Unavailable`."""
        self.refuse(response, creates=False)
        return self.object(response)

    async def prepare(self, method: str, path: str, json: object) -> Response:
        """Makes or changes what nobody sees: whatever is unclear about it, nothing has been sent."""
        response = await self.request(method, path, json, creates=False)
        self.refuse(response, creates=400 <= response.status < 500 and response.status not in _NOT_NOW)
        return response

    def refuse(self, response: Response, *, creates: bool) -> None:
        """Raises what a refusal means, the service's own errors first; nothing for a 2xx."""
        if 200 <= response.status < 300:
            return
        if error := self.trouble(response):
            raise error
        self.http.raise_for_status(response, creates=creates)

    def object(self, response: Response) -> dict[str, Any]:
        """The answer as an object. Raises :class:`Unavailable` for anything else, such as a web page."""
        try:
            data = response.json()
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise Unavailable(f"{self.host} did not answer as {self.title} does; nothing was sent.")
        return data

    def unclear(self, what: str) -> Unavailable:
        """For an answer to a question that lacks what it should have."""
        return Unavailable(f"{self.host} did not answer with {what}; nothing was sent.")


def number(value: object) -> int | None:
    """``value`` where it counts something."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def people(count: object, noun: str) -> str:
    """`` (2 contacts)``; nothing where ``count`` is none."""
    if (known := number(count)) is None:
        return ""
    return f" ({known} {noun}{'s' if known != 1 else ''})"


def word(value: object) -> str:
    """``value`` where it is a text."""
    return value if isinstance(value, str) else ""
