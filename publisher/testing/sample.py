"""An announcement to test adapters with: a lecture in both languages, and the variants a channel gets of it."""

from __future__ import annotations

from datetime import date
from typing import Any

from publisher.announcement import Bilingual, Event, Passage, Revision, Tags
from publisher.channel import Adapter, Links, Variant
from publisher.render import links
from publisher.render.variant import Edition, render_all

KEY = "2026-0042"


def revision(number: int = 1) -> Revision:
    """Revision ``number`` of the lecture; each says another text, and has characters that HTML must escape."""
    return Revision(
        title=Bilingual(
            f"公开讲座：城市与河流（第{number}版）", f"Public Lecture: Cities & Rivers, no. {number}"
        ),
        passages=(
            Passage(
                f"本会将于10月12日举办公开讲座，这是第{number}版公告。座位有限，请提前入场。",
                f"The Association holds a public lecture on 12 October; this is notice no. {number}. Seats are few.",
            ),
            Passage(
                "主讲人 <周以宁> 谈河流与城市。", 'Dr Zhou Yining <speaker> talks about "rivers" & cities.'
            ),
        ),
        event=Event(
            start="2026-10-12T15:00",
            end="2026-10-12T17:00",
            timezone="Asia/Shanghai",
            place=Bilingual("示例市图书馆", "Example City Library"),
        ),
        tags=Tags(zh=("讲座",), en=("Lecture",)),
    )


def variants(adapter: Adapter[Any, Any], number: int = 1, key: str = KEY) -> list[Variant]:
    """What ``adapter``'s channel gets of revision ``number``, with the canonical link filled in.

    Raises :class:`~publisher.errors.PublisherError` where its templates do not allow it.
    """
    where = adapter.links(key) or Links(both=f"https://example.org/announcements/{key}/")
    edition = Edition(key, number, date(2026, 9, 20))
    return [
        links.fill(variant, where)
        for variant in render_all(revision(number), edition, adapter, adapter.office)
    ]
