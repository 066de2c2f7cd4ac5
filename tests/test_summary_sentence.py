"""Where a sentence ends, and where it may end early."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from publisher.announcement import Language
from publisher.render.sentence import first, one_line, shorter
from publisher.render.summary import lead_sentence

ZH, EN = Language.ZH, Language.EN


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("代表团访问本会。双方交换了意见。", "代表团访问本会。"),
        ("你来吗？我们等你！", "你来吗？"),
        ("真的吗？！他问。", "真的吗？！"),
        ("没有句号", "没有句号"),
        ("他说：“会议很成功。”双方签署了备忘录。", "他说：“会议很成功。”"),
        ("“会议很成功。”会长林若兰说。双方签署了备忘录。", "“会议很成功。”会长林若兰说。"),
        ("讲座《你好，河流！》将于周六举行。欢迎。", "讲座《你好，河流！》将于周六举行。"),
        ("“出发！”活动将于周六举行。欢迎。", "“出发！”活动将于周六举行。"),
        ("（会议于周一举行。）双方签署了备忘录。", "（会议于周一举行。）"),
        ("双方（含代表。共6人）会谈。结束。", "双方（含代表。共6人）会谈。"),
        ("江、河、湖……等水域。其他。", "江、河、湖……等水域。"),
        ("时间过得真快……我们再见。", "时间过得真快……"),
        ("增长3.5%，达到1,200万元。其他。", "增长3.5%，达到1,200万元。"),
        ("请访问https://example.org/a.b。谢谢。", "请访问https://example.org/a.b。"),
        ("双方达成共识. 会上签约.", "双方达成共识."),
        ("他说：“没有后引号。双方会谈。", "他说：“没有后引号。"),
        ("第一行\n第二行。其他。", "第一行第二行。"),
        ("", ""),
    ],
)  # fmt: skip
def test_lead_sentence__chinese(text: str, lead: str) -> None:
    """Full stops in titles, quotes and brackets end nothing, unless the quote itself is the sentence."""
    assert lead_sentence(text, ZH) == lead


@pytest.mark.parametrize(
    ("text", "lead"),
    [
        ("We met. They left.", "We met."),
        ("Ms. Lin met Dr. Zhou and Prof. Chen. They talked.", "Ms. Lin met Dr. Zhou and Prof. Chen."),
        ("At 2:30 p.m. on 5 March the talks began. They ended.", "At 2:30 p.m. on 5 March the talks began."),
        ("Doors open at 7 p.m. The talk is free.", "Doors open at 7 p.m."),
        ("At 7 p.m. Ms. Lin opened the talks. They ended.", "At 7 p.m. Ms. Lin opened the talks."),
        ("The U.K. Association met. It talked.", "The U.K. Association met."),
        ("They came from the U.K. The visit was long.", "They came from the U.K."),
        ("J. K. Marlow spoke. We listened.", "J. K. Marlow spoke."),
        ("Example Inc. Chairman Li spoke. We listened.", "Example Inc. Chairman Li spoke."),
        ("It is held in Room No. 5. Come early.", "It is held in Room No. 5."),
        ("Bring fruit, e.g. Fuji apples. Come early.", "Bring fruit, e.g. Fuji apples."),
        ("Spending grew 3.5 per cent. It was 1.2 million.", "Spending grew 3.5 per cent."),
        ("See https://example.org/a.b?c. Then register.", "See https://example.org/a.b?c."),
        ('She said: "We agree. We sign." Then they left.', 'She said: "We agree. We sign."'),
        ("“Is it so?” Ms. Lin asked. He nodded.", "“Is it so?” Ms. Lin asked."),
        ("The talks (see p. 5. below) ended. Good.", "The talks (see p. 5. below) ended."),
        ("Why not? Come.", "Why not?"),
        ("And so … it goes. Good.", "And so … it goes."),
        ("No full stop", "No full stop"),
        ("One line\nand the next. Good.", "One line and the next."),
    ],
)  # fmt: skip
def test_lead_sentence__english(text: str, lead: str) -> None:
    """Abbreviations, initials, decimals, addresses and quotes end nothing."""
    assert lead_sentence(text, EN) == lead


@pytest.mark.parametrize(
    ("sentence", "forms"),
    [
        ("2026年3月5日上午10时，云岭大学代表团访问本会，会长林若兰女士会见了代表团。", ["2026年3月5日上午10时，云岭大学代表团访问本会……"]),
        ("代表团一行六人访问本会,双方签署了备忘录。", ["代表团一行六人访问本会……"]),
        ("预算增至1,200万元人民币；经双方协商，合作为期五年。", ["预算增至1,200万元人民币……"]),
        ("讲座《城市，河流，与人们的记忆》将举行，报名从速。", ["讲座《城市，河流，与人们的记忆》将举行……"]),
        ("会长林若兰女士表示，双方将继续合作。", []),
        ("访问本会，双方会谈。", []),
    ],
)  # fmt: skip
def test_shorter__chinese(sentence: str, forms: list[str]) -> None:
    """Trailing clauses go one by one; what only leads up to a clause is never the end."""
    assert list(shorter(sentence, ZH)) == forms


@pytest.mark.parametrize(
    ("sentence", "forms"),
    [
        ("The Association held a public lecture in the city library; please register early.", ["The Association held a public lecture in the city library…"]),
        ("The two sides signed a memorandum of cooperation, which runs for five years.", ["The two sides signed a memorandum of cooperation…"]),
        (
            "The group that has been led by Dr Zhou since May, which now has ten members, visited us.",
            [],
        ),
        ("Ms. Lin Ruolan, President of the Association, who leads the group, visited it.", []),
        ("At 10 a.m. on 5 March 2026, a delegation of six led by Professor Chen, Vice President of the University, visited us.", []),
        ("Professor Chen, Dr Zhou of the Library, and four of their colleagues visited.", []),
        ("The Ministry of Culture, Sports, and Tourism has opened its doors to all.", []),
        ('The lecture was called "Cities of water, which remember" by its speaker.', []),
        ("We met, and left.", []),
    ],
)  # fmt: skip
def test_shorter__english(sentence: str, forms: list[str]) -> None:
    """What is left has a verb of its own; lists, names and asides are not torn apart."""
    assert list(shorter(sentence, EN)) == forms


def test_shorter__spares_names() -> None:
    """No cut falls into the name of an organisation that is known."""
    sentence = "The delegation has visited the Forum for Lakes, and the Sea."
    assert list(shorter(sentence, EN)) == ["The delegation has visited the Forum for Lakes…"]
    assert list(shorter(sentence, EN, ("Forum for Lakes, and the Sea",))) == []


SAMPLE = '中文水。！？…，；“”《》（）()"a Z.,;!?3 \u0301\u200d\u0600👩🏽\n'
TEXTS = st.text(st.sampled_from(SAMPLE), max_size=60)


@given(TEXTS, st.sampled_from(Language))
def test_first__is_a_prefix_of_whole_graphemes(text: str, language: Language) -> None:
    """A lead is the beginning of its text, cut between graphemes; shorter forms are the beginning of the lead."""
    line = one_line(text)
    lead = first(line, language)
    assert line.startswith(lead)
    assert lead_sentence(text, language) == lead
    ends = {match.end() for match in regex.finditer(r"\X", line)} | {0}
    assert len(lead) in ends
    for form in shorter(lead, language):
        kept = form.rstrip("…")
        assert lead.startswith(kept)
        assert len(form) < len(lead) + 3


@pytest.mark.parametrize("text", ["（" * 200_000, "“”" * 100_000, "a.b " * 20_000, "，" * 200_000, "Mr. " * 20_000, "。" * 200_000, "\u0301" * 200_000, '"' * 200_001, "A. " * 20_000])  # fmt: skip
def test_lead_sentence__hostile_text(text: str) -> None:
    """Nothing an author pastes keeps us busy."""
    started = time.perf_counter()
    for language in Language:
        list(shorter(lead_sentence(text, language), language))
    assert time.perf_counter() - started < 4
