"""WordPress itself: the suite of the double, over a real site, with a relay that puts every fault before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest

from channels.doubles.wordpress.shelf import cleaned
from channels.wordpress import WordPressAdapter, WordPressSettings
from publisher.channel import Rejected, SignInFailed, Unavailable
from publisher.http import HttpClient
from publisher.testing import sample
from publisher.testing.conformance_http import HttpConformance
from tests.real.relay import Relay
from tests.real.servers.wordpress import WordPress
from tests.real.servers.wordpress_debian import DebianWordPress
from tests.wordpress_cases import KEY, AllCases, Bed, payloads, taking_back

HASTE = 1.5
"""Seconds an impatient adapter waits: PHP needs longer for an answer than a double does."""


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
    def _site(self, request: pytest.FixtureRequest) -> None:
        self.wordpress = request.getfixturevalue("wordpress")

    def start(self, folder: Path) -> None:
        self.relay = Relay(self.wordpress.url, own_links=True)
        self.url, self.server = self.relay.start(), self.relay.server
        self.secrets = (self.wordpress.users[self.role][1],)

    def stop(self) -> None:
        self.relay.stop()

    def adapter(self, patience: float) -> WordPressAdapter:
        login, password = self.wordpress.users[self.role]
        settings = WordPressSettings(
            url=self.url, username=login, application_password=password, retract=self.retract,
            timeout=max(patience, HASTE),
        )  # fmt: skip
        return WordPressAdapter("website", settings)

    def count(self) -> int:
        return len(shown(self.wordpress))


class TestRealDraft(RealConformance):
    """Retracted posts become drafts."""


@pytest.mark.slow
@taking_back
class TestRealNotice(RealConformance):
    """Retracted posts become notices; an editor's."""

    retract, role = "notice", "editor"


@pytest.mark.slow
@taking_back
class TestRealTrash(RealConformance):
    """Retracted posts go to the trash."""

    retract = "trash"
    retracts = ("DELETE", "/wp-json/wp/v2/posts/")


# --- The cases of the double, and what only a real site can show ------------------------------------


class RealBed(Bed):
    """The real site behind a relay."""

    patience = HASTE

    def __init__(self, wordpress: WordPress) -> None:
        self.wordpress = wordpress
        self.relay = Relay(wordpress.url, own_links=True)
        self.url, self.server = self.relay.start(), self.relay.server

    def account(self, role: str) -> tuple[str, str]:
        return self.wordpress.users[role]

    def posts(self, kind: str = "post") -> list[dict[str, Any]]:
        return [{**asdict(one), "content": self._own(one.content)} for one in self.wordpress.posts(kind)]

    def _own(self, content: str) -> str:
        return content.replace(self.wordpress.url, self.url)

    def files(self) -> list[dict[str, Any]]:
        alts = self.wordpress.query(
            "$o = []; foreach (get_posts(['post_type' => 'attachment', 'numberposts' => -1]) as $p)"
            " $o[] = ['slug' => $p->post_name, 'alt_text' => get_post_meta($p->ID, '_wp_attachment_image_alt', true)];"
            " return $o;"
        )
        return list(alts)


@pytest.fixture
def bed(wordpress: WordPress) -> Iterator[RealBed]:
    bed = RealBed(wordpress)
    yield bed
    bed.relay.stop()


class TestReal(AllCases):
    """What holds of the double holds of a real site."""


class TestRealDebian(AllCases):
    """And of WordPress 6.1 on MariaDB."""

    @pytest.fixture
    def bed(self, wordpress_debian: DebianWordPress) -> Iterator[RealBed]:
        """Debian's site behind a relay."""
        bed = RealBed(wordpress_debian)
        yield bed
        bed.relay.stop()


async def test_kses__the_double_cleans_alike(bed: RealBed) -> None:
    """What WordPress takes out of an author's post is what the double takes out, and an editor's stays whole."""
    for layout in ("paired", "stacked"):
        author, editor = bed.adapter("author", layout=layout), bed.adapter("editor", layout=layout)
        (payload,) = payloads(author)
        made = await author.publish(payload, KEY)
        cleaned_one = bed.public()[-1]["content"]
        await editor.update(made, payload)
        whole = bed.public()[-1]["content"]
        assert ("<time" in whole and "display:grid" in whole) or layout == "stacked"
        assert cleaned_one == cleaned(whole)
        person = bed.person("editor")
        await person.prepare("DELETE", f"/posts/{made.id}", query={"force": "true"})
        for one in (author, editor, person):
            await one.close()


