"""Ghost, self-hosted or hosted, over its Admin API.

A post is made as a draft and published by its number, so that whatever fails before leaves only what nobody sees.
Sources: docs.ghost.org (Admin API) and Ghost ``core/server/api/endpoints/posts.js``,
``services/posts/posts-service.js``; seen on 5.130.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import structlog

from channels.ghost import payload as content
from channels.ghost import posts, trouble
from channels.ghost.api import Api
from channels.ghost.payload import GhostPayload
from channels.ghost.posts import Post, Shelf
from channels.ghost.settings import GhostSettings, Retract
from publisher import clock
from publisher.channel import (
    Adapter,
    AlreadyThere,
    Capabilities,
    Kind,
    Links,
    Outcome,
    OutcomeUnknown,
    PictureFormat,
    PictureRule,
    Receipt,
    Rejected,
    SignInFailed,
    Template,
    Unavailable,
    Variant,
)
from publisher.http import Response

log = structlog.get_logger("channels.ghost")

_FIELDS = {"formats": "html", "include": "tags,email,newsletter"}


class GhostAdapter(Adapter[GhostSettings, GhostPayload]):
    """One post an announcement, under the announcement's key."""

    title = "Ghost"
    kind = Kind.POST
    Settings = GhostSettings
    templates: ClassVar[tuple[Template, ...]] = (
        Template("title", "website/title.txt"),
        Template("body", "website/embedded.html"),
        Template("calendar", "website/embedded.ics"),
        Template("canonical", "website/canonical.txt"),
    )

    def __init__(self, channel: str, settings: GhostSettings, office: Path | None = None) -> None:
        """As :class:`Adapter` says."""
        super().__init__(channel, settings, office)
        self._uploaded: dict[str, str] = {}
        """Where files are that this process has uploaded, by name: Ghost has no list of them to ask for."""

    @property
    def capabilities(self) -> Capabilities:
        """Ghost itself shrinks what is wider than 2,000 pixels. It finishes what it began after a client has left."""
        pictures = PictureRule(
            longest=2000,
            largest=5 * 1024 * 1024,
            formats=(PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP),
        )
        return Capabilities(pictures=pictures, settles_after=timedelta(minutes=3))

    def links(self, key: str) -> Links:
        """Where Ghost puts the post unless the site has routes of its own.

        Nothing goes out with it: the one part that names the canonical page is left out where that is this post, and
        the address that other channels link to is the one Ghost answers with.
        """
        return Links(both=f"{self.settings.url}/{content.slug(key, self._scope)}/")

    @property
    def _scope(self) -> str:
        languages = self.settings.languages
        return str(languages[0]) if len(languages) == 1 else "both"

    async def check(self) -> str:
        """Signs in with the key and looks for the newsletter. Raises what :meth:`publish` may raise."""
        api = self._api
        response = await api.ask("posts/", limit="1", fields="id,slug,status,updated_at")
        if response.status == 404 and not trouble.said(response).type:
            raise SignInFailed(f"{api.host} is not Ghost, or not here (404); correct {api.setting('url')}.")
        api.refuse(response, creates=False)
        if posts.listed(api.object(response)) is None:
            raise Unavailable(f"{api.host} answers, but not with a list of posts as Ghost does.")
        mailing = await self._mailing()
        site = (await api.get("site/")).get("site")
        told = site if isinstance(site, dict) else {}
        name = api.http.scrub(
            f"{told.get('title') or api.host} (Ghost {told.get('version') or 'of some age'})"
        )
        return f"Signed in to {name}; {mailing}."

    async def _mailing(self) -> str:
        """Whom Ghost mails. Raises :class:`SignInFailed` for a newsletter that is not there."""
        api, slug = self._api, self.settings.newsletter
        if not slug:
            return "posts are mailed to nobody"
        found = (await api.get("newsletters/", filter=f"slug:{slug}+status:active", limit="1")).get(
            "newsletters"
        )
        if not isinstance(found, list):
            raise Unavailable(f"{api.host} did not answer with its newsletters.")
        if not found:
            raise SignInFailed(
                f"{api.host} has no active newsletter called {slug}; correct {api.setting('newsletter')}."
            )
        return f"new posts are mailed by its newsletter {slug}"

    def prepare(self, variant: Variant) -> GhostPayload:
        """The post. Raises :class:`Unsupported` for what Ghost would refuse or change."""
        return content.build(variant, self.links(variant.key).both)

    # --- Publish -------------------------------------------------------------------------------------

    async def publish(self, payload: GhostPayload, key: str) -> Receipt:
        """A draft, unless one was left by an earlier try, and one ``PUT`` that publishes it."""
        draft = self._usable(await self._shelf(payload), payload) or await self._drafted(payload)
        changes = {
            **payload.fields(await self._stored(payload, draft)),
            "slug": payload.slug,
            "status": "published",
            "updated_at": draft.updated_at,
        }
        mailing = {"newsletter": self.settings.newsletter} if self.settings.newsletter else {}
        response = await self._api.act(
            "PUT", f"posts/{draft.id}/", {"posts": [changes]}, source="html", **_FIELDS, **mailing
        )
        if trouble.said(response).gone:
            raise Unavailable(f"The draft on {self._api.host} was deleted meanwhile; nothing is public yet.")
        return self._told(self._changed(response, draft.id, public=True), response.status)

    async def find(self, key: str, payload: GhostPayload) -> Receipt | None:
        """The public post with the announcement's mark; a draft is not there yet."""
        public = (await self._shelf(payload)).public
        return self._told(public, 200) if public else None

    def _usable(self, shelf: Shelf, payload: GhostPayload) -> Post | None:
        """The draft to go on with. Raises :class:`AlreadyThere`, and :class:`Rejected` for a place that is taken."""
        if shelf.public:
            raise AlreadyThere(self._told(shelf.public, 200))
        if shelf.foreign:
            raise Rejected(
                f'{self._api.host} has another post at "{payload.slug}", without the tag {payload.mark}; '
                "change its address in Ghost, or give it the tag if it is this announcement."
            )
        return shelf.draft

    async def _drafted(self, payload: GhostPayload) -> Post:
        """A new draft. Where the address was taken at the same moment, Ghost gives another: that one is not kept."""
        fields = payload.fields(await self._stored(payload, None))
        wanted = {**fields, "slug": payload.slug, "status": "draft"}
        answer = await self._api.prepare("POST", "posts/", {"posts": [wanted]}, source="html", **_FIELDS)
        made = next(iter(posts.listed(answer) or ()), None)
        if made is None:
            raise Unavailable(
                f"{self._api.host} did not answer with the draft it made; nothing is public yet."
            )
        if made.slug == payload.slug:
            return made
        await self._api.prepare("DELETE", f"posts/{made.id}/")
        older = self._usable(await self._shelf(payload), payload)
        if older is None:
            raise Unavailable(
                f'{self._api.host} does not give a post the address "{payload.slug}"; nothing is public yet.'
            )
        return older

    async def _stored(self, payload: GhostPayload, post: Post | None) -> dict[str, str]:
        """The addresses of all files, by name; only those are uploaded that neither the post nor we know."""
        names = {upload.name for upload in payload.uploads}
        found = {name: where for name, where in self._uploaded.items() if name in names}
        found |= posts.known(post, payload.uploads)
        for upload in payload.uploads:
            if upload.name not in found:
                where = await self._api.upload(upload.kind, upload.name, upload.media_type, upload.data)
                found[upload.name] = self._uploaded[upload.name] = where
        return found

    # --- Correct and take back -----------------------------------------------------------------------

    async def update(self, receipt: Receipt, payload: GhostPayload) -> Receipt:
        """One ``PUT`` of the whole content, which mails nobody and may be repeated; the address stays."""
        post = await self._post(receipt)
        if post is None or not post.public:
            raise self._no_longer("was deleted" if post is None else "is a draft again")
        changes = {**payload.fields(await self._stored(payload, post)), "updated_at": post.updated_at}
        response = await self._api.act(
            "PUT", f"posts/{post.id}/", {"posts": [changes]}, source="html", **_FIELDS
        )
        if trouble.said(response).gone:
            raise self._no_longer("was deleted")
        return self._told(self._changed(response, post.id, public=True), response.status)

    async def retract(self, receipt: Receipt) -> Receipt:
        """Makes the post a draft, or deletes it, as the settings say; what is no longer there is taken back."""
        if self.settings.retract is Retract.DELETE:
            return await self._deleted(receipt)
        post = await self._post(receipt)
        if post is None or not post.public:
            return self._gone(receipt, "404" if post is None else "200")
        changes = {"status": "draft", "updated_at": post.updated_at}
        response = await self._api.act("PUT", f"posts/{post.id}/", {"posts": [changes]})
        if not trouble.said(response).gone:
            self._changed(response, post.id, public=False)
        return self._gone(receipt, str(response.status))

    async def _deleted(self, receipt: Receipt) -> Receipt:
        response = await self._api.act("DELETE", f"posts/{self._number(receipt)}/")
        if not trouble.said(response).gone:
            self._api.refuse(response, creates=True)
            if response.status != 204:
                raise OutcomeUnknown(
                    f"{self._api.host} answered {response.status}, but not that it deleted the post."
                )
        return self._gone(receipt, str(response.status))

    def _gone(self, receipt: Receipt, code: str) -> Receipt:
        return Receipt(Outcome.CONFIRMED, receipt.id, code=code, at=clock.now())

    def _no_longer(self, why: str) -> Rejected:
        return Rejected(
            f"The post that should be changed {why} on {self._api.host}; look at it there, and publish it anew if "
            "it is missed."
        )

    # --- What the site says --------------------------------------------------------------------------

    async def _shelf(self, payload: GhostPayload) -> Shelf:
        # Ghost's own name for an internal tag; a comma means "or".
        wanted = f"slug:'{payload.slug}',tag:'hash-{payload.slug}'"
        answer = await self._api.get("posts/", filter=wanted, limit="15", **_FIELDS)
        found = posts.listed(answer)
        if found is None:
            raise Unavailable(f"{self._api.host} did not answer with a list of posts.")
        return posts.sorted_out(found, payload.slug, payload.mark)

    async def _post(self, receipt: Receipt) -> Post | None:
        """The post as it is now; ``None`` where Ghost says that it has none of that number."""
        response = await self._api.ask(f"posts/{self._number(receipt)}/", **_FIELDS)
        if response.status == 404 and trouble.said(response).gone:
            return None
        self._api.refuse(response, creates=False)
        found = posts.listed(self._api.object(response))
        if not found or found[0].id != receipt.id:
            raise Unavailable(f"{self._api.host} did not answer with the post that was asked for.")
        return found[0]

    def _number(self, receipt: Receipt) -> str:
        if not posts.ID.fullmatch(receipt.id):
            raise Rejected(f"The receipt does not name a post on {self._api.host}; look at the site.")
        return receipt.id

    def _changed(self, response: Response, number: str, *, public: bool) -> Post:
        """The post as it is after a change. Raises what a refusal means, and :class:`OutcomeUnknown`."""
        self._api.refuse(response, creates=True)
        found = posts.listed(_object(response))
        if not found or found[0].id != number or found[0].public is not public:
            raise OutcomeUnknown(
                f"{self._api.host} answered {response.status}, but not with the changed post."
            )
        return found[0]

    def _told(self, post: Post, code: int) -> Receipt:
        """The receipt of a public post; the log says where its newsletter was not handed on."""
        receipt = posts.receipt(post, code, self._api.http.scrub)
        if receipt is None:
            raise OutcomeUnknown(f"{self._api.host} has the post, but does not say where.")
        if post.newsletter and post.email in ("", "failed"):
            log.warning(
                "the post is public, and Ghost has not mailed it; look at it in Ghost",
                event_name="ghost.not_mailed",
                channel=self.channel,
                post=post.id,
            )
        return receipt

    # --- The wire ------------------------------------------------------------------------------------

    _client: Api | None = None

    @property
    def _api(self) -> Api:
        if self._client is None:
            self._client = Api(self.channel, self.settings)
        return self._client

    async def close(self) -> None:
        """Gives the connections back, if there ever were any."""
        if self._client is not None:
            await self._client.http.close()


def _object(response: Response) -> dict[str, Any]:
    try:
        data = response.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
