"""Mastodon, and servers that speak its API (Pleroma, Akkoma, GoToSocial).

Sources: mastodon/documentation ``methods/statuses.md``, ``accounts.md`` and ``instance.md``; the server's
``statuses_controller.rb`` and ``post_status_service.rb`` for what the documentation leaves open.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from channels.mastodon import status as posts
from channels.mastodon.status import StatusPayload
from publisher import clock
from publisher.channel import (
    Adapter,
    Capabilities,
    ChannelSettings,
    DeliveryError,
    Kind,
    LengthRule,
    Outcome,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Unavailable,
    Unsupported,
    Variant,
)
from publisher.http import HttpClient, Response, server_address
from publisher.render.length import measure

_STATUSES = "/api/v1/statuses"
_LANGUAGES = {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW"}
"""Tags the server does not list, and what it lists instead; it would cut them down to ``zh``."""
_PAGES = 5
"""How far :meth:`MastodonAdapter.find` looks back, in pages of 40 posts: more than an office posts in a day."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A number on Mastodon, a flake id on Pleroma, a ULID on GoToSocial; nothing that could leave the path."""
_GONE = (404, 410)
_LINK_LINE = re.compile(r"^https?://\S+$", re.MULTILINE)


class Visibility(StrEnum):
    """Who sees a post; followers may repeat all but ``private`` ones."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"


class MastodonSettings(ChannelSettings):
    """Settings of a Mastodon account."""

    url: Annotated[str, AfterValidator(server_address)] = Field(
        description="address of the server, such as https://social.example"
    )
    token: SecretStr = Field(
        min_length=1,
        description="access token of the account (Preferences, Development, New application), with the scopes "
        "write:statuses, read:statuses and read:accounts",
    )
    visibility: Visibility = Field(
        Visibility.PUBLIC, description="public, unlisted or private (followers only)"
    )
    max_characters: int = Field(
        500,
        ge=50,
        description="longest post of the server; set it to what `publisher channels check` reports",
    )
    timeout: float = Field(30.0, gt=0, le=300, description="longest time one request may take, in seconds")


class MastodonAdapter(Adapter[MastodonSettings, StatusPayload]):
    """Posts as one account. A repeated key gives the first post back for an hour; after that, ``find`` does."""

    title = "Mastodon"
    kind = Kind.SUMMARY
    Settings = MastodonSettings

    _known_account: dict[str, Any] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Graphemes, a link for 23 and handles without their host, as ``status_length_validator.rb`` counts."""
        length = LengthRule(self.settings.max_characters, link=23, short_handles=True)
        # A server finishes what it began after its client has given up; web servers allow it a minute or two.
        return Capabilities(length=length, settles_after=timedelta(minutes=3))

    async def check(self) -> str:
        """Signs in, and compares the server's limit with ours. Raises what :meth:`publish` may raise."""
        self._known_account = None
        account = await self._account()
        # The list that find() reads: a token without this right would fail only when it matters.
        await self._get(f"{_posts_of(account)}?limit=1")
        try:
            instance = await self._get_object("/api/v2/instance")
        except Unavailable:
            instance = {}  # Mastodon before 4.0, and some of its kin
        name = self._http.scrub(f"@{account.get('username', '')}@{instance.get('domain') or self._host}")
        return f"Signed in as {name}; {self._limits(instance)}."

    def _limits(self, instance: dict[str, Any]) -> str:
        try:
            limit = int(instance["configuration"]["statuses"]["max_characters"])
        except (KeyError, TypeError, ValueError):
            return "the server does not say how long a post may be"
        ours = self.settings.max_characters
        advice = (
            "" if limit == ours else f", and {self._setting('MAX_CHARACTERS')} is {ours}: set it to {limit}"
        )
        return f"posts may have {limit} characters{advice}"

    def prepare(self, variant: Variant) -> StatusPayload:
        """The post. Raises :class:`Unsupported` for an empty one, or one too long with its real link."""
        text = variant.text("text")
        limit = self.settings.max_characters
        if not text.strip():
            raise Unsupported("A post needs a text; write a summary.")
        if (length := measure(text, LengthRule(limit, link=23, short_handles=True))) > limit:
            raise Unsupported(f"The post has {length} characters and may have {limit}; shorten the summary.")
        tag = str(variant.facts["language_tags"][variant.languages[0]])
        own_lines = _LINK_LINE.findall(text)
        return StatusPayload(
            status=text,
            language=_LANGUAGES.get(tag, tag),
            visibility=str(self.settings.visibility),
            link=own_lines[-1] if own_lines else "",
        )

    async def publish(self, payload: StatusPayload, key: str) -> Receipt:
        """One ``POST``, then one look whether the post is there: a filter may drop it behind a 200."""
        response = await self._http.send(
            "POST", _STATUSES, json=payload.body, headers={"Idempotency-Key": key}, creates=True
        )
        if response.status == 404:
            # The server looked up the post it had stored under this key. Sending it anew would undo a decision.
            raise Rejected(
                f"{self._host} had this post and has it no longer: it was deleted, or a filter dropped it (404). "
                "Look at the account before sending it again."
            )
        self._raise_for_status(response, creates=True)
        receipt = posts.receipt(response.json_object, response.status, Outcome.ACCEPTED, self._http.scrub)
        if receipt is None:
            raise OutcomeUnknown(f"{self._host} answered {response.status}, but not with the post it made.")
        return await self._confirmed(receipt)

    async def find(self, key: str, payload: StatusPayload) -> Receipt | None:
        """Our newest post with the announcement's link and a line of its text; without a link, with all of it."""
        async for status in self._own_posts():
            if posts.matches(status, payload):
                if receipt := posts.receipt(status, 200, Outcome.CONFIRMED, self._http.scrub):
                    return receipt
                raise Unavailable(f"{self._host} has the post, but does not say where.")
        return None

    async def update(self, receipt: Receipt, payload: StatusPayload) -> Receipt:
        """One ``PUT`` of the whole post, which may be repeated. Who sees a post cannot be changed any more.

        *Confirmed* where the answer shows the new text, else *accepted*; id and links are the post's.
        """
        response = await self._http.send("PUT", self._path(receipt), json=payload.edit, creates=True)
        if response.status in _GONE and response.json_object:
            raise Rejected(
                f"{self._host} no longer has the post that should be changed ({response.status}); "
                "look at the account, and publish it anew if it is missed."
            )
        self._raise_for_status(response, creates=True)
        status = response.json_object
        changed = posts.receipt(status, response.status, Outcome.ACCEPTED, self._http.scrub)
        if changed is None or changed.id != receipt.id:
            raise OutcomeUnknown(f"{self._host} answered {response.status}, but not with the changed post.")
        return replace(changed, outcome=Outcome.CONFIRMED) if posts.matches(status, payload) else changed

    async def retract(self, receipt: Receipt) -> Receipt:
        """One ``DELETE``, which may be repeated: a post that is not there is taken back.

        Always *confirmed*, with the post's id and without links, since nothing can be read there any more.
        """
        response = await self._http.send("DELETE", self._path(receipt), creates=True)
        answer = response.json_object
        # A server that does not know the path says so in a web page; only its own "not found" means gone.
        if not (response.status in _GONE and answer):
            self._raise_for_status(response, creates=True)
            if answer.get("id") != receipt.id:
                raise OutcomeUnknown(
                    f"{self._host} answered {response.status}, but not with the post it deleted."
                )
        raw = self._http.scrub(response.text)
        return Receipt(Outcome.CONFIRMED, receipt.id, code=str(response.status), at=clock.now(), raw=raw)

    def _path(self, receipt: Receipt) -> str:
        """The post's own path. Raises :class:`Rejected` for an id no server of this kind gives."""
        if not _ID.fullmatch(receipt.id):
            raise Rejected(f"The receipt does not name a post on {self._host}; look at the account.")
        return f"{_STATUSES}/{receipt.id}"

    async def close(self) -> None:
        """Gives the connections back, if there ever were any."""
        if self._client is not None:
            await self._client.close()

    # --- The wire ---------------------------------------------------------------------------------------

    _client: HttpClient | None = None

    @property
    def _http(self) -> HttpClient:
        if self._client is None:
            token = self.settings.token.get_secret_value()
            self._client = HttpClient(
                self.settings.url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=self.settings.timeout,
                secrets=[token],
            )
        return self._client

    @property
    def _host(self) -> str:
        return urlsplit(self.settings.url).netloc

    def _setting(self, name: str) -> str:
        return f"{self.channel}_{name}".upper()

    def _raise_for_status(self, response: Response, *, creates: bool) -> None:
        try:
            self._http.raise_for_status(response, creates=creates)
        except SignInFailed as error:
            if response.status not in (401, 403):
                raise
            raise SignInFailed(
                f"{error} Make a new token with the scopes write:statuses, read:statuses and read:accounts, "
                f"and put it into {self._setting('TOKEN')}."
            ) from None

    async def _get(self, path: str) -> Response:
        response = await self._http.send("GET", path, creates=False)
        self._raise_for_status(response, creates=False)
        return response

    async def _get_object(self, path: str) -> dict[str, Any]:
        found = (await self._get(path)).json_object
        if not found:
            raise Unavailable(
                f"{self._host} does not answer like a Mastodon server; check {self._setting('URL')}."
            )
        return found

    async def _account(self) -> dict[str, Any]:
        """Whose token it is; asked once, since a token never changes hands."""
        if self._known_account is None:
            account = await self._get_object("/api/v1/accounts/verify_credentials")
            if not account.get("id"):
                raise Unavailable(f"{self._host} does not say whose token {self._setting('TOKEN')} is.")
            self._known_account = account
        return self._known_account

    async def _confirmed(self, receipt: Receipt) -> Receipt:
        path = f"{_STATUSES}/{quote(receipt.id, safe='')}"
        try:
            response = await self._http.send("GET", path, creates=False)
        except DeliveryError:
            return receipt
        if response.status == 404:
            raise Rejected(
                f"{self._host} accepted the post and then dropped it, as filters for new or reported accounts do; "
                "a person must look at the account."
            )
        if response.status != 200 or str(response.json_object.get("id")) != receipt.id:
            return receipt
        return replace(receipt, outcome=Outcome.CONFIRMED)

    async def _own_posts(self) -> AsyncIterator[dict[str, Any]]:
        """Posts of the account, newest first."""
        account = await self._account()
        path = f"{_posts_of(account)}?limit=40&exclude_reblogs=true"
        older = ""
        for _ in range(_PAGES):
            response = await self._get(path + older)
            for status in self._list(response):
                owner = status.get("account")
                if isinstance(owner, dict) and owner.get("id") == account["id"]:
                    yield status
            last = posts.older_than(response.headers.get("link", ""))
            if not last:
                return
            older = f"&max_id={quote(last, safe='')}"

    def _list(self, response: Response) -> list[dict[str, Any]]:
        try:
            data = response.json()
        except ValueError:
            data = None
        if not isinstance(data, list):
            raise Unavailable(f"{self._host} could not list the posts of the account.")
        return [status for status in data if isinstance(status, dict)]


def _posts_of(account: dict[str, Any]) -> str:
    return f"/api/v1/accounts/{quote(str(account['id']), safe='')}/statuses"
