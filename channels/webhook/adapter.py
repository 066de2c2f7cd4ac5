"""Any system that takes webhooks: it gets a signed event for what is published, changed and withdrawn.

Source: Standard Webhooks 1.0.0, ``spec/standard-webhooks.md``. What the receiver must do is in
``docs/channels/webhook.md``.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from channels.webhook import event as events
from channels.webhook import signature
from channels.webhook.event import EventPayload
from publisher import clock
from publisher.announcement import Language
from publisher.channel import (
    Adapter,
    Capabilities,
    ChannelSettings,
    Kind,
    Outcome,
    Receipt,
    Rejected,
    SignInFailed,
    Template,
    Throttled,
    Unavailable,
    Variant,
)
from publisher.http import HttpClient, Response, refusal, server_address

_NO_ENDPOINT = (404, 405, 410)
_BUSY = (502, 504)
"""Statuses of a gateway, which the specification reads as "slower" too; 429 and 503 are read so anyway."""


def _endpoint(url: str) -> str:
    """``url`` as it is, where it is fit for a channel's server: a slash at its end is part of an endpoint's path."""
    server_address(url)
    return url.strip()


def _secret(setting: SecretStr) -> SecretStr:
    signature.keys_of(setting.get_secret_value())
    return setting


class WebhookSettings(ChannelSettings):
    """Where events go, and what they are signed with."""

    url: Annotated[str, AfterValidator(_endpoint)] = Field(
        description="address that takes the events, such as https://intranet.example/hooks/announcements"
    )
    secret: Annotated[SecretStr, AfterValidator(_secret)] = Field(
        description="secret that only the receiving system has too: whsec_ and what `openssl rand -base64 32` prints; "
        "while it is being changed, the new one and the old one with a space between them",
    )
    timeout: float = Field(20.0, gt=0, le=300, description="longest time one request may take, in seconds")


class WebhookAdapter(Adapter[WebhookSettings, EventPayload]):
    """Sends events. Each keeps its id at every attempt, and the receiver takes it once: so it may be repeated."""

    title = "an in-house system, by signed webhooks"
    kind = Kind.POST
    Settings = WebhookSettings
    templates: ClassVar[tuple[Template, ...]] = (
        Template("title", "website/title.txt"),
        Template("body", "website/post.html"),
        Template("body_zh", "website/post.html", (Language.ZH,)),
        Template("body_en", "website/post.html", (Language.EN,)),
        Template("link", "webhook/link.txt"),
    )

    @property
    def capabilities(self) -> Capabilities:
        """It cannot be asked, and need not be: an event is sent again under its id."""
        return Capabilities(settles_after=timedelta(0), pages=False, repeatable=True)

    async def check(self) -> str:
        """Sends a signed ``announcement.ping``, which is about nothing. Raises what :meth:`publish` may raise."""
        moment = clock.now().astimezone(UTC)
        # An announcement's event begins with its year, so no event ever has an id like this.
        event_id = f"ping-{secrets.token_hex(16)}"
        response = await self._send(event_id, events.ping(self.channel, moment), creates=False)
        if response.body.lstrip().startswith(b"<"):
            raise Unavailable(
                f"{self._host} answers with a web page, so this is hardly the address that takes events; "
                f"check {self._setting('URL')}."
            )
        return f"{self._host} took a signed {events.PING}."

    def prepare(self, variant: Variant) -> EventPayload:
        """The events' bytes. Raises :class:`Unsupported` where a text has an address that is not filled in."""
        return events.build(variant)

    async def publish(self, payload: EventPayload, key: str) -> Receipt:
        """One ``announcement.published`` with ``key`` for its id; any 2xx takes it."""
        response = await self._send(key, payload.published, creates=True)
        return self._receipt(payload.post, key, response)

    async def update(self, receipt: Receipt, payload: EventPayload) -> Receipt:
        """One ``announcement.updated``, which may be repeated. Raises :class:`Rejected` for another post's receipt."""
        if not events.belongs(receipt, payload):
            raise Rejected(f"The receipt is not of this announcement; look at what {self._host} shows of it.")
        response = await self._send(payload.update_id, payload.updated, creates=True)
        return self._receipt(receipt.id, payload.update_id, response)

    async def retract(self, receipt: Receipt) -> Receipt:
        """One ``announcement.withdrawn``, which may be repeated; the body says when it was sent.

        Raises :class:`Rejected` for a receipt that names no event of ours.
        """
        withdrawal = events.withdrawal(receipt, self.channel, clock.now().astimezone(UTC))
        if withdrawal is None:
            raise Rejected(
                f"The receipt names no event that {self._host} was sent; ask the system's owner to take it back."
            )
        response = await self._send(withdrawal.event_id, withdrawal.body, creates=True)
        return self._receipt(receipt.id, withdrawal.event_id, response)

    async def close(self) -> None:
        """Gives the connections back, if there ever were any."""
        if self._client is not None:
            await self._client.close()

    # --- The wire ---------------------------------------------------------------------------------------

    _client: HttpClient | None = None

    @property
    def _http(self) -> HttpClient:
        if self._client is None:
            split = urlsplit(self.settings.url)
            whole = signature.secrets_of(self.settings.secret.get_secret_value())
            self._client = HttpClient(
                f"{split.scheme}://{split.netloc}",
                timeout=self.settings.timeout,
                secrets=[*whole, *(secret.partition("_")[2] for secret in whole)],
            )
        return self._client

    @property
    def _host(self) -> str:
        return urlsplit(self.settings.url).netloc

    def _setting(self, name: str) -> str:
        return f"{self.channel}_{name}".upper()

    async def _send(self, event_id: str, body: bytes, *, creates: bool) -> Response:
        """One request with exactly ``body``, signed for this moment. Raises what its answer means."""
        keys = signature.keys_of(self.settings.secret.get_secret_value())
        headers = signature.headers(keys, event_id, clock.now(), body)
        response = await self._http.send(
            "POST",
            urlsplit(self.settings.url).path,
            content=body,
            headers={"Content-Type": "application/json", **headers},
            creates=creates,
        )
        self._raise_for_status(response, creates)
        return response

    def _receipt(self, post: str, event_id: str, response: Response) -> Receipt:
        """*Accepted*: what the system does with an event, it does not say. ``code`` is the event's id."""
        raw = self._http.scrub(f"{response.status} {response.text[:4096]}")
        return Receipt(Outcome.ACCEPTED, post, code=event_id, at=clock.now(), raw=raw)

    def _raise_for_status(self, response: Response, creates: bool) -> None:
        status = response.status
        if status in _NO_ENDPOINT:
            gone = "says that its endpoint is gone" if status == 410 else "takes no events at this address"
            raise SignInFailed(
                f"{self._host} {gone} ({status}); ask the system's owner, and correct {self._setting('URL')}."
            )
        if status in _BUSY and (wait := _asked_to_wait(response)) is not None:
            raise Throttled(f"{self._host} is busy and asks to wait ({status}).", wait)
        try:
            # No redirect means "done" here, not even a 303.
            self._http.raise_for_status(response, creates=creates and not 300 <= status < 400)
        except (SignInFailed, Rejected) as error:
            raise type(error)(f"{error}{self._advice(status)}") from None

    def _advice(self, status: int) -> str:
        """What to look at where a signature may have been refused; a 400 is what many receivers say then."""
        if status not in (400, 401, 403):
            return ""
        return (
            f" If it was the signature, compare {self._setting('SECRET')} with the secret there, and the clocks "
            "of both machines."
        )


def _asked_to_wait(response: Response) -> timedelta | None:
    """How long a gateway asks to wait, read as it is for a 503; ``None`` where it does not ask."""
    found = refusal(replace(response, status=503), "", "", creates=True)
    return found.retry_after if isinstance(found, Throttled) else None
