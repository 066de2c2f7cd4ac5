"""A Ghost site on this machine, for the demo and the tests.

Behaves as Ghost 5.130 does for one integration: signed requests, addresses that are given once, changes that need the
post's present ``updated_at``, mailing on the way from draft to published, files by name. All is kept in a folder.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

from publisher import clock
from publisher.channel import Double
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer

_API = "/ghost/api/admin/"
_CARD = re.compile(r"<!--kg-card-begin: html-->\n?(.*?)\n?<!--kg-card-end: html-->", re.DOTALL)
_LENGTHS = {"title": 255, "custom_excerpt": 300, "feature_image_alt": 191, "slug": 191}
_OLDEST = 300
"""Seconds for which a token is taken."""


class GhostDouble(Double):
    """One site with one integration; ``newsletters`` are the slugs of those it has, ``mails`` whether it mails them."""

    def __init__(self, folder: str, *, now: clock.Clock = clock.now) -> None:
        super().__init__(folder)
        self.now = now
        self.number, self.secret = secrets.token_hex(12), secrets.token_hex(32)
        self.newsletters = ["default-newsletter"]
        self.mails = True
        self.mailed: list[str] = []
        """The slugs of posts that were mailed, in order."""
        self.server = LoopbackServer(self._handle)
        self._url = ""
        self._made = 0

    @property
    def admin_key(self) -> str:
        """The key of the integration."""
        return f"{self.number}:{self.secret}"

    def start(self) -> Mapping[str, str]:
        """Listens; the settings ``URL`` and ``ADMIN_KEY``."""
        self._posts.mkdir(parents=True, exist_ok=True)
        self._url = self.server.start()
        return {"URL": self._url, "ADMIN_KEY": self.admin_key}

    def stop(self) -> None:
        """Stops listening; posts and files stay in the folder."""
        self.server.stop()

    def received(self) -> list[str]:
        """The address and the title of each public post, oldest first."""
        return [f"{post['url']}  {post['title']}" for post in self.posts() if post["status"] == "published"]

    def posts(self) -> list[dict[str, Any]]:
        """All posts of every status, oldest first."""
        paths = sorted(self._posts.glob("*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def files(self) -> list[str]:
        """The paths of all that was uploaded, below the site's address."""
        kept = (Path(self.folder) / "content").rglob("*")
        return sorted(str(path.relative_to(self.folder)) for path in kept if path.is_file())

    def change(self, number: str, **fields: Any) -> None:
        """Changes a post as a person does in the editor, in another second than the last change."""
        post = self._post(number)
        assert post is not None
        self._write(
            post | fields | {"updated_at": fields.get("updated_at", _later(post["updated_at"], self.now()))}
        )

    def delete(self, number: str) -> None:
        """Deletes a post as a person does."""
        (self._posts / f"{number}.json").unlink()

    @property
    def _posts(self) -> Path:
        return Path(self.folder) / "posts"

    async def _handle(self, request: Request) -> Response:
        if not request.path.startswith(_API):
            return self._shown(request)
        if refusal := self._refusal(request):
            return refusal
        path = request.path.removeprefix(_API)
        if (request.method, path) in (("POST", "images/upload/"), ("POST", "files/upload/")):
            return self._upload(request, path.partition("/")[0])
        if (request.method, path) == ("GET", "site/"):
            return Response.json({"site": {"title": "Office", "url": f"{self._url}/", "version": "5.130"}})
        if (request.method, path) == ("GET", "newsletters/"):
            named = re.findall(r"slug:([a-z0-9-]+)", request.query.get("filter", ""))
            found = [slug for slug in self.newsletters if not named or slug in named]
            return Response.json({"newsletters": [{"slug": slug, "status": "active"} for slug in found]})
        if path == "posts/":
            return self._browse(request) if request.method == "GET" else self._add(request)
        match = re.fullmatch(r"posts/([^/]+)/", path)
        return self._one(request, match[1]) if match else _error(404, "NotFoundError", "Resource not found")

    # --- Who may ask -------------------------------------------------------------------------------------

    def _refusal(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Ghost":
            return _error(403, "NoPermissionError", "Authorization failed")
        parts = token.split(".")
        try:
            head, claims = (json.loads(_unpacked(part)) for part in parts[:2])
            given = _unpacked(parts[2])
        except (ValueError, IndexError):
            return _error(400, "BadRequestError", "Invalid token", code="INVALID_JWT")
        if head.get("kid") != self.number:
            return _error(401, "UnauthorizedError", "Unknown Admin API Key", code="UNKNOWN_ADMIN_API_KEY")
        expected = hmac.new(bytes.fromhex(self.secret), ".".join(parts[:2]).encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(given, expected) or claims.get("aud") != "/admin/":
            return _error(401, "UnauthorizedError", "Invalid token: invalid signature", code="INVALID_JWT")
        moment = self.now().timestamp()
        if claims["exp"] <= moment or moment - claims["iat"] > _OLDEST:
            return _error(401, "UnauthorizedError", "Invalid token: jwt expired", code="INVALID_JWT")
        return None

    # --- Posts -------------------------------------------------------------------------------------------

    def _browse(self, request: Request) -> Response:
        wanted = request.query.get("filter", "")
        slugs = re.findall(r"slug:'([^']*)'", wanted)
        tags = {f"#{tag}" for tag in re.findall(r"tag:'hash-([^']*)'", wanted)}
        found = [
            post
            for post in self.posts()
            if not wanted or post["slug"] in slugs or tags & {tag["name"] for tag in post["tags"]}
        ]
        limit = int(request.query.get("limit", "15"))
        return self._answer(found[:limit], request)

    def _add(self, request: Request) -> Response:
        wanted = request.json()["posts"][0]
        if not wanted.get("title"):
            return _error(
                422, "ValidationError", "Validation error, cannot save post.", "Validation failed for title."
            )
        if refusal := _invalid(wanted):
            return refusal
        self._made += 1
        moment = _iso(self.now())
        number = f"{self._made:024x}"
        post: dict[str, Any] = {
            "id": number, "uuid": number, "slug": "", "title": "", "status": "draft", "html": "", "url": "",
            "tags": [], "custom_excerpt": None, "feature_image": None, "feature_image_alt": None, "canonical_url": None,
            "created_at": moment, "updated_at": moment, "published_at": None, "newsletter": None, "email": None,
        }  # fmt: skip
        return self._saved(post, wanted, request, 201)

    def _one(self, request: Request, number: str) -> Response:
        verb = {"GET": "read", "PUT": "edit", "DELETE": "delete"}.get(request.method, "use")
        if not re.fullmatch(r"[0-9a-f]{24}", number):
            message = f"Validation error, cannot {verb} post."
            return _error(422, "ValidationError", message, "Validation (matches) failed for id")
        post = self._post(number)
        if post is None:
            message = f"Resource not found error, cannot {verb} post."
            return _error(404, "NotFoundError", message, "Post not found.")
        if request.method == "GET":
            return self._answer([post], request)
        if request.method == "DELETE":
            self.delete(number)
            return Response(204)
        return self._edit(post, request)

    def _edit(self, post: dict[str, Any], request: Request) -> Response:
        wanted = request.json()["posts"][0]
        newsletter = request.query.get("newsletter", "")
        if newsletter and newsletter not in self.newsletters:
            context = "The newsletter parameter doesn't match any active newsletter."
            return _error(400, "BadRequestError", "Request not understood error, cannot edit post.", context)
        if refusal := _invalid(wanted):
            return refusal
        stale = wanted.get("updated_at") != post["updated_at"]
        if stale and _stored(post, wanted) != post:
            message = "Saving failed! Someone else is editing this post."
            return _error(409, "UpdateCollisionError", message, message, code="UPDATE_COLLISION")
        published = post["status"] != "published" and wanted.get("status") == "published"
        if published and newsletter and post["email"] is None:
            post = post | {"newsletter": {"slug": newsletter}}
            if self.mails:
                post["email"] = {"status": "submitted"}
                self.mailed.append(post["slug"])
        return self._saved(post, wanted, request, 200)

    def _saved(self, post: dict[str, Any], wanted: dict[str, Any], request: Request, status: int) -> Response:
        changed = _stored(post, wanted)
        if changed["slug"] != post["slug"] or not post["slug"]:
            changed["slug"] = self._free(str(wanted.get("slug") or "untitled"), post["id"])
        if changed != post and status == 200:
            changed["updated_at"] = _iso(self.now())
        if changed["status"] == "published" and not changed["published_at"]:
            changed["published_at"] = _iso(self.now())
        public = changed["status"] == "published"
        changed["url"] = f"{self._url}/{changed['slug'] if public else 'p/' + changed['uuid']}/"
        self._write(changed)
        return self._answer([changed], request, status)

    def _free(self, slug: str, number: str) -> str:
        taken = {post["slug"] for post in self.posts() if post["id"] != number}
        free, count = slug, 1
        while free in taken:
            count += 1
            free = f"{slug}-{count}"
        return free

    def _answer(self, found: list[dict[str, Any]], request: Request, status: int = 200) -> Response:
        hidden = set() if "html" in request.query.get("formats", "") else {"html"}
        fields = {name for name in request.query.get("fields", "").split(",") if name}
        shown = [
            {name: value for name, value in post.items() if name not in hidden and (not fields or name in fields)}
            for post in found
        ]  # fmt: skip
        return Response.json({"posts": shown}, status)

    def _post(self, number: str) -> dict[str, Any] | None:
        return next((post for post in self.posts() if post["id"] == number), None)

    def _write(self, post: dict[str, Any]) -> None:
        written = json.dumps(post, ensure_ascii=False, indent=2)
        (self._posts / f"{post['id']}.json").write_text(written + "\n", encoding="utf-8")

    # --- Files and pages ---------------------------------------------------------------------------------

    def _upload(self, request: Request, kind: str) -> Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = {
            part.get_param("name", header="content-disposition"): part
            for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
        }
        file = form["file"]
        folder = Path(self.folder) / "content" / kind / f"{self.now():%Y/%m}"
        folder.mkdir(parents=True, exist_ok=True)
        stem, _, ending = str(file.get_filename()).rpartition(".")
        path, count = folder / f"{stem}.{ending}", 0
        while path.exists():
            count += 1
            path = folder / f"{stem}-{count}.{ending}"
        path.write_bytes(bytes(file.get_payload(decode=True)))
        url = f"{self._url}/{path.relative_to(self.folder)}"
        return Response.json({kind: [{"url": url, "ref": form["ref"].get_content().strip()}]}, 201)

    def _shown(self, request: Request) -> Response:
        """What readers get: a file, or a public post as a page."""
        kept = Path(self.folder, request.path.lstrip("/"))
        if request.path in {f"/{path}" for path in self.files()}:
            return Response(200, kept.read_bytes())
        slug = request.path.strip("/")
        post = next(
            (one for one in self.posts() if one["slug"] == slug and one["status"] == "published"), None
        )
        return Response.html(_page(post)) if post else Response.html("<h1>404</h1>", 404)


def _stored(post: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """``post`` with what of ``wanted`` Ghost keeps; HTML as it gives it back."""
    kept = {
        name: value
        for name, value in wanted.items()
        if name in post and name not in ("id", "uuid", "updated_at")
    }
    if "html" in kept:
        card = _CARD.search(kept["html"])
        kept["html"] = (
            f"\n<!--kg-card-begin: html-->\n{card[1] if card else kept['html']}\n<!--kg-card-end: html-->\n"
        )
    if "tags" in kept:
        kept["tags"] = [{"name": name} for name in dict.fromkeys(tag["name"] for tag in kept["tags"])]
    return post | kept  # fmt: skip


def _invalid(wanted: dict[str, Any]) -> Response | None:
    message = "Validation error, cannot save post."
    for name, longest in _LENGTHS.items():
        if len(wanted.get(name) or "") > longest:
            context = f"Value in [posts.{name}] exceeds maximum length of {longest} characters. posts.{name}"
            return _error(422, "ValidationError", message, context)
    for tag in wanted.get("tags", ()):
        if len(tag["name"]) > 191 or tag["name"].startswith(","):
            return _error(422, "ValidationError", message, "Validation failed for name tags.name")
    return None


def _unpacked(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _iso(moment: datetime) -> str:
    """Whole seconds, which is all that Ghost's database keeps."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _later(before: str, now: datetime) -> str:
    moment = max(now.timestamp(), datetime.fromisoformat(before).timestamp() + 1)
    return _iso(datetime.fromtimestamp(moment, tz=now.tzinfo))


def _error(
    status: int, type: str, message: str, context: str | None = None, code: str | None = None
) -> Response:
    told = {
        "message": message,
        "context": context,
        "type": type,
        "code": code,
        "property": None,
        "details": None,
    }
    return Response.json({"errors": [told]}, status)  # fmt: skip


def _page(post: dict[str, Any]) -> str:
    title, lead = html.escape(post["title"]), post["feature_image"]
    picture = (
        f'<img src="{html.escape(lead)}" alt="{html.escape(post["feature_image_alt"] or "")}">'
        if lead
        else ""
    )
    return _PAGE.format(title=title, picture=picture, text=post["html"])


_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ max-width: 42rem; margin: 2rem auto; padding: 0 1rem; font: 1.05rem/1.7 system-ui, sans-serif }}
img {{ max-width: 100%; height: auto }}
</style>
<h1>{title}</h1>
{picture}
{text}
"""
