"""The Hugo channel: what is written, and what git does with it, other people's work left alone."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image as Drawing
from pydantic import ValidationError

from channels.hugo import HugoAdapter, HugoSettings
from channels.hugo.git import Git
from channels.hugo.repository import Repository
from channels.static_site import folder as disk
from publisher.announcement import Bilingual, Image, Revision
from publisher.channel import (
    DeliveryError,
    Links,
    Outcome,
    Rejected,
    SignInFailed,
    Unavailable,
    Unsupported,
)
from publisher.pictures import keep
from publisher.render import links
from publisher.render.variant import Edition, render_all
from publisher.testing import sample
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer
from tests.hugo_clone import Clone, git, make_site

URL = "https://www.example.org/"
BUNDLE = "content/news/2026-0042"
FILES = [f"{BUNDLE}/{name}.{code}.{end}" for name, end in (("announcement", "json"), ("event", "ics"), ("index", "md"))
         for code in ("en", "zh")]  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    return Clone(tmp_path)


def website(folder: Path, **settings: Any) -> HugoAdapter:
    return HugoAdapter("website", HugoSettings(**{"folder": folder, "url": URL, **settings}))


def payload(adapter: HugoAdapter, number: int = 1, key: str = sample.KEY) -> Any:
    return adapter.prepare(sample.variants(adapter, number, key)[0])


def rendered(adapter: HugoAdapter, revision: Revision, number: int = 1) -> Any:
    (variant, *_) = render_all(revision, Edition(sample.KEY, number, date(2026, 9, 20 + number - 1)), adapter)
    return adapter.prepare(links.fill(variant, adapter.links(sample.KEY)))


def page(data: bytes) -> tuple[dict[str, Any], str]:
    """Front matter and text of a page."""
    _, front, text = data.decode().split("---\n", 2)
    return yaml.safe_load(front), text


# --- What is written ----------------------------------------------------------------------------------


def test_prepare__writes_a_page_a_language(tmp_path: Path, lecture: Revision) -> None:
    """Each language has its own page, calendar file and mark, in one bundle; nothing is in both languages."""
    files = rendered(website(tmp_path), lecture).files
    assert sorted(files) == FILES
    assert [path.rpartition("/")[2] for path in files][-2:] == ["index.zh.md", "index.en.md"]
    fields, text = page(files[f"{BUNDLE}/index.en.md"])
    assert fields["params"].pop("event") == {
        "start": "2026-10-12T15:00:00+08:00", "end": "2026-10-12T17:00:00+08:00",
        "place": "Lecture Hall, Ground Floor, Example City Library", "link": "https://example.org/register",
    }  # fmt: skip
    assert fields["date"].isoformat() == fields["lastmod"].isoformat() == "2026-09-20T00:00:00+08:00"
    assert {name: fields[name] for name in fields if name not in ("date", "lastmod", "description", "summary")} == {
        "title": "Public Lecture: Cities and Their Rivers", "draft": False, "url": "/en/news/2026-0042/",
        "translationKey": "news/2026-0042", "tags": ["PublicLecture", "Cities"],
        "params": {"key": "2026-0042", "rev": 1, "lang": "en"},
    }  # fmt: skip
    assert "[Add to calendar](event.en.ics)" in text and "**public lecture**" in text
    assert "- How rivers shape cities\n- Flood stories" in text and "> A city writes" in text
    assert "公开" not in text
    chinese, text = page(files[f"{BUNDLE}/index.zh.md"])
    assert (
        chinese["isCJKLanguage"] is True and "[加入日历](event.zh.ics)" in text and "Association" not in text
    )
    assert (
        files[f"{BUNDLE}/announcement.zh.json"] == b'{"key": "2026-0042", "language": "zh", "revision": 1}\n'
    )
    assert not any(
        b"\r" in data or data.startswith(b"\xef\xbb\xbf") for p, data in files.items() if p.endswith(".md")
    )


@pytest.mark.parametrize(
    "title",
    [
        '"quoted" \\ and: # not a comment',
        "no",
        "2026-03-05",
        "--- x",
        "@at *star &and",
        "a\u2028b\x85c 😀",
        "{{< x >}}",
    ],
)
def test_prepare__every_title_survives_yaml(tmp_path: Path, visit: Revision, title: str) -> None:
    """A title is the same text for every reader of YAML, whatever it looks like."""
    site = website(tmp_path)
    if "\x85" in title:
        with pytest.raises(Unsupported, match=r"U\+0085"):
            rendered(site, replace(visit, title=Bilingual(title, title)))
        title = title.replace("\x85", "")
    files = rendered(site, replace(visit, title=Bilingual(title, title))).files
    assert page(files[f"{BUNDLE}/index.en.md"])[0]["title"] == title


def test_prepare__languages_and_places_of_the_site(tmp_path: Path, lecture: Revision) -> None:
    """The site's own codes, content folders and addresses are used."""
    site = website(
        tmp_path, language_zh="zh-hans", content_zh="content/chinese", content_en="content/english", section="about/news",
        url=URL + "sub", url_zh=URL + "sub/news/{key}/", timezone="America/New_York",
    )  # fmt: skip
    files = rendered(site, lecture).files
    assert f"{'content/chinese/about/news/2026-0042'}/index.zh-hans.md" in files
    fields, text = page(files["content/chinese/about/news/2026-0042/index.zh-hans.md"])
    assert fields["url"] == "/news/2026-0042/" and "(event.zh-hans.ics)" in text
    assert fields["date"].isoformat() == "2026-09-20T00:00:00-04:00"
    english = page(files["content/english/about/news/2026-0042/index.en.md"])[0]
    assert english["url"] == "/en/about/news/2026-0042/"
    assert site.links("2026-0042") == Links(
        URL + "sub/news/2026-0042/", zh=URL + "sub/news/2026-0042/", en=URL + "sub/en/about/news/2026-0042/"
    )


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("- a list", "no fields"),
        ("title: x", '"title"'),
        ("a: 1\n---\nb: 2", "no fields"),
        ("a: [", "no fields"),
    ],
)
def test_prepare__an_office_template_is_checked(
    tmp_path: Path, visit: Revision, extra: str, says: str
) -> None:
    """The office's own front matter may add fields, and neither replace ours nor end the front matter."""
    own = tmp_path / "home"
    (own / "templates" / "hugo").mkdir(parents=True)
    template = own / "templates" / "hugo" / "front_matter.yaml"
    template.write_text('type: "post"\ncategories: ["{{ scope }}"]\n')
    site = HugoAdapter("website", HugoSettings(folder=tmp_path, url=URL), own)

    def made() -> Any:
        (variant,) = render_all(visit, Edition(sample.KEY, 1, date(2026, 9, 20)), site, own)
        return site.prepare(links.fill(variant, site.links(sample.KEY)))

    fields, _ = page(made().files[f"{BUNDLE}/index.zh.md"])
    assert (fields["type"], fields["categories"]) == ("post", ["zh"])
    template.write_text(extra)
    with pytest.raises(Unsupported, match=says):
        made()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url_zh": "https://other.example.org/{key}/"}, "must begin with"),
        ({"url_zh": URL + "zh/"}, "{key}"),
        ({"url_zh": URL + "{key}.html"}, "slash"),
        ({"section": "../x"}, "pattern"),
        ({"content_zh": "/etc"}, "pattern"),
        ({"language_en": "zh"}, "differ"),
        ({"language_zh": "zh-Hans"}, "pattern"),
        ({"branch": "--upload-pack=x"}, "branch"),
        ({"remote": "--x"}, "pattern"),
        ({"timezone": "Nowhere/City"}, "Nowhere"),
        ({"author_name": "a <b>"}, "without"),
    ],
)
def test_settings__are_refused(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    """What could leave the site, or read as an option of git, is refused."""
    with pytest.raises(ValidationError, match=says):
        website(tmp_path, **settings)


# --- The folder ---------------------------------------------------------------------------------------


async def test_separate__one_language_leaves_the_other(tmp_path: Path) -> None:
    """In the layout separate each post has its language's files alone, also when it is taken back."""
    site = website(make_site(tmp_path / "s"), layout="separate")
    chinese, english = (site.prepare(v) for v in sample.variants(site))
    one, two = await site.publish(chinese, "zh"), await site.publish(english, "en")
    assert (one.id, two.id) == ("news/2026-0042/zh", "news/2026-0042/en")
    await site.retract(one)
    left = sorted(p.name for p in (site.settings.folder / BUNDLE).iterdir())
    assert left == ["announcement.en.json", "event.en.ics", "index.en.md"]
    assert await site.find("zh", chinese) is None and await site.find("en", english) is not None
    await site.retract(two)
    assert not (site.settings.folder / BUNDLE).exists()


@pytest.mark.parametrize("mode", ["off", "push"])
async def test_update__keeps_the_first_day_and_others_files(
    clone: Clone, lecture: Revision, mode: str
) -> None:
    """A correction keeps the date, moves lastmod, takes away what is gone, and leaves what people put beside it."""
    site = website(clone.folder, git=mode)
    made = await site.publish(rendered(site, lecture), "k")
    if mode == "push":
        clone.push_from_elsewhere(f"{BUNDLE}/photo.jpg", "a person's")
    else:
        (clone.folder / BUNDLE / "photo.jpg").write_text("a person's")
    newer = rendered(site, replace(lecture, event=None), 2)
    assert await site.find("k", newer) is None
    changed = await site.update(made, newer)
    assert (changed.id, changed.links) == (made.id, made.links)
    found = {p.name: p.read_bytes() for p in (clone.folder / BUNDLE).iterdir()}
    assert sorted(found) == [
        "announcement.en.json",
        "announcement.zh.json",
        "index.en.md",
        "index.zh.md",
        "photo.jpg",
    ]
    fields, _ = page(found["index.en.md"])
    assert fields["date"].isoformat() == "2026-09-20T00:00:00+08:00"
    assert fields["lastmod"].isoformat() == "2026-09-21T00:00:00+08:00"
    assert await site.find("k", newer) is not None and await site.find("k", rendered(site, lecture)) is None


async def test_retract__as_a_draft(tmp_path: Path) -> None:
    """With retraction=draft the page stays as a draft, is not found, cannot be corrected, and may be published anew."""
    site = website(make_site(tmp_path / "s"), retraction="draft")
    made = await site.publish(payload(site), "k")
    for _ in range(2):
        assert (await site.retract(made)).id == made.id
    data = (site.settings.folder / BUNDLE / "index.zh.md").read_bytes()
    assert page(data)[0]["draft"] is True
    assert await site.find("k", payload(site)) is None
    with pytest.raises(Rejected, match="anew"):
        await site.update(made, payload(site, 2))
    await site.publish(payload(site), "k")
    assert await site.find("k", payload(site)) is not None


# --- git ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["commit", "push"])
async def test_publish__one_commit_of_exactly_our_files(clone: Clone, mode: str) -> None:
    """One commit has our files, author and trailer; again it makes none; people's work stays as it was."""
    folder = clone.folder
    (folder / "staged.txt").write_text("staged")
    git(folder, "add", "staged.txt")
    (folder / "content" / "about.zh.md").write_text("changed by a person")
    (folder / "untracked.txt").write_text("untracked")
    before = git(folder, "status", "--porcelain")
    site = website(folder, git=mode, author_name="Office", author_email="office@example.org")
    (first, second) = [await site.publish(payload(site), "2026-0042-r1-website-both") for _ in range(2)]
    assert first.outcome is Outcome.ACCEPTED and (first.id, first.code) == (second.id, second.code)
    where = folder if mode == "commit" else clone.remote
    assert len(clone.commits(where)) == 1
    assert git(where, "diff-tree", "--no-commit-id", "-r", "--name-only", "main").split() == FILES
    said = git(where, "log", "-1", "--format=%an <%ae>%n%B", "main")
    assert said.startswith("Office <office@example.org>\nAnnouncement 2026-0042, revision 1: Public Lecture")
    assert said.endswith("\n\nAnnouncement-Key: 2026-0042-r1-website-both")
    assert git(folder, "status", "--porcelain") == before
    assert sorted(f"{BUNDLE}/{p.name}" for p in (folder / BUNDLE).iterdir()) == FILES
    receipt = await site.retract(first)
    assert receipt.id == first.id and clone.tree(where) == [] and not (folder / BUNDLE).exists()
    assert git(folder, "status", "--porcelain") == before


async def test_push__somebody_was_first(clone: Clone) -> None:
    """What others have pushed meanwhile stays, under our commit; nothing is forced."""
    site = website(clone.folder, git="push")
    clone.push_from_elsewhere("content/theirs.zh.md", "theirs")
    await site.publish(payload(site), "k")
    assert len(clone.commits()) == 2 and git(clone.remote, "show", "main:content/theirs.zh.md") == "theirs"
    assert git(clone.folder, "rev-parse", "HEAD") == git(clone.remote, "rev-parse", "main")


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_push__a_race_is_run_again(clone: Clone, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Where somebody pushes between our fetch and our push, ours is put on top, three times at most."""
    left = iter(range(times))
    real = Repository.push

    def raced(self: Repository, commit: str) -> None:
        if (number := next(left, None)) is not None:
            clone.push_from_elsewhere(f"content/n{number}.zh.md", "theirs")
        real(self, commit)

    monkeypatch.setattr(Repository, "push", raced)
    site = website(clone.folder, git="push")
    if times == 3:
        with pytest.raises(Unavailable, match="Others pushed first"):
            await site.publish(payload(site), "k")
        assert clone.tree() == []
    await site.publish(payload(site), "k")
    assert clone.tree() == FILES and len(clone.commits()) == times + 1


async def test_push__peoples_commits_stay_theirs(clone: Clone) -> None:
    """Commits that a person has made in the clone and not pushed are not pushed, and not lost."""
    (clone.folder / "mine.txt").write_text("not yet")
    git(clone.folder, "add", "mine.txt")
    git(clone.folder, "commit", "-qm", "Unfinished")
    mine = git(clone.folder, "rev-parse", "HEAD")
    site = website(clone.folder, git="push")
    await site.publish(payload(site), "k")
    assert await site.find("k", payload(site)) is not None
    assert len(clone.commits()) == 1 and git(clone.folder, "rev-parse", "HEAD") == mine


async def test_push__cut_after_the_remote_took_it(clone: Clone) -> None:
    """An answer that is lost is looked up: the commit is there, so the post is out, once."""
    site = website(clone.folder, git="push")
    clone.plan("ok", "cut-after")
    await site.publish(payload(site), "k")
    await site.publish(payload(site), "k")
    assert len(clone.commits()) == 1


async def test_push__a_hook_refuses(clone: Clone) -> None:
    """The words of the remote's hook reach the officer; nothing is published, and nothing is left to be pushed later."""
    site = website(clone.folder, git="push")
    clone.plan("ok", "refuse")
    with pytest.raises(Rejected, match="policy 7"):
        await site.publish(payload(site), "k")
    assert clone.tree() == [] and not (clone.folder / BUNDLE).exists()


async def test_push__a_remote_that_hangs_is_left(clone: Clone) -> None:
    """After the time-out the whole group of processes is gone, and where the remote took it, it counts."""
    site = website(clone.folder, git="push", timeout=1.5)
    clone.plan("ok", "wait")
    assert (await site.publish(payload(site), "k")).id == "news/2026-0042"
    clone.plan("hang")
    with pytest.raises(Unavailable, match="too long"):
        await site.find("k", payload(site))


async def test_push__two_workers_on_one_clone(clone: Clone) -> None:
    """Workers of one clone wait for each other; each announcement gets its commit."""
    sites = [website(clone.folder, git="push") for _ in range(3)]
    keys = [f"2026-{number:04}" for number in range(1, 4)]
    await asyncio.gather(*(s.publish(payload(s, key=k), k) for s, k in zip(sites, keys, strict=True)))
    assert len(clone.commits()) == 3 and len(clone.tree()) == 18
    assert git(clone.folder, "status", "--porcelain") == ""


async def test_push__secrets_of_the_address_never_show(clone: Clone) -> None:
    """A token in the remote's address is in no error, not even where git repeats it."""
    for address in ("https://user:s3cret-token@127.0.0.1:1/x.git", "https://s3cret-token@127.0.0.1:1/x.git"):
        git(clone.folder, "remote", "set-url", "origin", address)
        site = website(clone.folder, git="push")
        for call in (site.check(), site.publish(payload(site), "k"), site.find("k", payload(site))):
            with pytest.raises(DeliveryError) as caught:
                await call
            assert "127.0.0.1" in str(caught.value) and "s3cret" not in repr(caught.value)


def test_git__is_steered_by_nobody(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of a hook that started the worker, and secrets of other channels, do not reach git."""
    names = {
        "GIT_DIR": "/nowhere",
        "GIT_INDEX_FILE": "/nowhere",
        "MASTODON_TOKEN": "secret",
        "GIT_ASKPASS": "x",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    alias = Git(clone.folder, 10).ask("-c", "alias.shown=!env", "shown")
    assert "PATH=" in alias.text and "secret" not in alias.text and "/nowhere" not in alias.text
    assert Git(clone.folder, 10).must("rev-parse", "--show-toplevel") == str(clone.folder)


def _publish_and_die(adapter: HugoAdapter, made: Any, last: int) -> bool:
    """Publishes in a process of its own, killed at its effect number ``last``; whether it came to its end."""
    if child := os.fork():
        return os.waitpid(child, 0)[1] == 0
    effects = iter(range(1, 1000))

    def fatal(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **named: Any) -> Any:
            if next(effects) == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **named)

        setattr(owner, name, call)

    fatal(Git, "_run")
    fatal(disk, "show")
    fatal(Path, "replace")
    asyncio.run(adapter.publish(made, "k"))
    os._exit(0)


@pytest.mark.parametrize("mode", ["commit", "push"])
def test_publish__killed_anywhere(clone: Clone, mode: str) -> None:
    """A worker killed before any of its effects is completed by the next publication: one commit, all files."""
    where = clone.folder if mode == "commit" else clone.remote
    start = git(where, "rev-parse", "main")
    site = website(clone.folder, git=mode)
    made = payload(site)
    for last in range(1, 100):
        if _publish_and_die(site, made, last):
            break
        asyncio.run(site.publish(made, "k"))
        assert len(clone.commits(where)) == 1 and clone.tree(where) == FILES, last
        assert git(clone.folder, "status", "--porcelain") == "", last
        git(where, "update-ref", "refs/heads/main", start)
        git(clone.folder, "reset", "-q", "--hard", start)
    assert last > 20


# --- Check --------------------------------------------------------------------------------------------


async def test_check__says_what_is_wrong(clone: Clone, tmp_path: Path) -> None:
    """Each thing that would stop a publication is one sentence that names it."""
    cases: list[tuple[dict[str, Any], type[DeliveryError], str]] = [
        ({"folder": tmp_path / "none"}, SignInFailed, "no Hugo site"),
        ({"language_zh": "zh-hans"}, SignInFailed, 'no language "zh-hans" but en, zh'),
        ({"content_zh": "content/zh"}, SignInFailed, "keeps pages in"),
        ({"git": "push", "remote": "upstream"}, SignInFailed, "upstream"),
        ({"git": "push", "branch": "gh-pages"}, SignInFailed, "gh-pages"),
        ({"git": "commit", "branch": "gh-pages"}, SignInFailed, "not checked out"),
    ]
    for settings, kind, says in cases:
        with pytest.raises(kind, match=says):
            await website(**{"folder": clone.folder, **settings}).check()
    for mode in ("off", "commit", "push"):
        assert "website can" in await website(clone.folder, git=mode).check()
    assert git(clone.folder, "status", "--porcelain") == "" and clone.commits() == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hugo.yaml", "languages:\n  zh: {}\n  en: {contentDir: content/en}\n"),
        (
            "config/_default/hugo.toml",
            'title = "x"\n[Languages.ZH]\n[Languages.en]\ncontentDir = "content/en/"\n',
        ),
        ("config.json", '{"languages": {"zh": {}, "en": {"contentDir": "content/en"}}}'),
    ],
)
async def test_check__reads_every_kind_of_configuration(tmp_path: Path, name: str, text: str) -> None:
    """TOML, YAML and JSON, beside the content or in config/_default."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text)
    (tmp_path / "content" / "en").mkdir(parents=True)
    assert await website(tmp_path, content_en="content/en").check()
    with pytest.raises(SignInFailed, match="content_en"):
        await website(tmp_path).check()
    (tmp_path / name).write_text("{ [")
    with pytest.raises(SignInFailed, match="cannot be read"):
        await website(tmp_path).check()


@pytest.mark.parametrize(
    "said",
    [
        "fatal: unable to access 'https://user:s3cret@host/x.git/': gone",
        "fatal: could not read Password for 'https://s3cret@host': no",
        "remote: https://user:s3cret@with@sign@host/",
        "remote: your token s3cret-token is void",
    ],
)
def test_git__what_it_says_is_scrubbed(tmp_path: Path, said: str) -> None:
    """What stands before the @ of an address goes, and the clone's own tokens wherever they stand."""
    assert "s3cret" not in Git(tmp_path, 1, ("s3cret-token",)).scrubbed(said)


async def test_push__the_clones_token_is_known(clone: Clone) -> None:
    """A hook that repeats the token of the remote's address does not bring it into an error."""
    git(clone.folder, "config", "remote.origin.pushurl", "ssh://git:policy@git.example.org/site.git")
    site = website(clone.folder, git="push")
    clone.plan("ok", "refuse")
    with pytest.raises(Rejected, match=r"say that \(… 7\)"):
        await site.publish(payload(site), "k")


# --- Live or not --------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Iterator[tuple[LoopbackServer, dict[str, bytes]]]:
    """A web server, and what it serves, by path."""
    files: dict[str, bytes] = {}

    async def serve(request: Request) -> Response:
        found = files.get(request.path)
        return Response(404, b"not here") if found is None else Response(200, found)

    server = LoopbackServer(serve)
    server.start()
    yield server, files
    server.stop()


async def test_confirm__once_every_page_of_this_revision_is_served(
    tmp_path: Path, served: tuple[LoopbackServer, dict[str, bytes]]
) -> None:
    """Nothing there, an older revision, or one language alone is not live; all of this revision is."""
    server, files = served
    site = website(make_site(tmp_path), url=f"{server.url}/")
    old, new = payload(site), payload(site, 2)
    receipt = await site.publish(new, "k")
    assert receipt.outcome is Outcome.ACCEPTED
    seen = []
    for shown in (
        {}, old.marks, dict([*old.marks.items(), *list(new.marks.items())[:1]]), new.marks,
    ):  # fmt: skip
        files.clear()
        files |= {address.removeprefix(server.url): data for address, data in shown.items()}
        found = await site.confirm(receipt, new)
        assert (found.id, found.links) == (receipt.id, receipt.links)
        seen.append(found.outcome)
    assert seen == [Outcome.ACCEPTED] * 3 + [Outcome.CONFIRMED]
    server.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        await site.confirm(receipt, new)


def test_confirm__only_where_the_site_can_be_looked_at(tmp_path: Path) -> None:
    """A site out of reach is not looked at; one by plain http is refused, unless nobody is to look."""
    assert website(tmp_path).can_confirm and not website(tmp_path, look="no").can_confirm
    with pytest.raises(ValidationError, match="set look to no"):
        website(tmp_path, url="http://www.example.org/")
    assert not website(tmp_path, url="http://www.example.org/", look=False).can_confirm


async def test_receipt__says_where_the_pictures_are(clone: Clone) -> None:
    """Beside the leading language's page, in the order of the document; confirming keeps them."""
    site = website(clone.folder, git="off")
    found = {colour: keep(_drawn(colour), "x.png", "x.md") for colour in ("red", "blue")}
    images = tuple(Image("x.png", Bilingual("图", "Picture"), one.sha256, 0) for one in found.values())
    (made,) = render_all(
        replace(sample.revision(), images=images), Edition(sample.KEY, 1, date(2026, 9, 20)), site, None,
        {one.sha256: one.data for one in found.values()},
    )  # fmt: skip
    one = site.prepare(links.fill(made, site.links(sample.KEY)))
    receipt = await site.publish(one, sample.KEY)
    assert receipt.links
    page = receipt.links.both
    names = [picture.name.replace(".", ".zh.", 1) for picture in made.pictures]
    assert receipt.links.pictures == tuple(page + name for name in names)
    assert all((clone.folder / BUNDLE / name).is_file() for name in names)
    found_again = await site.find(sample.KEY, one)
    assert found_again and found_again.links == receipt.links


def _drawn(colour: str) -> bytes:
    out = io.BytesIO()
    Drawing.new("RGB", (240, 160), colour).save(out, "PNG")
    return out.getvalue()
