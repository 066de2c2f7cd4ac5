"""A Mastodon server on this machine, for the demo and the tests.

Behaves as ``statuses_controller.rb``, ``post_status_service.rb`` and ``status_length_validator.rb`` of Mastodon 4.6
do, for the one account it has. Posts are kept as JSON files, and can be read as pages.
"""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from publisher import clock
from publisher.channel import Double, LengthRule
from publisher.render.length import measure
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer

_KEY_LIVES = timedelta(seconds=3600)
_LISTED = frozenset(("zh", "zh-CN", "zh-HK", "zh-TW", "zh-YUE", "nan-TW", "en"))
_ACCOUNT_ID = "109300000000000042"
_FIRST_ID = 114200000000000001


class MastodonDouble(Double):
    """One account, ``@office``. ``limit`` is its longest post; ``drops`` makes it drop posts behind a 200."""

    def __init__(self, folder: str, *, limit: int = 500, now: clock.Clock = clock.now) -> None:
        super().__init__(folder)
        self.limit, self.now = limit, now
        self.drops = False
        self.locked: set[str] = set()
        """Keys of requests that are being worked on."""
        self.token = secrets.token_urlsafe(24)
        self.server = LoopbackServer(self._handle)
        self._posts = Path(folder) / "posts"
        self._keys: dict[str, tuple[str, datetime]] = {}
        self._url = ""

    def start(self) -> Mapping[str, str]:
        """Listens; the settings ``URL`` and ``TOKEN``."""
        self._posts.mkdir(parents=True, exist_ok=True)
        self._url = self.server.start()
        return {"URL": self._url, "TOKEN": self.token}

    def stop(self) -> None:
        """Stops listening; the posts stay in ``folder/posts``."""
        self.server.stop()

    def received(self) -> list[str]:
        """The address and the first line of each post, oldest first."""
        return [f"{post['url']}  {post['text'].splitlines()[0]}" for post in reversed(self.posts())]

    def posts(self) -> list[dict[str, Any]]:
        """The posts that are there, newest first; ``text`` is what was sent."""
        paths = sorted(self._posts.glob("*.json"), reverse=True)
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    def delete(self, number: str) -> None:
        """Takes a post away, as a person at the account would."""
        (self._posts / f"{number}.json").unlink()

    async def _handle(self, request: Request) -> Response:
        if request.method == "GET" and (page := re.fullmatch(r"/@office/(\d+)", request.path)):
            post = self._post(page[1])
            return Response.html(_page(post)) if post else Response.html("<h1>404</h1>", 404)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _error(401, "The access token is invalid")
        if (request.method, request.path) == ("POST", "/api/v1/statuses"):
            return self._create_once(request)
        if request.method in ("PUT", "DELETE"):
            return self._change(request)
        return self._read(request) if request.method == "GET" else _error(404, "Record not found")

    def _read(self, request: Request) -> Response:
        if request.path == "/api/v1/accounts/verify_credentials":
            return Response.json(self._account())
        if request.path == "/api/v2/instance":
            return Response.json(self._instance())
        if request.path == f"/api/v1/accounts/{_ACCOUNT_ID}/statuses":
            return self._page_of_posts(request)
        match = re.fullmatch(r"/api/v1/statuses/(\d+)(/source)?", request.path)
        post = self._post(match[1]) if match else None
        if not match or not post:
            return _error(404, "Record not found")
        return Response.json(_source(post) if match[2] else _status(post))

    def _create_once(self, request: Request) -> Response:
        """Remembers a key only once its post is stored, for an hour; a repeat meanwhile finds it locked."""
        key = request.headers.get("idempotency-key", "")
        if not key:
            return self._create(request)
        if key in self.locked:
            return _error(503, "There was a temporary problem serving your request, please try again")
        known = self._keys.get(key)
        if known and self.now() - known[1] < _KEY_LIVES:
            post = self._post(known[0])
            return Response.json(_status(post)) if post else _error(404, "Record not found")
        answer = self._create(request)
        if answer.status == 200:
            self._keys[key] = (json.loads(answer.body)["id"], self.now())
        return answer

    def _create(self, request: Request) -> Response:
        wanted = request.json()
        text = str(wanted.get("status", "")).strip()
        if refusal := self._refusal(text):
            return refusal
        number = str(max((int(post["id"]) for post in self.posts()), default=_FIRST_ID - 1) + 1)
        post = {
            "id": number,
            "url": f"{self._url}/@office/{number}",
            "uri": f"{self._url}/users/office/statuses/{number}",
            "created_at": _iso(self.now()),
            "language": _language(str(wanted.get("language", "en"))),
            "visibility": wanted.get("visibility", "public"),
            "content": _content(text, self._url),
            "account": self._account(),
            "text": text,
        }
        if not self.drops:
            self._write(post)
        return Response.json(_status(post))

    def _change(self, request: Request) -> Response:
        """Edits or deletes a post; neither looks at an idempotency key."""
        match = re.fullmatch(r"/api/v1/statuses/(\d+)", request.path)
        post = self._post(match[1]) if match else None
        if not post:
            return _error(404, "Record not found")
        if request.method == "DELETE":
            self.delete(post["id"])
            return Response.json({**_status(post), "text": post["text"]})
        wanted = request.json()
        text = str(wanted.get("status", "")).strip()
        if refusal := self._refusal(text):
            return refusal
        language = _language(str(wanted["language"])) if "language" in wanted else post["language"]
        post |= {"text": text, "content": _content(text, self._url), "language": language}
        post["edited_at"] = _iso(self.now())
        self._write(post)
        return Response.json(_status(post))

    def _refusal(self, text: str) -> Response | None:
        if not text:
            return _error(422, "Validation failed: Text can't be blank")
        if measure(text, LengthRule(self.limit, link=23, short_handles=True)) > self.limit:
            return _error(422, f"Validation failed: Text character limit of {self.limit} exceeded")
        return None

    def _write(self, post: dict[str, Any]) -> None:
        written = json.dumps(post, ensure_ascii=False, indent=2)
        (self._posts / f"{post['id']}.json").write_text(written + "\n", encoding="utf-8")

    def _page_of_posts(self, request: Request) -> Response:
        posts = self.posts()
        if before := request.query.get("max_id"):
            posts = [post for post in posts if int(post["id"]) < int(before)]
        limit = min(int(request.query.get("limit", "20")), 40)
        shown, more = posts[:limit], len(posts) > limit
        link = (
            f'<{self._url}{request.path}?limit={limit}&max_id={shown[-1]["id"]}>; rel="next"' if more else ""
        )
        return Response.json([_status(post) for post in shown], headers={"Link": link} if link else None)

    def _post(self, number: str) -> dict[str, Any] | None:
        return next((post for post in self.posts() if post["id"] == number), None)

    def _account(self) -> dict[str, str]:
        return {"id": _ACCOUNT_ID, "username": "office", "acct": "office", "url": f"{self._url}/@office"}

    def _instance(self) -> dict[str, Any]:
        statuses = {
            "max_characters": self.limit,
            "max_media_attachments": 4,
            "characters_reserved_per_url": 23,
        }
        return {
            "domain": "social.example",
            "title": "Social",
            "version": "4.6.0",
            "configuration": {"statuses": statuses},
        }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, message: str) -> Response:
    return Response.json({"error": message}, status)


