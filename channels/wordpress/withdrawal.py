"""Taking a post back: hidden as a draft, put into the trash, or replaced by a notice at its address."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from channels.wordpress import content as blocks
from channels.wordpress import media, pairs, posts
from channels.wordpress.payload import calendar_file
from channels.wordpress.posts import FIELDS, Post
from channels.wordpress.settings import Withdrawal, WordPressSettings
from channels.wordpress.site import Site, address
from publisher import clock
from publisher.announcement import Language
from publisher.channel import Links, Outcome, OutcomeUnknown, Receipt, Rejected, Unavailable
from publisher.errors import PublisherError
from publisher.http import Response
from publisher.render import calendar
from publisher.render.environment import render
from publisher.render.house import House


async def read(site: Site, route: str, number: str) -> Post | None:
    """The post ``number``, in whatever status; ``None`` where it is gone for good."""
    response = await site.http.send(
        "GET", address(f"/{route}/{number}", {"context": "edit", "_fields": FIELDS}), creates=False
    )
    if posts.is_gone(response):
        return None
    site.refuse(response, f"/{route}", creates=False)
    post = posts.answered(response)
    if post is None or str(post.id) != number:
        raise Unavailable(f"{site.host} could not show post {number}.")
    return post


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """One site's way of taking posts back."""

    site: Site
    settings: WordPressSettings
    house: House
    office: Path | None

    @property
    def _route(self) -> str:
        return self.settings.type.route

    async def take_back(self, receipt: Receipt, number: str) -> Receipt:
        """The receipt of the retraction of post ``number``. May be repeated."""
        post = await read(self.site, self._route, number)
        code = 404
        if post is not None:
            done = not post.is_public or (post.is_withdrawn and self.settings.retract is Withdrawal.NOTICE)
            code = 200 if done else await self._take(post)
            await pairs.part(self.site, self._route, self._whose(post)[0])
        stays = post is not None and post.is_public and self.settings.retract is Withdrawal.NOTICE
        where = Links(post.link) if post and stays else None
        return Receipt(
            Outcome.CONFIRMED, receipt.id, where, str(code), clock.now(), f"{self.settings.retract}"
        )

    async def _take(self, post: Post) -> int:
        """Takes a public post back; the status of the answer."""
        if self.settings.retract is Withdrawal.TRASH:
            return await self._bin(post)
        wanted = (
            {"status": "draft"} if self.settings.retract is Withdrawal.DRAFT else await self._notice(post)
        )
        query = {"context": "edit", "_fields": FIELDS}
        response = await self.site.send("POST", f"/{self._route}/{post.id}", wanted, query)
        if posts.is_gone(response):
            return response.status
        self.site.refuse(response, f"/{self._route}", creates=True)
        after = self._same(post, response)
        if after.is_public and not after.is_withdrawn:
            raise Rejected(f"{self.site.host} still shows the post; take it back there.")
        return response.status

    async def _bin(self, post: Post) -> int:
        query = {"_fields": FIELDS, "context": "edit"}
        response = await self.site.send("DELETE", f"/{self._route}/{post.id}", None, query)
        if not posts.is_gone(response):
            self.site.refuse(response, f"/{self._route}", creates=True)
            self._same(post, response)
        return response.status

    def _same(self, post: Post, response: Response) -> Post:
        after = posts.answered(response)
        if after is None or after.id != post.id:
            raise OutcomeUnknown(
                f"{self.site.host} answered {response.status}, but not with the post it took back."
            )
        return after

    async def _notice(self, post: Post) -> dict[str, object]:
        """A post that says that it was withdrawn, and calls the event off in the calendars of those who took it."""
        key, languages = self._whose(post)
        where = await self._called_off(post)
        lang = {code: self.house.tag(code) for code in Language}
        try:
            text = render("website/notice.html", self.office, languages=languages, lang=lang, calendar=where)
        except PublisherError as error:
            raise Unavailable(str(error)) from error
        return {"content": blocks.notice(key, text.strip()), "excerpt": "", "featured_media": 0}

    def _whose(self, post: Post) -> tuple[str, tuple[Language, ...]]:
        """The slug and the languages a post is in, by its mark, else by its address."""
        slug = blocks.slug_in(post.content) or post.slug
        code = slug.rpartition("-")[2]
        return slug, (Language(code),) if code in set(Language) else self.settings.languages

    async def _called_off(self, post: Post) -> str:
        """Where the calendar file is that calls the event off; empty where there is none, or it cannot be read."""
        found = blocks.calendar_in(post.content)
        if found is None or not found[0].startswith(f"{self.settings.url}/"):
            return ""
        path = found[0].removeprefix(self.settings.url)
        response = await self.site.http.send("GET", path, creates=False)
        if response.status != 200 or not response.body.startswith(b"BEGIN:VCALENDAR"):
            return ""
        try:
            text = calendar.cancelled(response.text, clock.now())
        except ValueError:
            return ""
        upload = replace(calendar_file(text.encode(), "Cancelled"), stem=f"{found[1]}-cancelled")
        return (await media.store(self.site, [upload]))[upload.stem].address
