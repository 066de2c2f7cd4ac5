"""Posts and pages, kept as JSON files: what may be done to them, and what becomes of them.

As ``class-wp-rest-posts-controller.php`` and ``wp_unique_post_slug`` of WordPress 6.5 do.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from channels.doubles.wordpress.answers import Refused
from publisher import clock

STATUSES = ("publish", "future", "draft", "pending", "private", "trash")
_FIELDS = ("title", "content", "excerpt", "featured_media", "categories", "tags")
_TRASHED = "__trashed"


class Posts:
    """The posts of a site at ``url``; ``filtered`` says that its user may not write any HTML (KSES)."""

    def __init__(self, folder: Path, now: clock.Clock) -> None:
        self._folder, self._now = folder, now
        self.url = ""
        self.filtered = False
        self.unique = True
        """Whether slugs are made unique; two requests at the same moment can both get the same one."""

    def all(self, kind: str = "post") -> list[dict[str, Any]]:
        """All posts of a kind, in every status, oldest first."""
        paths = sorted(self._folder.glob("*.json"), key=lambda path: int(path.stem))
        read = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return [post for post in read if post["type"] == kind]

    def get(self, kind: str, number: str) -> dict[str, Any]:
        """One post. Raises :class:`Refused` where there is none."""
        found = next((post for post in self.all(kind) if str(post["id"]) == number), None)
        if found is None:
            raise Refused("rest_post_invalid_id", "Invalid post ID.", 404)
        return found

    def search(self, kind: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """What a collection shows, newest first."""
        statuses = query.get("status", "publish").split(",")
        slugs = query["slug"].split(",") if "slug" in query else None
        words = query.get("search", "")
        return [
            post for post in reversed(self.all(kind))
            if post["status"] in statuses and (slugs is None or post["slug"] in slugs)
            and words.lower() in f"{post['title']} {post['excerpt']} {post['content']}".lower()
        ]  # fmt: skip

    def create(self, kind: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A new post. Raises :class:`Refused`."""
        if not any(str(wanted.get(name, "")).strip() for name in ("title", "content", "excerpt")):
            raise Refused("empty_content", "Content, title, and excerpt are empty.", 400)
        post = {
            "id": self._next(), "type": kind, "slug": "", "status": "draft", "date_gmt": "", "title": "", "content": "",
            "excerpt": "", "featured_media": 0, "categories": [1] if kind == "post" else [], "tags": [], "lang": "",
            "translations": {},
        }  # fmt: skip
        return self._change(post, wanted)

    def update(self, kind: str, number: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A changed post; one in the trash comes back when it gets another status."""
        post = self.get(kind, number)
        if post["status"] == "trash" and wanted.get("status"):
            post["slug"] = post["slug"].removesuffix(_TRASHED)
        return self._change(post, wanted)

    def trash(self, kind: str, number: str) -> dict[str, Any]:
        """A post put into the trash."""
        post = self.get(kind, number)
        if post["status"] == "trash":
            raise Refused("rest_already_trashed", "The post has already been deleted.", 410)
        post |= {"status": "trash", "slug": post["slug"] + _TRASHED}
        return self._written(post)

    def delete(self, kind: str, number: str) -> dict[str, Any]:
        """A post that is gone for good."""
        post = self.get(kind, number)
        (self._folder / f"{post['id']}.json").unlink()
        return post

    def _change(self, post: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        if (status := wanted.get("status", post["status"])) not in STATUSES[:-1] and status != post["status"]:
            raise Refused("rest_invalid_param", "Invalid parameter(s): status", 400)
        post |= {name: wanted[name] for name in _FIELDS if name in wanted}
        post["content"] = cleaned(post["content"]) if self.filtered else post["content"]
        post |= {"status": status, "modified_gmt": _iso(self._now())}
        if status == "publish" and not post["date_gmt"]:
            post["date_gmt"] = _iso(self._now())
        slug = str(wanted.get("slug") or post["slug"]) or (
            f"post-{post['id']}" if status == "publish" else ""
        )
        post["slug"] = self._free(post, slug.lower())
        return self._written(post)

    def _free(self, post: Mapping[str, Any], slug: str) -> str:
        taken = {one["slug"] for one in self.all(post["type"]) if one["id"] != post["id"]}
        number, free = 2, slug
        while slug and self.unique and free in taken:
            free, number = f"{slug}-{number}", number + 1
        return free

    def _next(self) -> int:
        counter = self._folder / "next"
        number = int(counter.read_text()) if counter.exists() else 1
        counter.write_text(str(number + 1))
        return number

    def written_by(self, number: int, **changed: Any) -> None:
        """Changes a post as a person at the site would; nothing is checked."""
        path = self._folder / f"{number}.json"
        self._written({**json.loads(path.read_text(encoding="utf-8")), **changed})

    def _written(self, post: dict[str, Any]) -> dict[str, Any]:
        fresh = self._folder / f"{post['id']}.part"
        fresh.write_text(json.dumps(post, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        fresh.replace(self._folder / f"{post['id']}.json")  # whoever looks meanwhile sees a whole one
        return post

    def link(self, post: Mapping[str, Any]) -> str:
        """Where a post can be read; a draft has no good address yet."""
        number = "page_id" if post["type"] == "page" else "p"
        hidden = post["status"] in ("draft", "pending", "trash")
        return f"{self.url}/?{number}={post['id']}" if hidden else f"{self.url}/{post['slug']}/"

    def view(self, post: Mapping[str, Any], *, editing: bool, translated: bool) -> dict[str, Any]:
        """A post as the API shows it; ``editing`` adds what was written, ``translated`` is Polylang Pro's part."""
        seen = {name: post[name] for name in ("id", "slug", "status", "type", "featured_media")}
        seen |= {"link": self.link(post), "date_gmt": post["date_gmt"] or _iso(self._now())}
        seen["modified_gmt"] = post["modified_gmt"]
        for name in ("title", "content", "excerpt"):
            raw = {"raw": post[name]} if editing else {}
            seen[name] = {**raw, "rendered": post[name], "protected": False}
        if post["type"] == "post":
            seen |= {"categories": post["categories"], "tags": post["tags"]}
        own = {post["lang"]: post["id"]} if post["lang"] else {}
        return seen | (
            {"lang": post["lang"], "translations": post["translations"] | own} if translated else {}
        )


def cleaned(content: str) -> str:
    """What is left for a user who may not write any HTML, as ``wp-includes/kses.php`` does.

    Seen on 6.5: ``display``, ``<time>``, and some attributes of links go, and an apostrophe is written ``&#039;``.
    """
    content = re.sub(r"display:[^;\"]*;?", "", content)
    content = re.sub(r"</?time[^>]*>", "", content)
    content = re.sub(
        r' (?:type="text/calendar"|download="[^"]*"|hreflang="[^"]*"|aria-hidden="true")', "", content
    )
    return content.replace("&#39;", "&#039;").replace("&#91;", "&#091;")


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def page(post: Mapping[str, Any], home: str) -> str:
    """A post as a theme without any style shows it."""
    title = html.escape(html.unescape(str(post["title"])))
    return (
        f'<!doctype html><html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>body{{max-width:44em;margin:2em auto;font:17px/1.7 system-ui}}</style>"
        f'<p><a href="{home}">⌂</a></p><h1>{title}</h1>{post["content"]}</html>'
    )
