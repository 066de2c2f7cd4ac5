"""Front matter: what it may say, and a sentence with the line for everything that is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from publisher import assets, intake
from publisher.announcement import Bilingual, Event, Tags
from publisher.errors import DocumentError

BODY = "---\n欢迎。\n\nWelcome.\n"
EVENT = "event: {start: 2026-10-12T15:00, timezone: Asia/Shanghai"


PICTURE = (Path(assets.__file__).parent / "demo" / "hall.jpg").read_bytes()


def read(front: str) -> intake.Document:
    """A Markdown document with this front matter; its first line is line 2."""
    return intake.read(f"---\n{front}\n{BODY}".encode(), "x.md", beside=lambda name: PICTURE)


def test_front_matter__everything_it_may_say() -> None:
    """Every field arrives as it was typed, in flow style as documented."""
    document = read(
        "title: {zh: 公开讲座, en: Public Lecture}\n"
        "summary: {zh: 欢迎参加。, en: Do come.}\n"
        "event: {start: 2026-10-12T15:00, end: 2026-10-12 17:00, timezone: Asia/Shanghai,\n"
        "  place: {zh: 一层报告厅, en: Lecture Hall}, link: 'https://example.org/a?b=1'}\n"
        "organisations: [{zh: 示例市图书馆, en: Example City Library}]\n"
        'tags: {zh: [公开讲座, "#城市"], en: [Cities, Cities]}\n'
        "images: [{file: photos/river.jpg, alt: {zh: 江岸, en: The riverside}}]\n"
        "publish_at: 2026-09-20 09:00 Asia/Shanghai\n"
        "channels: [website, newsletter]\n"
    )
    revision = document.revision
    assert revision.title == Bilingual("公开讲座", "Public Lecture")
    assert revision.summary == Bilingual("欢迎参加。", "Do come.")
    assert revision.event == Event(
        start="2026-10-12T15:00",
        end="2026-10-12T17:00",
        timezone="Asia/Shanghai",
        place=Bilingual("一层报告厅", "Lecture Hall"),
        link="https://example.org/a?b=1",
    )
    assert revision.organisations == (Bilingual("示例市图书馆", "Example City Library"),)
    assert revision.tags == Tags(("公开讲座", "城市"), ("Cities",))
    (image,) = revision.images
    assert (image.file, image.alt) == ("photos/river.jpg", Bilingual("江岸", "The riverside"))
    assert [kept.sha256 for kept in document.pictures] == [image.sha256]
    assert document.publish_at == "2026-09-20 09:00 Asia/Shanghai"
    assert document.channels == ("website", "newsletter")


def test_front_matter__scalars_stay_text() -> None:
    """Nothing is interpreted: yes is no truth value, and 1:30 no number."""
    assert read("title: {zh: 1:30, en: yes}").revision.title == Bilingual("1:30", "yes")


def test_front_matter__may_be_empty() -> None:
    """Keys left empty, or no key at all, say nothing."""
    assert read("summary:\nevent:\ntags:\npublish_at:").revision == read("").revision


@pytest.mark.parametrize(
    ("front", "line", "said"),
    [
        ("title: {zh: 题}\ntags: [", 3, "cannot be understood"),
        ("summary:\n  zh: 甲: 乙", 3, "quotation marks"),
        ("title: {zh: 题}\ntitel: {}", 3, 'did you mean "title"?'),
        ("title: {zh: 题, en: Hello, world}", 2, '"world" is not known in title'),
        ("title: {zh: 题, zh: 目}", 2, "second time"),
        ("tags: {}\n\ntags: {}", 4, "second time"),
        ("title: 题", 2, "title must have zh and en"),
        ("title: {zh: [题]}", 2, "title.zh must be a text"),
        ("- title", 2, "must have"),
        ("organisations: {zh: 甲, en: A}", 2, "must be a list"),
        ("organisations:\n  - {zh: 甲, en: A}\n  - {zh: 乙}", 4, "organisations[2] has no en"),
        ("tags: {en: [ok, '#']}", 2, "tags.en[2] is empty"),
        ("event: {timezone: Asia/Shanghai}", 2, "event has no start"),
        ("event: {start: 2026-10-12T15:00}", 2, "event has no timezone"),
        ("event:\n  start: 12 October\n  timezone: Asia/Shanghai", 3, "no date and time"),
        ("event: {start: 2026-02-30T15:00, timezone: Asia/Shanghai}", 2, "no date and time"),
        ("event: {start: 2026-10-12T15:00, timezone: Beijing}", 2, "no time zone"),
        ("event: {start: 2026-10-12T15:00, timezone: +08:00}", 2, "no time zone"),
        ("event: {start: 2026-10-12T15:00, timezone: ../../etc/passwd}", 2, "no time zone"),
        ("event:\n  start: 2026-03-29T01:30\n  timezone: Europe/London", 3, "does not exist in Europe/London"),
        ("event:\n  start: 2026-10-25T01:30\n  timezone: Europe/London", 3, "exists twice in Europe/London"),
        ("event: {start: 0001-01-01T00:00, timezone: Asia/Shanghai}", 2, "event.start"),
        (EVENT + ",\n  end: 2026-10-12T15:00}", 3, "not after the start"),
        (EVENT + ",\n  link: javascript:alert(1)}", 3, "no web address"),
        (EVENT + ", link: 'https://exam ple.org'}", 2, "no web address"),
        (EVENT + ", link: 'https://[x'}", 2, "no web address"),
        (EVENT + ", place: {zh: 厅}}", 2, "event.place has no en"),
        ("images: [{file: a.jpg}]", 2, "has no alt"),
        ("images: [{alt: {zh: 甲, en: A}}]", 2, "has no file"),
        ("images: [{file: a.jpg, alt: {en: A}}]", 2, "has no zh"),
        *[
            (f"images: [{{file: '{file}', alt: {{zh: 甲, en: A}}}}]", 2, "in the folder of the document")
            for file in ("../a.jpg", "/etc/a.jpg", "a/../../b.jpg", r"C:\a.jpg", "https://example.org/a.jpg", ".")
        ],
        ("publish_at: tomorrow", 2, "is not a time"),
        ("publish_at: 2026-03-29 01:30 Europe/London", 2, "does not exist"),
        ("channels: website", 2, "must be a list"),
        ("title: &a {zh: 题}", 2, "Anchors"),
        ("title:\n  zh: *a", 3, "Anchors"),
        ("title: !!python/object:os.system {zh: 题}", 2, "type tags"),
        ("title: " + "[" * 40_000, 2, "deep nesting"),
        ("? [a]\n: b", 2, "not known"),
        ('title: {zh: "题\\u202e"}', 2, "U+202E"),
        ("title: {zh: " + "题" * 60_000 + "}", 1, "characters"),
    ],
)  # fmt: skip
def test_front_matter__what_is_wrong_is_named_with_its_line(front: str, line: int, said: str) -> None:
    """Each fault is one sentence that names the line of its key."""
    with pytest.raises(DocumentError) as caught:
        read(front)
    assert said in str(caught.value)
    assert caught.value.line == line


def test_front_matter__must_end() -> None:
    """A front matter without its closing line is told apart from a text."""
    with pytest.raises(DocumentError, match="does not end"):
        intake.read("---\ntitle: {zh: 题}\n\n欢迎。".encode(), "x.md")


@pytest.mark.parametrize(
    "front", ["event: {" + "a: b, " * 8_000 + "}", "a:" * 24_000, "- " * 24_000 + "甲", "? " * 24_000 + "甲"]
)
def test_front_matter__hostile_yaml_ends_soon(front: str) -> None:
    """YAML made to take long or to nest deep is refused within seconds."""
    started = time.monotonic()
    with pytest.raises(DocumentError):
        read(front)
    assert time.monotonic() - started < 10