async def test_publish__another_users_draft_at_our_address(bed: RealBed) -> None:
    """A draft the author may not even see keeps its address; ours is not left lying about, and a person is told."""
    person, adapter = bed.person("editor"), bed.adapter("author")
    theirs = {"title": "Notes", "content": "<p>by hand</p>", "slug": sample.KEY, "status": "draft"}
    await person.prepare("POST", "/posts", json=theirs)
    with pytest.raises(Rejected, match="does not give the post the address 2026-0042"):
        await adapter.publish(payloads(adapter)[0], KEY)
    assert [(one["slug"], one["content"]) for one in bed.posts()] == [(sample.KEY, "<p>by hand</p>")]
    for one in (person, adapter):
        await one.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda site: site.plain_permalinks(), "plain permalinks"),
        (lambda site: site.environment("production"), "does not take application passwords"),
        (lambda site: site.without_application_passwords(), "does not take application passwords"),
    ],
    ids=["permalinks", "http", "switched off"],
)
async def test_check__a_real_site_that_is_set_up_wrongly(
    bed: RealBed, spoil: Callable[[WordPress], None], said: str
) -> None:
    """The mistakes of a real site are told from each other."""
    spoil(bed.wordpress)
    adapter = bed.adapter()
    with pytest.raises(SignInFailed, match=said):
        await adapter.check()
    await adapter.close()


@pytest.mark.parametrize("status", [401, 403])
async def test_publish__closed_to_visitors(bed: RealBed, status: int) -> None:
    """A site whose REST API is for its users alone lets us publish, and tells visitors apart from us."""
    bed.wordpress.closed_to_visitors(status)
    adapter, stranger = bed.adapter(), bed.adapter(application_password="wrong")
    await adapter.check()
    await adapter.publish(payloads(adapter)[0], KEY)
    with pytest.raises(SignInFailed, match=r"keeps its REST API closed \(\d+ rest_closed\)"):
        await stranger.check()
    for one in (adapter, stranger):
        await one.close()


async def test_publish__the_database_is_away(bed: RealBed) -> None:
    """WordPress answers with a page and 500 while its database is away: nothing is public, and later all is well."""
    database = bed.wordpress.root / "wp-content" / "db.php"
    kept = database.read_bytes()
    adapter = bed.adapter()
    (payload,) = payloads(adapter)
    broken = bed.wordpress.folder / "broken.php"
    broken.write_text(
        "<?php header('HTTP/1.1 500 Internal Server Error'); die('<h1>Error establishing a database connection</h1>');"
    )
    broken.replace(database)
    try:
        with pytest.raises(Unavailable):
            await adapter.publish(payload, KEY)
        with pytest.raises(Unavailable):
            await adapter.find(KEY, payload)
    finally:
        fresh = bed.wordpress.folder / "whole.php"
        fresh.write_bytes(kept)
        fresh.replace(database)
    await adapter.publish(payload, KEY)
    assert len(bed.public()) == 1
    await adapter.close()


async def test_publish__is_read_by_a_visitor(bed: RealBed) -> None:
    """A visitor sees pictures, calendar file and text at the address in the receipt, with no bracket lost."""
    adapter = bed.adapter()
    receipt = await adapter.publish(payloads(adapter)[0], KEY)
    assert receipt.links
    visitor = HttpClient(bed.url)
    page = (await visitor.send("GET", receipt.links.both.removeprefix(bed.url), creates=False)).text
    assert "本会将于10月12日举办公开讲座" in page and "&lt;周以宁&gt;" in page
    found = re.findall(r'(?:src|href)="(http[^"]+(?:\.png|\.ics))"', page)
    assert len([one for one in found if one.endswith(".ics")]) == 2
    for one in set(found):
        answer = await visitor.send("GET", one.removeprefix(bed.url), creates=False)
        assert answer.status == 200 and answer.body.startswith((b"\x89PNG", b"BEGIN:VCALENDAR"))
    for one in (adapter, visitor):
        await one.close()
