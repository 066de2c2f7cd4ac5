"""What a social channel gets: the richest text that fits, with its link and its tags."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publisher.announcement import Bilingual, Language, Markup, Passage, Revision, Tags
from publisher.channel import LengthRule
from publisher.render import environment
from publisher.render.length import measure
from publisher.render.links import TOKENS
from publisher.render.summary import candidates, fit, uses_author_summary
from publisher.render.tags import hashtag, hashtags

BOTH = (Language.ZH, Language.EN)
TOKEN = TOKENS["both"]


def mastodon(maximum: int) -> LengthRule:
    return LengthRule(maximum, link=23, short_handles=True)


def summarise(revision: Revision, maximum: int | None, languages: tuple[Language, ...] = BOTH) -> str | None:
    """The summary as the shipped template renders it."""

    def render(blocks: dict[Language, str]) -> str:
        context: dict[str, Any] = {"link": TOKENS, "scope": "both", "tags": revision.tags}
        return environment.render("social/summary.txt", None, **context, blocks=blocks)

    rule = None if maximum is None else mastodon(maximum)
    return fit(candidates(revision, languages), render, rule)


def test_summary__whole(visit: Revision) -> None:
    """With room enough: title and lead sentence of each language, then the link on its line."""
    assert summarise(visit, 500) == (
        "云岭大学代表团访问本会\n2026年3月5日上午10时，云岭大学副校长陈思远教授一行6人访问本会，会长林若兰女士会见了代表团。\n\n"
        "Yunling University Delegation Visits the Association\n"
        "At 10 a.m. on 5 March 2026, a delegation of six led by Professor Chen Siyuan, Vice President of Yunling "
        "University, visited the Association and was received by its President, Ms. Lin Ruolan.\n\n"
        f"{TOKEN}"
    )


def test_summary__author_and_tags(lecture: Revision) -> None:
    """An author's own summary comes first, with the tags below the link."""
    text = summarise(lecture, 500)
    assert text == (
        f"{lecture.summary.zh}\n\n{lecture.summary.en}\n\n{TOKEN}\n#公开讲座 #城市 #PublicLecture #Cities"
    )
    assert uses_author_summary(text, lecture, BOTH)


def test_summary__tags_go_before_text(lecture: Revision) -> None:
    """One character short of room for the tags, the text stays whole without them."""
    whole = summarise(lecture, 500)
    assert whole is not None
    length = measure(whole, mastodon(500))
    text = summarise(lecture, length - 1)
    assert text == f"{lecture.summary.zh}\n\n{lecture.summary.en}\n\n{TOKEN}"


def test_summary__tags_do_not_come_back_to_a_cut_text(lecture: Revision) -> None:
    """Where a clause had to go there was no room for tags either."""
    text = summarise(dataclasses.replace(lecture, summary=Bilingual()), 66)
    assert text == f"公开讲座：城市与河流\n本会将于10月12日举办公开讲座……\n\n{TOKEN}"


def test_summary__an_authors_text_is_never_cut(lecture: Revision) -> None:
    """Where it does not fit it is left out as a whole, and one can tell."""
    text = summarise(lecture, 120)
    assert text == (
        f"公开讲座：城市与河流\n\nPublic Lecture: Cities and Their Rivers\n\n{TOKEN}\n#公开讲座 #城市 #PublicLecture #Cities"
    )
    assert not uses_author_summary(text, lecture, BOTH)


def test_summary__leaner_and_leaner(visit: Revision) -> None:
    """From both leads to both titles, to the first language with a shortened lead, to its title, to nothing."""
    titles = "云岭大学代表团访问本会\n\nYunling University Delegation Visits the Association"
    assert summarise(visit, 300) == f"{titles}\n\n{TOKEN}"
    assert summarise(visit, 80) == (
        f"云岭大学代表团访问本会\n2026年3月5日上午10时，云岭大学副校长陈思远教授一行6人访问本会……\n\n{TOKEN}"
    )
    assert summarise(visit, 40) == f"云岭大学代表团访问本会\n\n{TOKEN}"
    assert summarise(visit, 30) is None


def test_summary__both_languages_give_way_alike() -> None:
    """Clauses are dropped in turn, so that neither language tells much more than the other."""
    revision = Revision(
        Bilingual("开放日", "Open Day"),
        (
            Passage(
                "本会于本周六举行开放日活动，各位会员可以参观图书馆与展厅，孩子们可以参加河流工作坊，晚上还有音乐会。",
                "On Saturday, the Association opens its doors to all, and members are invited to see the library, "
                "and children are welcome at the workshop on rivers, and there is a concert in the evening.",
            ),
        ),
    )
    texts = [summarise(revision, maximum) for maximum in range(80, 300)]
    shown = [text.split("\n\n")[:-1] for text in dict.fromkeys(texts) if text and text.count("\n\n") == 2]
    ellipses = [(zh.count("……"), en.count("…")) for zh, en in shown]
    assert (1, 1) in ellipses
    for zh, en in shown[1:]:
        # The shares of the two languages stay within one clause of each other.
        assert abs(len(zh) / len(shown[-1][0]) - len(en) / len(shown[-1][1])) < 0.5


