"""Ghost, self-hosted or hosted, over its Admin API.

A post is made as a draft and published by its number, so that whatever fails before leaves only what nobody sees.
Sources: docs.ghost.org (Admin API) and Ghost ``core/server/api/endpoints/posts.js``,
``services/posts/posts-service.js``; seen on 5.130.
"""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from channels.ghost import payload as content
from channels.ghost import posts, trouble
from channels.ghost.api import Api
from channels.ghost.payload import GhostPayload
from channels.ghost.posts import Post, Shelf
from channels.ghost.settings import GhostSettings, Retract
from channels.ghost.site import FIELDS, Site
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
        draft = self._usable(await self._site.shelf(payload), payload) or await self._drafted(payload)
        changes = {
            **payload.fields(await self._site.stored(payload, draft)),
            "slug": payload.slug,
            "status": "published",
            "updated_at": draft.updated_at,
        }
        mailing = {"newsletter": self.settings.newsletter} if self.settings.newsletter else {}
        response = await self._api.act(
            "PUT", f"posts/{draft.id}/", {"posts": [changes]}, source="html", **FIELDS, **mailing
        )
        if trouble.said(response).gone:
            raise Unavailable(f"The draft on {self._api.host} was deleted meanwhile; nothing is public yet.")
        return self._site.told(self._site.changed(response, draft.id, public=True), payload, response.status)

    async def find(self, key: str, payload: GhostPayload) -> Receipt | None:
        """The public post with the announcement's mark; a draft is not there yet."""
        public = (await self._site.shelf(payload)).public
        return self._site.told(public, payload, 200) if public else None

    def _usable(self, shelf: Shelf, payload: GhostPayload) -> Post | None:
        """The draft to go on with. Raises :class:`AlreadyThere`, and :class:`Rejected` for a place that is taken."""
        if shelf.public:
            raise AlreadyThere(self._site.told(shelf.public, payload, 200))
        if shelf.foreign:
            raise Rejected(
                f'{self._api.host} has another post at "{payload.slug}", without the tag {payload.mark}; '
                "change its address in Ghost, or give it the tag if it is this announcement."
            )
        return shelf.draft

    async def _drafted(self, payload: GhostPayload) -> Post:
        """A new draft. Where the address was taken at the same moment, Ghost gives another: that one is not kept."""
        fields = payload.fields(await self._site.stored(payload, None))
        wanted = {**fields, "slug": payload.slug, "status": "draft"}
        answer = await self._api.prepare("POST", "posts/", {"posts": [wanted]}, source="html", **FIELDS)
        made = next(iter(posts.listed(answer) or ()), None)
        if made is None:
            raise Unavailable(
                f"{self._api.host} did not answer with the draft it made; nothing is public yet."
            )
        if made.slug == payload.slug:
            return made
        await self._api.prepare("DELETE", f"posts/{made.id}/")
        older = self._usable(await self._site.shelf(payload), payload)
        if older is None:
            raise Unavailable(
                f'{self._api.host} does not give a post the address "{payload.slug}"; nothing is public yet.'
            )
        return older

    # --- Correct and take back -----------------------------------------------------------------------

    async def update(self, receipt: Receipt, payload: GhostPayload) -> Receipt:
        """One ``PUT`` of the whole content, which mails nobody and may be repeated; the address stays."""
        post = await self._site.post(receipt)
        if post is None or not post.public:
            raise self._no_longer("was deleted" if post is None else "is a draft again")
        changes = {**payload.fields(await self._site.stored(payload, post)), "updated_at": post.updated_at}
        response = await self._api.act(
            "PUT", f"posts/{post.id}/", {"posts": [changes]}, source="html", **FIELDS
        )
        if trouble.said(response).gone:
            raise self._no_longer("was deleted")
        return self._site.told(self._site.changed(response, post.id, public=True), payload, response.status)

    async def retract(self, receipt: Receipt) -> Receipt:
        """Makes the post a draft, or deletes it, as the settings say; what is no longer there is taken back."""
        if self.settings.retract is Retract.DELETE:
            return await self._deleted(receipt)
        post = await self._site.post(receipt)
        if post is None or not post.public:
            return self._gone(receipt, "404" if post is None else "200")
        changes = {"status": "draft", "updated_at": post.updated_at}
        response = await self._api.act("PUT", f"posts/{post.id}/", {"posts": [changes]})
        if not trouble.said(response).gone:
            self._site.changed(response, post.id, public=False)
        return self._gone(receipt, str(response.status))

    async def _deleted(self, receipt: Receipt) -> Receipt:
        response = await self._api.act("DELETE", f"posts/{self._site.number(receipt)}/")
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

    # --- The wire ------------------------------------------------------------------------------------

    _made: Site | None = None

    @property
    def _site(self) -> Site:
        if self._made is None:
            self._made = Site(self.channel, self.settings)
        return self._made

    @property
    def _api(self) -> Api:
        return self._site.api

    async def close(self) -> None:
        """Gives the connections back, if there ever were any."""
        if self._made is not None:
            await self._made.api.http.close()
