"""How a post comes to be: terms, files, a draft that nobody sees, and one step that people see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.wordpress import content as blocks
from channels.wordpress import media, posts, shelf, terms
from channels.wordpress.payload import WordPressPayload, body_with
from channels.wordpress.posts import FIELDS, Post
from channels.wordpress.site import Site
from publisher.channel import AlreadyThere, DeliveryError, OutcomeUnknown, Receipt, Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class Publication:
    """One payload on one site. ``query`` is the language's, for sites that have their posts by language.

    ``placed`` is where the pictures are, by the picture's name, as far as the site has been asked.
    """

    site: Site
    payload: WordPressPayload
    query: Mapping[str, str]
    placed: dict[str, str] = field(default_factory=dict)

    @property
    def route(self) -> str:
        """``posts`` or ``pages``."""
        return self.payload.type.route

    async def fields(self, other: str) -> dict[str, Any]:
        """All that a post has, its terms and files made; ``other`` names the other language's post."""
        payload, site = self.payload, self.site
        categories = await terms.numbers(site, "categories", payload.categories, self.query)
        tags = await terms.numbers(site, "tags", payload.tags, self.query)
        files = [*payload.pictures.values(), *([payload.calendar] if payload.calendar else [])]
        stored = await media.store(site, files)
        self.placed.update({name: stored[one.stem].address for name, one in payload.pictures.items()})
        calendar = stored[payload.calendar.stem].address if payload.calendar else ""
        lead = next(iter(payload.pictures.values()), None)
        fields: dict[str, Any] = {
            "title": payload.title,
            "content": blocks.written(payload.slug, body_with(payload, self.placed, calendar), other),
            "excerpt": payload.excerpt,
            "featured_media": stored[lead.stem].id if lead else 0,
        }
        if self.route == "posts":
            fields["tags"] = tags
            # Without any, WordPress gives a post the site's default one; an empty list would take it away.
            fields |= {"categories": categories} if categories else {}
        return fields

    async def locate(self) -> None:
        """Asks where the pictures are, of a post that is there already."""
        pictures = self.payload.pictures
        stored = await media.find(self.site, [one.stem for one in pictures.values()])
        found = {name: stored[one.stem].address for name, one in pictures.items() if one.stem in stored}
        self.placed.update(found)

    async def draft(self, fields: Mapping[str, Any], found: Post | None) -> Post:
        """The draft, with all that the post will have: the one that is there, or a new one.

        Raises :class:`AlreadyThere` where the post has appeared meanwhile.
        """
        if found is None:
            wanted = {**fields, "slug": self.payload.slug, "status": "draft"}
            made = self._told(await self._prepare("", wanted), fields)
            found = await self._alone(made)
            if found.id == made.id:
                return made
        return self._told(await self._prepare(f"/{found.id}", {**fields, "slug": self.payload.slug}), fields)

    async def go_public(self, draft: Post, fields: Mapping[str, Any] | None = None) -> Receipt:
        """The one step that people see, by number, so that a second time changes nothing.

        ``fields`` come along where the post is public already, as a notice is.
        """
        wanted = {**(fields or {}), "status": "publish"}
        response = await self.site.send("POST", f"/{self.route}/{draft.id}", wanted, self._query)
        if posts.is_gone(response):
            raise Unavailable(f"{self.site.host} no longer has the draft; nothing is public yet.")
        self.site.refuse(response, f"/{self.route}", creates=True)
        post = posts.answered(response)
        if post is None or post.id != draft.id:
            raise OutcomeUnknown(
                f"{self.site.host} answered {response.status}, but not with the post it published."
            )
        if not post.is_public:
            raise Rejected(
                f"{self.site.host} keeps the post as {post.status[:20]} instead of publishing it, as a plug-in for "
                f"editorial control does; publish it there, or let {self.site.user} publish."
            )
        if post.slug != self.payload.slug:
            await self._yield_to_twin(post)
        return self.receipt(post, response.status)

    def receipt(self, post: Post, code: int = 200) -> Receipt:
        """The receipt of a public post; it says where the pictures are if that is known of all."""
        names = self.payload.pictures
        shown = tuple(self.placed[name] for name in names) if set(names) <= set(self.placed) else ()
        return posts.receipt(post, self.payload.languages, shown, code, self.site.http.scrub)

    async def _alone(self, made: Post) -> Post:
        """The draft to go on with: ours, unless there is an older one, made at the same time or late."""
        there = await shelf.at(self.site, self.route, self.payload.slug)
        oldest = there.unfinished
        if made.slug == self.payload.slug and not there.published and not there.others:
            if oldest is None:
                raise Unavailable(f"{self.site.host} does not show the draft it made; nothing is public yet.")
            if oldest.id == made.id:
                return made
        # Somebody was quicker, or the address is not free: ours, which nobody has seen, goes.
        await self._delete(made)
        if there.published:
            raise AlreadyThere(self.receipt(there.published))
        there.refuse_what_a_person_did(self.site.host)
        if oldest is None or oldest.id == made.id:
            raise Rejected(
                f"{self.site.host} does not give the post the address {self.payload.slug}: something that "
                f"{self.site.user} may not see has it, such as another user's draft."
            )
        return oldest

    async def _yield_to_twin(self, post: Post) -> None:
        """Takes a post back that got another address, where ours stands at the right one already."""
        twin = (await shelf.at(self.site, self.route, self.payload.slug)).published
        if twin and twin.id != post.id:
            await self._delete(post)
            raise AlreadyThere(self.receipt(twin))

    async def _delete(self, post: Post) -> None:
        try:
            await self.site.prepare("DELETE", f"/{self.route}/{post.id}", query={"force": "true"})
        except DeliveryError:
            if post.is_public:
                raise
            # A draft that stays is seen by nobody but the office.

    async def _prepare(self, place: str, wanted: Mapping[str, Any]) -> object:
        return await self.site.prepare("POST", f"/{self.route}{place}", query=self._query, json=wanted)

    def _told(self, answer: object, fields: Mapping[str, Any]) -> Post:
        """The draft that was answered. What was dropped quietly is not taken for done."""
        post = posts.read(answer)
        if post is None:
            raise Unavailable(f"{self.site.host} did not say which draft it made; nothing is public yet.")
        for name, kept in (("categories", post.categories), ("tags", post.tags)):
            if name in fields and set(kept or ()) != set(fields[name]):
                raise Unavailable(f"{self.site.host} did not take all {name}; nothing is public yet.")
        return post

    @property
    def _query(self) -> dict[str, str]:
        return {**self.query, "context": "edit", "_fields": FIELDS}
