"""WordPress itself: the suite of the double, over a real site, with a relay that puts every fault before it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from channels.wordpress import WordPressAdapter, WordPressSettings
from publisher.testing.conformance_http import HttpConformance
from tests.real.relay import Relay
from tests.real.servers.wordpress import WordPress


def shown(wordpress: WordPress, kind: str = "post") -> list[str]:
    """The addresses of our posts that people can read, straight from the database."""
    return [
        post.slug for post in wordpress.posts(kind)
        if post.status == "publish" and "publisher-post " in post.content
    ]  # fmt: skip


class RealConformance(HttpConformance):
    """The kit over a real site; ``role`` publishes, and takes back as ``retract`` says."""

    keyed = True
    prepares = True
    creates = ("POST", "/wp-json/wp/v2/posts/")
    updates = creates
    retracts = creates
    retract: ClassVar[str] = "draft"
    role: ClassVar[str] = "author"
    wordpress: WordPress

    @pytest.fixture(autouse=True)
    def _site(self, wordpress: WordPress) -> None:
        self.wordpress = wordpress

    def start(self, folder: Path) -> None:
        self.relay = Relay(self.wordpress.url, own_links=True)
        self.url, self.server = self.relay.start(), self.relay.server
        self.secrets = (self.wordpress.users[self.role][1],)

    def stop(self) -> None:
        self.relay.stop()

    def adapter(self, patience: float) -> WordPressAdapter:
        login, password = self.wordpress.users[self.role]
        settings = WordPressSettings(
            url=self.url, username=login, application_password=password, retract=self.retract, timeout=patience
        )
        return WordPressAdapter("website", settings)

    def count(self) -> int:
        return len(shown(self.wordpress))


class TestRealDraft(RealConformance):
    """Retracted posts become drafts."""


class TestRealNotice(RealConformance):
    """Retracted posts become notices; an editor's."""

    retract, role = "notice", "editor"


class TestRealTrash(RealConformance):
    """Retracted posts go to the trash."""

    retract = "trash"
    retracts = ("DELETE", "/wp-json/wp/v2/posts/")