def test_summary__one_language(lecture: Revision) -> None:
    """A channel in one language shows that language's text and tags only."""
    text = summarise(lecture, 500, (Language.EN,))
    assert text is not None
    assert not re.search(r"[\u4e00-\u9fff]", text)
    assert text.endswith("#PublicLecture #Cities")


def test_summary__addresses_of_links_are_left_out(lecture: Revision) -> None:
    """Of a Markdown link only its text is in a summary."""
    text = summarise(dataclasses.replace(lecture, summary=Bilingual()), 500)
    assert text is not None
    assert re.findall(r"https?://\S+", text) == [TOKEN]
    assert "主讲，报名从速。" in text
    assert "please register early." in text


def test_summary__a_typed_address_stands_alone() -> None:
    """An address glued to Chinese gets the spaces without which platforms take the Chinese for its end."""
    revision = Revision(
        Bilingual("通知", "Notice"),
        (),
        summary=Bilingual("请见https://example.org/a。谢谢", "See https://example.org/a."),
    )
    text = summarise(revision, 500)
    assert text is not None
    assert "请见 https://example.org/a 。谢谢" in text
    assert uses_author_summary(text, revision, BOTH)


def test_summary__missing_texts() -> None:
    """A language without a text is not shown; a summary in one language stands beside the other's title."""
    only = Revision(Bilingual("通知", ""), (Passage("本会放假。", ""),))
    assert summarise(only, 500) == f"通知\n本会放假。\n\n{TOKEN}"
    mixed = Revision(Bilingual("通知", "Notice"), (), summary=Bilingual("本会放假。", ""))
    assert summarise(mixed, 500) == f"本会放假。\n\nNotice\n\n{TOKEN}"
    assert summarise(Revision(Bilingual(), ()), 500) is None


def test_summary__no_limit(visit: Revision) -> None:
    """Without a limit the richest text is taken."""
    assert summarise(visit, None) == summarise(visit, 5000)


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("公开讲座", "#公开讲座"), ("open source", "#OpenSource"), ("PyCon-2026", "#PyCon2026"), ("2026", ""), ("2026 春", "#2026春"),
        ("#标签", "#标签"), ("#话题#", "#话题"), ("C++", "#C"), ("R&D", "#RD"), ("春·夏", "#春·夏"), ("café", "#café"), ("a_b", "#a_b"),
        ("--", ""), ("", ""), ("\u0301a", "#a"), ("中英 合作", "#中英合作"), ("！", ""),
    ],
)  # fmt: skip
def test_hashtag__legal_everywhere(tag: str, shown: str) -> None:
    """Spaces are joined, strays dropped, and what has no letter is no tag."""
    assert hashtag(tag) == shown


def test_hashtags__each_once() -> None:
    """A tag that both languages share is shown once."""
    assert hashtags(Tags(("PyCon", "社区"), ("pycon", "Community")), BOTH) == "#PyCon #社区 #Community"


ZH = st.text(st.sampled_from("中英会议举行代表团，，。；：《》“”（）3A！？… \n\u0301👩🏽"), max_size=80)
EN = st.text(st.sampled_from('abeg TMr.,;:?!"()… was and\n3\u0301👩🏽'), max_size=120)
PAIRS = st.builds(Bilingual, ZH, EN)
REVISIONS = st.builds(
    Revision,
    title=PAIRS,
    passages=st.lists(st.builds(Passage, ZH, EN), max_size=2).map(tuple),
    markup=st.sampled_from(Markup),
    summary=st.one_of(st.just(Bilingual()), PAIRS),
    tags=st.builds(Tags, st.lists(ZH, max_size=2).map(tuple), st.lists(EN, max_size=2).map(tuple)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(REVISIONS, st.integers(20, 300), st.sampled_from([BOTH, BOTH[::-1], BOTH[:1]]))
def test_summary__always(revision: Revision, maximum: int, languages: tuple[Language, ...]) -> None:
    """Never over the limit; the link is always there, and it and the tags stand between white space."""
    text = summarise(revision, maximum, languages)
    if text is None:
        return
    assert measure(text, mastodon(maximum)) <= maximum
    assert text.count(TOKEN) == 1
    assert re.search(rf"(?:^|\n){re.escape(TOKEN)}(?:\n|$)", text)
    tail = text.split(TOKEN)[1]
    assert all(regex.fullmatch(r"#[\p{L}\p{M}\p{N}_·]+", tag) for tag in tail.split())


@settings(max_examples=150, deadline=None)
@given(REVISIONS)
def test_candidates__are_made_of_what_was_written(revision: Revision) -> None:
    """Each block is the author's summary, or the title with a lead that is a beginning of the first paragraph."""
    from publisher.announcement import PassageKind
    from publisher.render.html import to_text
    from publisher.render.sentence import one_line
    from publisher.render.summary import _apart

    for blocks in candidates(revision, BOTH):
        for language, text in blocks.items():
            if text == _apart(revision.summary[language]):
                continue
            title = one_line(revision.title[language])
            lead = text.removeprefix(_apart(title)).lstrip("\n").rstrip("…").rstrip()
            source = [
                p for p in revision.passages if p.kind is PassageKind.PARAGRAPH and p[language].strip()
            ][:1]
            written = (
                one_line(to_text(source[0], language, revision.markup, addresses=False)) if source else ""
            )
            assert text.startswith(_apart(title))
            assert written.startswith(lead)
