"""A WordPress site on this machine: the part of its REST API that publishers use, and plain pages to look at.

Behaves as WordPress 6.5 does, and is held to it: the same suite runs on both. With ``polylang`` it behaves as the
documentation of Polylang and of Polylang Pro says.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from channels.doubles.wordpress import shelf
from channels.doubles.wordpress.answers import Refused, no_route, shown, wanted
from channels.doubles.wordpress.library import Files, Terms
from channels.doubles.wordpress.shelf import Posts
from channels.doubles.wordpress.users import ROLES, must, signed_in
from publisher import clock
from publisher.channel import Double
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer

_LANGUAGES = [
    {"slug": "zh", "locale": "zh_CN", "w3c": "zh-CN", "name": "中文"},
    {"slug": "en", "locale": "en_GB", "w3c": "en-GB", "name": "English"},
]
_SORRY = "Sorry, you are not allowed to do that."


class WordPressDouble(Double):
    """One site with one user, ``office``. ``role`` is that user's.

    ``polylang`` is empty, ``free`` or ``pro``; ``path`` is the folder of the host the site is in. ``permalinks``,
    ``passwords`` and ``authorization`` say whether the site has pretty addresses, takes application passwords, and is
    handed the header by its web server.
    """

    USER: ClassVar[str] = "office"

    def __init__(
        self,
        folder: str,
        *,
        role: str = "author",
        polylang: str = "",
        path: str = "",
        now: clock.Clock = clock.now,
    ) -> None:
        super().__init__(folder)
        self.role, self.polylang, self._path = role, polylang, path
        self.permalinks = self.passwords = self.authorization = True
        self.password = secrets.token_hex(12)
        self.server = LoopbackServer(self._handle)
        self._posts, self._uploads = Path(folder) / "posts", Path(folder) / "uploads"
        self.site, self.files = Posts(self._posts, now), Files(self._uploads)
        self.terms = {"categories": Terms({"Uncategorized": "uncategorized"}, 1), "tags": Terms({}, 1000)}

    def start(self) -> Mapping[str, str]:
        """Listens; the settings ``URL``, ``USERNAME`` and ``APPLICATION_PASSWORD``."""
        for folder in (self._posts, self._uploads):
            folder.mkdir(parents=True, exist_ok=True)
        url = self.server.start() + self._path
        self.site.url = self.files.url = url
        spaced = " ".join(re.findall("....", self.password))
        return {"URL": url, "USERNAME": self.USER, "APPLICATION_PASSWORD": spaced}

    def stop(self) -> None:
        """Stops listening; the posts stay in ``folder/posts``, files in ``folder/uploads``."""
        self.server.stop()

    def received(self) -> list[str]:
        """The address and the title of each public post and page, oldest first."""
        both = [*self.site.all(), *self.site.all("page")]
        return [f"{self.site.link(one)}  {one['title']}" for one in both if one["status"] == "publish"]

    def public(self, kind: str = "post") -> list[dict[str, Any]]:
        """The announcements that people can read, without those that were withdrawn."""
        return [
            one for one in self.site.all(kind)
            if one["status"] == "publish" and 'class="publisher-withdrawn' not in one["content"]
        ]  # fmt: skip

    async def _handle(self, request: Request) -> Response:
        path = request.path.removeprefix(self._path)
        if request.query.get("rest_route") == "/":
            return shown(request, self._index())
        if not path.startswith("/wp-json/") or not self.permalinks:
            return self._page(path)
        try:
            return self._answer(request, path.removeprefix("/wp-json"))
        except Refused as refused:
            return refused.response

    def _answer(self, request: Request, path: str) -> Response:
        mine = self.passwords and self.authorization and signed_in(request, self.USER, self.password)
        rights = ROLES[self.role] if mine else frozenset()
        if path == "/":
            return shown(request, self._index())
        if path == "/pll/v1/languages" and self.polylang:
            return shown(request, _LANGUAGES)
        match = re.fullmatch(r"/wp/v2/(users|posts|pages|media|categories|tags)(?:/(\w+))?/?", path)
        if not match:
            raise no_route()
        route, number = match[1], match[2] or ""
        if request.method == "OPTIONS":
            return shown(request, self._described())
        if route == "users":
            return self._me(request, rights)
        if route in self.terms:
            return self._term(request, route, rights)
        return (self._file if route == "media" else self._post)(request, route, number, rights)

    def _index(self) -> dict[str, Any]:
        offered = {"application-passwords": {"endpoints": {}}} if self.passwords else []
        spaces = ["oembed/1.0", "wp/v2", *(["pll/v1"] if self.polylang else [])]
        return {"name": "Example Association", "namespaces": spaces, "authentication": offered}

    def _described(self) -> dict[str, Any]:
        names = ["id", "slug", "content", *(["lang", "translations"] if self.polylang == "pro" else [])]
        return {"namespace": "wp/v2", "schema": {"properties": {name: {} for name in names}}}

    def _me(self, request: Request, rights: frozenset[str]) -> Response:
        must(bool(rights), True, "rest_not_logged_in", "You are not currently logged in.")
        able = dict.fromkeys(sorted(rights), True)
        return shown(
            request,
            {"id": 2, "name": self.USER, "slug": self.USER, "roles": [self.role], "capabilities": able},
        )

    def _term(self, request: Request, route: str, rights: frozenset[str]) -> Response:
        if request.method == "GET":
            return shown(request, self.terms[route].search(request.query))
        allowed = ("manage_categories" if route == "categories" else "edit_posts") in rights
        must(
            allowed,
            not rights,
            "rest_cannot_create",
            "Sorry, you are not allowed to create terms in this taxonomy.",
        )
        return shown(request, self.terms[route].create(wanted(request)), 201)

    def _file(self, request: Request, route: str, number: str, rights: frozenset[str]) -> Response:
        if request.method == "GET":
            return shown(request, self.files.search(request.query))
        must("upload_files" in rights, not rights, "rest_cannot_create", _SORRY)
        if number:
            return shown(request, self.files.describe(number, wanted(request)))
        return shown(request, self.files.upload(request, len(self.files.all) + 5000), 201)

    def _post(self, request: Request, route: str, number: str, rights: frozenset[str]) -> Response:
        kind = route.removesuffix("s")
        if number and not number.isdigit():
            raise no_route()
        self._must_be_let(request, route, rights)
        self.site.filtered = "unfiltered_html" not in rights
        if request.method == "GET":
            found = self.site.get(kind, number) if number else self.site.search(kind, request.query)
            return shown(request, self._view(found))
        if request.method == "DELETE":
            gone = request.query.get("force") == "true"
            post = self.site.delete(kind, number) if gone else self.site.trash(kind, number)
            return shown(
                request, {"deleted": True, "previous": self._view(post)} if gone else self._view(post)
            )
        asked = wanted(request)
        if number:
            self.site.get(kind, number)
        if asked.get("status") == "publish":
            message = "Sorry, you are not allowed to publish posts in this post type."
            must(f"publish_{route}" in rights, not rights, "rest_cannot_publish", message)
        post = self.site.update(kind, number, asked) if number else self.site.create(kind, asked)
        return shown(
            request, self._view(self._translated(post, asked, new=not number)), 200 if number else 201
        )

    def _must_be_let(self, request: Request, route: str, rights: frozenset[str]) -> None:
        able, visitor = f"edit_{route}" in rights, not rights
        if request.method == "GET":
            if request.query.get("status", "publish") != "publish" and not able:
                inner = {
                    "code": "rest_forbidden_status",
                    "message": "Status is forbidden.",
                    "data": {"status": 403},
                }
                message = "Invalid parameter(s): status"
                raise Refused("rest_invalid_param", message, 400, details={"status": inner})
            if request.query.get("context") == "edit":
                must(able, visitor, "rest_forbidden_context", _SORRY)
            return
        made = request.path.rstrip("/").endswith(route)
        code = (
            "rest_cannot_create"
            if made
            else "rest_cannot_edit"
            if request.method == "POST"
            else "rest_cannot_delete"
        )
        must(able, visitor, code, _SORRY)

    def _translated(self, post: dict[str, Any], asked: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
        """Polylang: a new post has the language it is asked for; Pro changes it later, and links translations."""
        if not self.polylang:
            return post
        changed: dict[str, Any] = {"lang": asked.get("lang", "zh")} if new else {}
        if self.polylang == "pro":
            changed |= {"lang": asked["lang"]} if "lang" in asked else {}
            named = {
                key[13:-1]: int(value) for key, value in asked.items() if key.startswith("translations[")
            }
            for language, number in named.items():
                self.site.written_by(number, translations={asked.get("lang", post["lang"]): post["id"]})
                changed["translations"] = {language: number}
        self.site.written_by(post["id"], **changed)
        return {**post, **changed}

    def _view(self, found: dict[str, Any] | list[dict[str, Any]]) -> object:
        if isinstance(found, list):
            return [self._view(one) for one in found]
        return self.site.view(found, editing=True, translated=self.polylang == "pro")

    def _page(self, path: str) -> Response:
        if path.startswith("/wp-content/uploads/") and (file := self.files.read(path)):
            return Response(200, file[0], {"Content-Type": file[1]})
        both = [one for one in (*self.site.all(), *self.site.all("page")) if one["status"] == "publish"]
        if path in ("", "/"):
            items = "".join(
                f'<li><a href="{self.site.link(one)}">{one["title"]}</a></li>' for one in reversed(both)
            )
            return Response.html(f'<!doctype html><meta charset="utf-8"><title>Site</title><ul>{items}</ul>')
        for one in both:
            if path.strip("/") == one["slug"]:
                return Response.html(shelf.page(one, self.site.url or "/"))
        return Response.html("<h1>404</h1>", 404)
