"""A post as Ghost tells of it, and which of its posts is ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from channels.ghost.payload import Upload
from publisher import clock
from publisher.channel import Links, Outcome, Receipt

ID = re.compile(r"[0-9a-f]{24}")
PUBLIC = ("published", "sent")
"""The states in which members or everybody have the post; ``sent`` is one that was only mailed."""
_URL = re.compile(r"https?://[!-~]+")


@dataclass(frozen=True, slots=True)
class Post:
    """What is needed of a post. ``updated_at`` is given back to change it; ``email`` is the state of its mailing."""

    id: str
    slug: str
    status: str
    url: str
    updated_at: str
    published_at: str
    tags: tuple[str, ...]
    newsletter: str
    email: str
    text: str = field(repr=False)
    raw: str = field(repr=False)

    @property
    def public(self) -> bool:
        """Whether people can read it."""
        return self.status in PUBLIC


def read(data: object) -> Post | None:
    """The post that ``data`` describes; ``None`` where it describes none."""
    if not isinstance(data, dict):
        return None
    number, slug, status, changed = (data.get(name) for name in ("id", "slug", "status", "updated_at"))
    if not (isinstance(number, str) and ID.fullmatch(number) and isinstance(slug, str)):
        return None
    if not (isinstance(status, str) and isinstance(changed, str)):
        return None
    tags = data.get("tags")
    return Post(
        id=number,
        slug=slug,
        status=status,
        url=str(data.get("url") or ""),
        updated_at=changed,
        published_at=str(data.get("published_at") or ""),
        tags=tuple(str(tag.get("name")) for tag in tags if isinstance(tag, dict)) if isinstance(tags, list) else (),
        newsletter=_field(data.get("newsletter"), "slug"),
        email=_field(data.get("email"), "status"),
        text=f"{data.get('feature_image') or ''}\n{data.get('html') or ''}",
        raw=json.dumps({name: data.get(name) for name in _TOLD}, ensure_ascii=False),
    )  # fmt: skip


_TOLD = ("id", "uuid", "slug", "status", "url", "published_at", "updated_at")


def _field(value: object, name: str) -> str:
    return str(value.get(name) or "") if isinstance(value, Mapping) else ""


def listed(data: Mapping[str, Any]) -> list[Post] | None:
    """The posts of an answer; ``None`` where it has no list of them, or one that cannot be read."""
    posts = data.get("posts")
    found = [read(one) for one in posts] if isinstance(posts, list) else [None]
    return [one for one in found if one] if None not in found else None


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a site has of one announcement: the post that is public, a draft, and somebody else's at its address."""

    public: Post | None = None
    draft: Post | None = None
    foreign: Post | None = None


def sorted_out(found: Iterable[Post], slug: str, mark: str) -> Shelf:
    """Which of ``found`` is what: ours carry ``mark``; of several drafts the one at the right address counts."""
    ours = [post for post in found if mark in post.tags]
    drafts = sorted((post for post in ours if not post.public), key=lambda post: post.slug != slug)
    return Shelf(
        public=next((post for post in ours if post.public), None),
        draft=next(iter(drafts), None),
        foreign=next((post for post in found if post.slug == slug and mark not in post.tags), None),
    )


def known(post: Post | None, uploads: Iterable[Upload]) -> dict[str, str]:
    """The addresses of those ``uploads`` that the post has already, by name.

    Names are made of the content, so the same name is the same file; Ghost may have put a number behind it.
    """
    found: dict[str, str] = {}
    for upload in uploads:
        stem, _, ending = upload.name.rpartition(".")
        pattern = rf"https?://[^\s\"'<>]*/{re.escape(stem)}(?:-\d+)?\.{re.escape(ending)}(?=[\s\"'<>]|$)"
        if match := re.search(pattern, post.text if post else ""):
            found[upload.name] = match[0]
    return found


def receipt(
    post: Post, pictures: tuple[Upload, ...], code: int, scrub: Callable[[str], str]
) -> Receipt | None:
    """The receipt of a public post; ``None`` where it does not say where it can be read.

    ``pictures`` are those that it should show; where they are is told if the post has them all. ``code`` is the status
    of the answer; where the post has a newsletter, what became of it stands behind.
    """
    if not _URL.fullmatch(post.url):
        return None
    mailed = f", e-mail {post.email or 'not sent'}" if post.newsletter else ""
    raw = scrub(post.raw)
    stored, names = known(post, pictures), dict.fromkeys(one.name for one in pictures)
    shown = tuple(stored[name] for name in names) if set(names) == set(stored) else ()
    return Receipt(
        Outcome.CONFIRMED,
        post.id,
        Links(both=post.url, pictures=shown),
        f"{code}{mailed}",
        clock.instant(post.published_at),
        raw,
    )