def _status(post: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in post.items() if name != "text"}


def _source(post: dict[str, Any]) -> dict[str, Any]:
    return {"id": post["id"], "text": post["text"], "spoiler_text": ""}


def _language(tag: str) -> str:
    """A listed tag, else the part before the region, as ``languages_helper.rb`` does."""
    short = tag.split("-")[0]
    return tag if tag in _LISTED else short if short in _LISTED else "en"


_ENTITY = re.compile(r"(?P<link>https?://\S+)|(?:(?<=\s)|^)#(?P<tag>[\w·]+)", re.MULTILINE)


def _content(text: str, base: str) -> str:
    """The post as HTML: a paragraph a block, links shown shortened by spans, tags as links."""
    blocks = re.split(r"\n{2,}", text)
    return "".join(f"<p>{_linked(block, base)}</p>" for block in blocks)


def _linked(block: str, base: str) -> str:
    out, end = [], 0
    for match in _ENTITY.finditer(block):
        out.append(html.escape(block[end : match.start()]))
        out.append(_anchor(match["link"]) if match["link"] else _tag(match["tag"], base))
        end = match.end()
    out.append(html.escape(block[end:]))
    return "".join(out).replace("\n", "<br />")


def _anchor(url: str) -> str:
    scheme, rest = re.match(r"(https?://(?:www\.)?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]  # it is a link
    shown, hidden = rest[:30], rest[30:]
    return (
        f'<a href="{html.escape(url)}" target="_blank" rel="nofollow noopener" translate="no">'
        f'<span class="invisible">{scheme}</span>'
        f'<span class="{"ellipsis" if hidden else ""}">{html.escape(shown)}</span>'
        f'<span class="invisible">{html.escape(hidden)}</span></a>'
    )


def _tag(tag: str, base: str) -> str:
    return f'<a href="{base}/tags/{quote(tag)}" class="mention hashtag" rel="tag">#<span>{html.escape(tag)}</span></a>'


_PAGE = """<!doctype html>
<html lang="{lang}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark;
  --ink: #1a1c20; --paper: #fff; --second: #f6f5f1; --rule: #dcd9d2; --accent: #9b1c2e }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e9e7e2; --paper: #17181b; --second: #212327; --rule: #3a3b40; --accent: #e58a97 }}
}}
body {{ margin: 0; padding: 48px 16px; background: var(--second); color: var(--ink);
  font: 17px/1.7 system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif }}
article {{ max-width: 36em; margin: auto; padding: 24px; background: var(--paper);
  border: 1px solid var(--rule); border-radius: 6px; overflow-wrap: anywhere }}
header, footer {{ font-size: 14px; opacity: .75 }}
p {{ margin: 16px 0 }}
a {{ color: var(--accent) }}
.invisible {{ display: none }}
.ellipsis::after {{ content: "…" }}
</style>
<article>
<header>@office@social.example</header>
{content}
<footer><time datetime="{created_at}">{when}</time> · {visibility}</footer>
</article>
</html>
"""


def _page(post: dict[str, Any]) -> str:
    created = datetime.fromisoformat(post["created_at"])
    return _PAGE.format(
        lang=html.escape(post["language"]),
        title=html.escape(post["text"].splitlines()[0]),
        content=post["content"],
        created_at=post["created_at"],
        when=clock.show(created, "UTC"),
        visibility=html.escape(post["visibility"]),
    )
