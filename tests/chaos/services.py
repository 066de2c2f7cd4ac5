"""The outside world of one round, in the harness's process, so that it survives the worker: mail, Mastodon, website."""

from __future__ import annotations

import hashlib
import json
import mailbox
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from channels.doubles.mastodon import MastodonDouble
from channels.doubles.smtp import SmtpDouble
from publisher import clock
from publisher.testing.exchange import Answer, At, Cut, Fault, Response, Stall, Truncated
from tests.chaos.relay import LATE_AFTER_DOT, Relay

ADDRESS = "https://news.example.org/"
HTTP_FAULTS: Mapping[str, Fault] = {
    "cut at once": Cut(At.CONNECTED),
    "cut before acting": Cut(At.READ),
    "cut after acting": Cut(At.ACTED),
    "silent before acting": Stall(At.READ),
    "silent after acting": Stall(At.ACTED),
    "broken answer": Truncated(20),
    "error 500": Answer(Response.html("<h1>500</h1>", 500)),
    "busy 503": Answer(Response(503, b"", {"Retry-After": "5"})),
}


@dataclass(frozen=True)
class Held:
    """What the services hold: ``posts`` by announcement and channel; ``damage`` is what is broken in itself."""

    posts: Mapping[tuple[str, str], int]
    damage: tuple[str, ...] = field(default=())


class Services:
    """Three services under ``folder``, whose settings are for channels of their usual names. A context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ahead = timedelta()
        self._mastodon = MastodonDouble(str(folder), now=lambda: clock.now() + self._ahead)
        self._smtp = SmtpDouble(str(folder))
        self._stack = ExitStack()

    def __enter__(self) -> Services:
        mail = self._smtp.start()
        self._stack.callback(self._smtp.stop)
        self._token = self._mastodon.start()["TOKEN"]
        self._stack.callback(self._mastodon.stop)
        self._mail = self._stack.enter_context(Relay(int(mail["PORT"])))
        self._web = self._stack.enter_context(Relay(int(self._mastodon.server.url.rpartition(":")[2])))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def settings(self) -> dict[str, str]:
        """What a ``.env`` needs to reach them."""
        return {
            "WEBSITE_ADAPTER": "static_site",
            "WEBSITE_FOLDER": "site",
            "WEBSITE_URL": ADDRESS,
            "NEWSLETTER_ADAPTER": "smtp",
            "NEWSLETTER_HOST": "127.0.0.1",
            "NEWSLETTER_PORT": str(self._mail.port),
            "NEWSLETTER_SECURITY": "none",
            "NEWSLETTER_SENDER": "Example Association <news@example.org>",
            "NEWSLETTER_TO": "members@lists.example.org",
            "NEWSLETTER_TIMEOUT": "2",
            "NEWSLETTER_ANSWER_TIMEOUT": "1",
            "MASTODON_ADAPTER": "mastodon",
            "MASTODON_URL": f"http://127.0.0.1:{self._web.port}",
            "MASTODON_TOKEN": self._token,
            "MASTODON_TIMEOUT": "1",
        }

    def break_mail(self, fault: str) -> None:
        """The next mail meets ``fault``, one of :data:`tests.chaos.relay.MAIL_FAULTS`."""
        self._mail.fault = fault

    def delay_mail(self, seconds: float) -> None:
        """The next mail is taken at once, and its answer comes only ``seconds`` later."""
        self._mail.late, self._mail.fault = seconds, LATE_AFTER_DOT

    def break_web(self, fault: str, method: str) -> None:
        """The next request of ``method`` to Mastodon meets the fault of that name in :data:`HTTP_FAULTS`."""
        self._mastodon.server.inject(HTTP_FAULTS[fault], method=method)

    def wait_until_posted(self) -> None:
        """Returns once Mastodon has made a post, whether or not it has said so."""
        self._mastodon.server.wait_until_acted()

    def forget_keys(self) -> None:
        """More than an hour passes at Mastodon, after which it does not know a repeated key any more."""
        self._ahead += timedelta(hours=2)

    def quiet(self) -> None:
        """Waits until what they were told is done."""
        self._mail.quiet()
        self._web.quiet()

    def held(self, keys: list[str]) -> Held:
        """What they hold of the announcements ``keys``, read from what lies on their disks."""
        posts: Counter[tuple[str, str]] = Counter()
        for message in mailbox.Maildir(self._smtp.maildir):
            posts[str(message["Message-ID"]).strip("<").partition("-r")[0], "newsletter"] += 1
        for post in self._mastodon.posts():
            posts.update((key, "mastodon") for key in keys if f"{ADDRESS}{key}/" in post["text"].split())
        damage = [line for key in keys for line in self._website(key, posts)]
        return Held(posts, tuple(damage))

    def _website(self, key: str, posts: Counter[tuple[str, str]]) -> list[str]:
        """Counts the announcement on the website; what is wrong with it there."""
        site = self._folder / "site"
        listed = {code: _listed(site / code / "feed.json", key) for code in ("zh", "en")}
        posts[key, "website"] += max(listed.values())
        if not any(listed.values()):
            return []
        record = json.loads((site / "_data" / f"{key}.json").read_text(encoding="utf-8"))
        wrong = [f"{path} is not what its record says" for path, sha in record["sha256"].items()
                 if hashlib.sha256((site / path).read_bytes()).hexdigest() != sha]  # fmt: skip
        addresses = (site / "sitemap.xml").read_text(encoding="utf-8").count(f"<loc>{ADDRESS}{key}/</loc>")
        if len({*listed.values(), addresses}) != 1:
            wrong.append(f"{key} is in the feeds {listed} and {addresses} times in the sitemap")
        return wrong


def _listed(feed: Path, key: str) -> int:
    if not feed.exists():
        return 0
    items = json.loads(feed.read_text(encoding="utf-8"))["items"]
    return sum(item["_announcement"]["key"] == key for item in items)
