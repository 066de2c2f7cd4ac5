"""What WordPress says of a post, and the receipt that follows from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from channels.wordpress import content as blocks
from channels.wordpress import trouble
from publisher import clock
from publisher.announcement import Language
from publisher.channel import Links, Outcome, Receipt
from publisher.http import Response

FIELDS = "id,slug,status,link,date_gmt,modified_gmt,content,categories,tags,lang,translations"
"""What is asked for of a post."""
LIVING = "publish,future,draft,pending,private"
"""Every status but the trash: what lies there is no post, and its address is free."""
_ADDRESS = re.compile(r"https?://[!-~]+")
_ID = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Post:
    """A post, or a page, as the REST API shows it for editing."""

    id: int
    slug: str
    status: str
    link: str
    date_gmt: str = ""
    content: str = field(default="", repr=False)
    categories: tuple[int, ...] | None = None
    tags: tuple[int, ...] | None = None
    translations: tuple[int, ...] = ()

    @property
    def is_public(self) -> bool:
        """Whether people can read it."""
        return self.status == "publish"

    @property
    def is_withdrawn(self) -> bool:
        """Whether it says no more than that it was withdrawn."""
        return blocks.is_withdrawn(self.content)

    def is_ours(self, slug: str) -> bool:
        """Whether it is the announcement that ``slug`` names."""
        return blocks.is_ours(self.content, slug)


def read(data: object) -> Post | None:
    """The post that was answered; ``None`` for anything else."""
    if not isinstance(data, dict):
        return None
    number, slug, status, link = (data.get(name) for name in ("id", "slug", "status", "link"))
    if not isinstance(number, int) or isinstance(number, bool) or number < 1 or not isinstance(slug, str):
        return None
    if not isinstance(status, str) or not isinstance(link, str) or not _ADDRESS.fullmatch(link):
        return None
    raw = data.get("content")
    known = data.get("translations")
    others = [value for value in known.values() if isinstance(value, int)] if isinstance(known, dict) else []
    return Post(
        number,
        slug,
        status,
        link,
        str(data.get("date_gmt") or ""),
        str(raw.get("raw") or "") if isinstance(raw, dict) else "",
        _numbers(data.get("categories")),
        _numbers(data.get("tags")),
        tuple(others),
    )


def answered(response: Response) -> Post | None:
    """The post that was answered; ``None`` for anything else."""
    return read(response.json_object)


def is_gone(response: Response) -> bool:
    """Whether WordPress itself says that there is no such post; a page of the web server's says nothing."""
    return trouble.code_of(response) in ("rest_post_invalid_id", "rest_already_trashed")


def number_of(receipt: Receipt) -> str:
    """The id in a receipt, fit to be part of a path; empty where it is none of WordPress's."""
    return receipt.id if _ID.fullmatch(receipt.id) else ""


def receipt(
    post: Post,
    languages: tuple[Language, ...],
    pictures: tuple[str, ...],
    code: int,
    scrub: Callable[[str], str],
) -> Receipt:
    """The receipt of a public post; ``pictures`` are the addresses of its pictures, where they are known."""
    own = languages[0] if len(languages) == 1 else None
    links = Links(
        post.link,
        zh=post.link if own is Language.ZH else "",
        en=post.link if own is Language.EN else "",
        pictures=pictures,
    )
    raw = f"{post.status} {post.id} {post.slug} {post.link} {post.date_gmt}"
    return Receipt(
        Outcome.CONFIRMED,
        str(post.id),
        links,
        str(code),
        clock.instant(post.date_gmt),
        scrub(raw),
    )


def _numbers(value: Any) -> tuple[int, ...] | None:
    return tuple(one for one in value if isinstance(one, int)) if isinstance(value, list) else None
