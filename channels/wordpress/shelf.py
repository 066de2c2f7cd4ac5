"""What the site has already: our posts by their address and by their mark, and what a person made of them."""

from __future__ import annotations

from dataclasses import dataclass

from channels.wordpress import content as blocks
from channels.wordpress import posts
from channels.wordpress.posts import FIELDS, LIVING, Post
from channels.wordpress.site import Site
from publisher.channel import Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class Shelf:
    """All that has to do with one announcement: ``ours`` are its posts, lowest number first, ``others`` those of other
    people at its address."""

    ours: tuple[Post, ...] = ()
    others: tuple[Post, ...] = ()

    @property
    def published(self) -> Post | None:
        """The post that people can read."""
        return next((one for one in self.ours if one.is_public and not one.is_withdrawn), None)

    @property
    def unfinished(self) -> Post | None:
        """What is to be filled: the notice of a post that was withdrawn, else the oldest draft of ours."""
        notice = next((one for one in self.ours if one.is_public and one.is_withdrawn), None)
        return notice or next((one for one in self.ours if one.status in ("draft", "pending")), None)

    def refuse_what_a_person_did(self, host: str) -> None:
        """Raises :class:`Rejected` where the address is somebody else's, or somebody has hidden or timed our post."""
        for one in self.others:
            raise Rejected(
                f"{host} has another post, not ours, at the address {one.slug} ({one.link}); give that one another "
                "address, then publish again."
            )
        for one in self.ours:
            if one.status in ("private", "future"):
                raise Rejected(
                    f"Somebody has made our post on {host} {_SAID[one.status]} ({one.link}); publish it there, "
                    "or put it back to draft."
                )


_SAID = {"private": "private", "future": "appear later"}


async def look(site: Site, route: str, slug: str) -> Shelf:
    """Asks twice, since a person may have changed the address of our post: by slug, then by our mark in the text."""
    found = {one.id: one for one in await _list(site, route, slug=slug)}
    found |= {one.id: one for one in await _list(site, route, search=blocks.mark(slug))}
    ordered = [found[number] for number in sorted(found)]
    ours = tuple(one for one in ordered if one.is_ours(slug))
    return Shelf(ours, tuple(one for one in ordered if one.slug == slug and one not in ours))


async def at(site: Site, route: str, slug: str) -> Shelf:
    """The same, by the address alone."""
    ordered = sorted(await _list(site, route, slug=slug), key=lambda one: one.id)
    ours = tuple(one for one in ordered if one.is_ours(slug))
    return Shelf(ours, tuple(one for one in ordered if one not in ours))


async def _list(site: Site, route: str, **query: str) -> list[Post]:
    data = await site.get(f"/{route}", **query, status=LIVING, context="edit", per_page="100", _fields=FIELDS)
    found = [posts.read(one) for one in data] if isinstance(data, list) else [None]
    if None in found:
        raise Unavailable(
            f"{site.host} could not list its {route}, so that nobody knows whether ours is there."
        )
    return [one for one in found if one is not None]
