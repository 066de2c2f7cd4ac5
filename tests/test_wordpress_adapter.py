"""The WordPress channel over the double: the cases that a real site runs too, and those only a double can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.doubles.wordpress import WordPressDouble
from channels.wordpress import WordPressAdapter
from publisher.channel import AlreadyThere, OutcomeUnknown, Rejected, SignInFailed, Unavailable
from publisher.testing.exchange import Answer, Response
from tests.wordpress_cases import API, KEY, AllCases, Bed, payloads

PAGE = Response.html("<h1>Checking your browser</h1>", 403)


class DoubleBed(Bed):
    """The double; its one user has the role that was asked for last."""

    patience = 0.4

    def __init__(self, folder: Path, **more: Any) -> None:
        self.double = WordPressDouble(str(folder), **more)
        self.reach = self.double.start()
        self.url, self.server = self.reach["URL"], self.double.server

    def account(self, role: str) -> tuple[str, str]:
        self.double.role = role
        return self.reach["USERNAME"], self.reach["APPLICATION_PASSWORD"]

    def posts(self, kind: str = "post") -> list[dict[str, Any]]:
        return self.double.site.all(kind)

    def files(self) -> list[dict[str, Any]]:
        return self.double.files.all


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[DoubleBed]:
    bed = DoubleBed(tmp_path)
    yield bed
    bed.double.stop()


class TestDouble(AllCases):
    """What holds of a real site holds of the double."""


@pytest.fixture
def adapter(bed: DoubleBed) -> WordPressAdapter:
    return bed.adapter()


async def test_publish__asks_in_order(bed: DoubleBed, adapter: WordPressAdapter) -> None:
    """Look twice, terms, files, a draft, look again, publish: nothing is public before the last request."""
    await adapter.publish(payloads(adapter)[0], KEY)
    asked = [f"{one.method} {one.path.removeprefix(API)}" for one in bed.server.requests]
    number = bed.public()[0]["id"]
    assert asked == [
        "GET /posts", "GET /posts",
        "GET /tags", "GET /tags", "POST /tags", "GET /tags", "POST /tags",
        "GET /media", "POST /media", "POST /media/5000", "POST /media", "POST /media/5001", "POST /media",
        "POST /posts", "GET /posts", f"POST /posts/{number}",
    ]  # fmt: skip
    assert bed.server.requests[-1].json() == {"status": "publish"}
    with pytest.raises(AlreadyThere):
        await adapter.publish(payloads(adapter)[0], KEY)
    again = [f"{one.method} {one.path.removeprefix(API)}" for one in bed.server.requests[len(asked) :]]
    assert again == ["GET /posts", "GET /posts", "GET /media"]
    await adapter.close()


async def test_publish__a_site_in_a_folder(tmp_path: Path) -> None:
    """An address with a path is the site's, and not its host's."""
    bed = DoubleBed(tmp_path, path="/news/site")
    adapter = bed.adapter()
    receipt = await adapter.publish(payloads(adapter)[0], KEY)
    assert receipt.links and receipt.links.both == f"{bed.url}/2026-0042/"
    assert "/news/site/wp-content/uploads/event-" in bed.public()[0]["content"]
    assert all(one.path.startswith("/news/site/wp-json/") for one in bed.server.requests)
    await adapter.close()
    bed.double.stop()


@pytest.mark.parametrize("lowest", ["ours", "theirs"])
async def test_draft__twins(bed: DoubleBed, adapter: WordPressAdapter, lowest: str) -> None:
    """Of two drafts with one address, as a race makes them, the older one is published and ours goes, or stays."""
    (payload,) = payloads(adapter)
    bed.double.site.unique = False
    mark = '<div class="publisher-post publisher-2026-0042">x</div>'
    twin = {"slug": "2026-0042", "content": mark, "title": "x", "status": "draft"}
    create = bed.double.site.create

    def racing(kind: str, wanted: Any) -> dict[str, Any]:
        first, second = (twin, wanted) if lowest == "theirs" else (wanted, twin)
        made = [create(kind, one) for one in (first, second)]
        bed.double.site.create = create  # type: ignore[method-assign]
        return made[0] if lowest == "ours" else made[1]

    bed.double.site.create = racing  # type: ignore[method-assign]
    receipt = await adapter.publish(payload, KEY)
    assert [one["id"] for one in bed.public()] == [1] and receipt.id == "1"
    assert [one["id"] for one in bed.posts()] == ([1] if lowest == "theirs" else [1, 2])
    assert "城市与河流" in bed.public()[0]["content"] or "本会将于" in bed.public()[0]["content"]
    await adapter.close()


async def test_publish__a_plug_in_that_holds_it_back(bed: DoubleBed, adapter: WordPressAdapter) -> None:
    """A site that answers with another status has not published it, and a person must."""
    held = {"id": 1, "slug": "2026-0042", "status": "pending", "link": f"{bed.url}/?p=1", "date_gmt": ""}
    bed.server.inject(Answer(Response.json(held)), method="POST", path=f"{API}/posts/")
    with pytest.raises(Rejected, match="keeps the post as pending instead of publishing it"):
        await adapter.publish(payloads(adapter)[0], KEY)
    await adapter.close()


async def test_publish__terms_that_were_dropped(bed: DoubleBed, adapter: WordPressAdapter) -> None:
    """WordPress leaves out quietly what it does not know; the draft is then not published."""
    short = {
        "id": 1,
        "slug": "2026-0042",
        "status": "draft",
        "link": f"{bed.url}/?p=1",
        "categories": [1],
        "tags": [],
    }
    bed.server.inject(Answer(Response.json(short, 201)), method="POST", path=f"{API}/posts")
    with pytest.raises(Unavailable, match="did not take all tags; nothing is public yet"):
        await adapter.publish(payloads(adapter)[0], KEY)
    await adapter.close()


# --- Check: what only a site that is set up wrongly answers -------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"permalinks": False}, "plain permalinks.*Settings, Permalinks"),
        ({"passwords": False}, "does not take application passwords.*https"),
        ({"authorization": False}, "does not hand the Authorization header on to PHP"),
    ],
)
async def test_check__a_site_that_is_set_up_wrongly(
    bed: DoubleBed, adapter: WordPressAdapter, wrong: dict[str, bool], said: str
) -> None:
    """Each mistake of a site is told from the others, with the step that mends it."""
    vars(bed.double).update(wrong)
    with pytest.raises(SignInFailed, match=said):
        await adapter.check()
    await adapter.close()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (PAGE, SignInFailed, r"keeps its REST API closed \(403 and a web page\)"),
        (Response.json({"code": "rest_closed", "message": "No"}, 401), SignInFailed, "closed .401 rest_closed.: a security plug-in"),
        (Response.html("<h1>Welcome</h1>"), Unavailable, r"does not answer like WordPress \(200\); check WEBSITE_URL"),
        (Response(301, headers={"Location": "https://www.example.org/x"}), SignInFailed, "sends requests on to https://www.example.org"),
        (Response.html("<h1>Not here</h1>", 404), Unavailable, "could not be asked"),
    ],
)  # fmt: skip
async def test_check__something_before_the_site(
    bed: DoubleBed, adapter: WordPressAdapter, answer: Response, error: type[Exception], said: str
) -> None:
    """A plug-in, a firewall, or another address is named as such."""
    bed.server.inject(Answer(answer), path=f"{API}/users/me")
    if answer.status == 404:
        bed.server.inject(Answer(answer), path="/", times=2)
    with pytest.raises(error, match=said):
        await adapter.check()
    await adapter.close()


# --- Polylang ----------------------------------------------------------------------------------------


async def test_polylang__pro_links_the_posts(tmp_path: Path) -> None:
    """Where a post has Polylang Pro's fields, the two are translations of each other and say so by its switch."""
    bed = DoubleBed(tmp_path, polylang="pro")
    adapter = bed.adapter(layout="separate")
    chinese, english = payloads(adapter)
    first, second = await adapter.publish(chinese, KEY), await adapter.publish(english, KEY)
    for _ in range(2):
        zh, en = bed.public()
        assert (zh["lang"], en["lang"]) == ("zh", "en")
        assert (zh["translations"], en["translations"]) == ({"en": int(second.id)}, {"zh": int(first.id)})
        assert "publisher-other" not in zh["content"] + en["content"]
        await adapter.find(KEY, english)
    await adapter.close()
    bed.double.stop()


async def test_polylang__free_has_languages_alone(tmp_path: Path) -> None:
    """The free edition gives a new post its language; the posts name each other in the text."""
    bed = DoubleBed(tmp_path, polylang="free")
    adapter = bed.adapter(layout="separate")
    for payload in payloads(adapter):
        await adapter.publish(payload, KEY)
    assert [(one["lang"], "publisher-other" in one["content"]) for one in bed.public()] == [
        ("zh", True),
        ("en", True),
    ]
    await adapter.close()
    bed.double.stop()


async def test_polylang__that_cannot_be_asked(tmp_path: Path) -> None:
    """A post in a wrong language cannot be mended later, so nothing is made before the languages are known."""
    bed = DoubleBed(tmp_path, polylang="free")
    adapter = bed.adapter(layout="separate")
    bed.server.inject(Answer(Response.json({"code": "x"}, 500)), path="/wp-json/pll/")
    with pytest.raises((Unavailable, OutcomeUnknown)):
        await adapter.publish(payloads(adapter)[0], KEY)
    assert bed.posts() == []
    await adapter.close()
    bed.double.stop()
